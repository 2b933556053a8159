"""What the lens sees of a classifier: its network's own log-odds of the answer."""

import pytest
import torch

from elman import Classifier, UsageError, lens
from elman.tasks.classify.examples import encode

TEXTS = ["the film was not good at all", "a good one"]


def test_scores_are_the_log_odds_of_the_network(model: Classifier) -> None:
    view = model.view(TEXTS)
    assert view.score is not None
    scores = view.score(view.module(*view.input))
    for text, score, answer in zip(TEXTS, scores, view.answers, strict=True):
        label, chosen = model.predict(text), model.classes.index(model.predict(text))
        ids = torch.tensor(encode(model.tokenizer, text))
        logits = model.network.members[0](ids[:, None], torch.tensor([len(ids)])).detach()
        log_p = logits.log_softmax(1)[0, chosen]
        assert float(score.detach()) == pytest.approx(float(log_p - torch.log1p(-log_p.exp())), abs=1e-3)
        assert answer.startswith(f"{label} (")
    assert [len(labels) for labels in view.labels_of("layers l0")] == [8, 4]


def test_the_first_steps_of_a_text(model: Classifier) -> None:
    view = model.view(TEXTS[0])
    assert view.cut is not None and view.score is not None
    whole = model.view("the film was")
    assert whole.score is not None
    assert torch.equal(view.module(*view.cut(4)), whole.module(*whole.input))


def test_nothing_to_look_at(model: Classifier) -> None:
    with pytest.raises(UsageError, match="nothing to look at"):
        lens.states(model, [])


def test_a_long_text_is_cut(model: Classifier) -> None:
    view = model.view("good " * 700)
    assert len(view.labels_of("")[0]) == 512
    assert any("only the first 511 words" in note for note in view.notes)


def test_what_order_is_worth(model: Classifier) -> None:
    rows = [{"text": text, "label": model.predict(text)} for text in (*TEXTS, "it was a bad film")]
    score, texts = model.order_scores(rows)
    assert texts[0] == TEXTS[0].split()
    network, baseline = score(texts)
    assert 0 <= network <= 1 and 0 <= baseline <= 1
    found = lens.order(model, rows, within=(1, 0))
    assert found[0].score == network and found[0].baseline == baseline
