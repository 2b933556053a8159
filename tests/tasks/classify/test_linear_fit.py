"""The training of the linear model: what it learns, from which rows, and how its costs are chosen."""

import random

import pytest
import torch

from elman.tasks.classify import linear_fit
from elman.tasks.classify.linear_fit import fit_linear

FILLERS = ["the", "film", "plot", "was", "day", "we", "saw", "it"]


def texts_of(count: int, signs: list[str], seed: int = 0) -> tuple[list[str], torch.Tensor]:
    """Texts in which the sign of a class, cut off or not, stands among fillers."""
    draw = random.Random(seed)
    labels = [draw.randrange(len(signs)) for _ in range(count)]
    words = [[*draw.choices(FILLERS, k=6), signs[y] + draw.choice(["", "s", "ly"])] for y in labels]
    return [" ".join(draw.sample(row, len(row))) for row in words], torch.tensor(labels)


@pytest.mark.parametrize("signs", [["great", "awful"], ["red", "green", "blue", "yellow"]])
def test_it_learns_which_words_matter(signs: list[str]) -> None:
    texts, labels = texts_of(200, signs)
    folds = [(range(160), range(160, 200))]
    model, held_out = fit_linear(texts, labels, torch.ones(len(signs)), folds, refit=True)
    assert (held_out.argmax(1) == labels[160:]).float().mean() > 0.95
    fresh, truth = texts_of(100, signs, seed=1)
    log_probabilities = model.log_probabilities(fresh)
    assert (log_probabilities.argmax(1) == truth).float().mean() > 0.95
    assert log_probabilities.exp().max(1).values.mean() > 0.8  # calibrated


def test_held_out_rows_are_answered_by_a_model_that_has_not_seen_them() -> None:
    texts, labels = texts_of(60, ["great", "awful"])
    texts = [*texts, "unheard of", "unheard of"]
    labels = torch.cat([labels, torch.tensor([1, 1])])
    folds = [(range(40), range(40, 62)), (range(20, 62), range(20))]
    model, held_out = fit_linear(texts, labels, torch.ones(2), folds, refit=False)
    alone, rows = fit_linear(texts, labels, torch.ones(2), folds[:1], refit=False)
    sure = model.log_probabilities(["unheard"])[0, 1]
    assert sure > alone.log_probabilities(["unheard"])[0, 1]
    torch.testing.assert_close(rows, alone.log_probabilities(texts[40:]), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(held_out.exp().sum(1), torch.ones(42), atol=1e-4, rtol=0)
    refitted, again = fit_linear(texts, labels, torch.ones(2), folds[:1], refit=True)
    assert refitted.log_probabilities(["unheard"])[0, 1] > alone.log_probabilities(["unheard"])[0, 1]
    assert (again.argmax(1) == rows.argmax(1)).float().mean() > 0.8


def test_the_same_texts_give_the_same_model() -> None:
    texts, labels = texts_of(60, ["red", "green", "blue"])
    models = [fit_linear(texts, labels, torch.ones(3), [(range(60), [])], refit=False)[0] for _ in range(2)]
    assert torch.equal(models[0].weights, models[1].weights)


def test_a_class_counts_what_its_weight_says() -> None:
    texts = [f"{word} film" for word in FILLERS * 8]
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 0, 1] * 8).roll(3)
    labels[:32] = torch.tensor([0, 0, 0, 1] * 8)
    folds = [(range(64), [])]
    rows = [
        fit_linear(texts, labels, weights, folds, refit=False)[0].log_probabilities(["nothing"])[0, 1]
        for weights in (torch.ones(2), torch.tensor([0.6, 3.0]))
    ]
    assert rows[0] < rows[1]


@pytest.mark.parametrize("texts", [[""] * 12, ["a"] * 12, ["a", "b"] * 6, ["?", ""] * 6])
def test_texts_that_say_little(texts: list[str]) -> None:
    labels = torch.tensor([0, 1, 2] * 4)
    model, held_out = fit_linear(texts, labels, torch.ones(3), [(range(9), range(9, 12))], refit=True)
    assert model.log_probabilities(["a", ""]).isfinite().all()
    assert held_out.isfinite().all()


def test_a_class_that_a_fold_lacks_is_unlikely_there() -> None:
    texts, labels = texts_of(40, ["great", "awful"])
    texts, labels = [*texts, "odd thing", "odd thing"], torch.cat([labels, torch.tensor([2, 2])])
    model, held_out = fit_linear(texts, labels, torch.ones(3), [(range(40), range(40, 42))], refit=True)
    assert (held_out.argmax(1) != 2).all()
    assert model.log_probabilities(["odd thing"]).argmax() == 2


def test_the_choice_is_made_on_a_sample_where_texts_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = texts_of(300, ["red", "green", "blue"])
    monkeypatch.setattr(linear_fit, "CHOICE_WORK", 1)
    monkeypatch.setattr(linear_fit, "MIN_CHOICE_ROWS", 60)
    model, _ = fit_linear(texts, labels, torch.ones(3), [(range(300), [])], refit=False)
    fresh, truth = texts_of(100, ["red", "green", "blue"], seed=1)
    assert (model.log_probabilities(fresh).argmax(1) == truth).float().mean() > 0.9
