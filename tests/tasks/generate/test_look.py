"""What the lens sees of a language model: the log-probability of the likeliest next token."""

from pathlib import Path

import pytest

from elman import LanguageModel, UsageError, lens


def test_scores_are_those_of_the_likeliest_next_token(model: LanguageModel) -> None:
    text = "I love deep"
    view = model.view(text)
    assert view.score is not None
    score = view.score(view.module(*view.input))
    features, _, _ = view.module(*view.input)
    best = model.network.log_probs(features[-1]).max()
    assert float(score.detach()) == pytest.approx(float(best.detach()), abs=1e-5)
    assert view.answers == (", ".join(f"{word} ({p:.0%})" for word, p in model.predict(text, 3)),)
    labels = view.labels_of("layers.0 l0")[0]
    assert len(labels) == len(view.input[0]) and labels[0] == "(start)"


def test_texts_of_a_batch_are_equally_long(model: LanguageModel) -> None:
    view = model.view(["I love deep learning", "I love"])
    assert len({len(labels) for labels in view.labels_of("")}) == 1
    assert "only the last" in view.notes[0]
    assert lens.memory_horizon(view).unit in ("tokens", "characters")


def test_nothing_to_look_at(model: LanguageModel) -> None:
    with pytest.raises(UsageError, match="nothing to look at"):
        model.view([])


def test_what_order_is_worth(words: LanguageModel, text: Path) -> None:
    rows = lens.order(words, text, within=(1, 0))
    assert rows[0].score > rows[1].score and rows[0].baseline is None
