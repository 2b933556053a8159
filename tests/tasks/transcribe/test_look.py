"""What the lens sees of a transcriber: its network's log-probability of the labels that it finds."""

import pytest
import torch

from elman import Transcriber, UsageError, lens
from tones import RATE, sentence


def test_scores_are_those_of_ctc(live: Transcriber) -> None:
    samples = sentence("one two", 2)
    view = live.view(samples, rate=RATE)
    assert view.score is not None
    with torch.no_grad():
        log_probs, steps = view.module(*view.input)
    score = view.score((log_probs, steps))
    best_path = log_probs[: int(steps[0]), 0].max(1).values.sum()
    assert float(best_path) <= float(score) <= 0  # it sums over all paths of the same labels
    labels = view.labels_of("layers l0")[0]
    assert len(labels) == int(steps[0]) and labels[-1].endswith(" s")
    assert view.answers == (live.predict(samples, rate=RATE),)
    assert lens.memory_horizon(view).unit == "ms"
    assert view.scale == pytest.approx(live.network.stride * 10)


def test_nothing_to_look_at(live: Transcriber) -> None:
    with pytest.raises(UsageError, match="nothing to look at"):
        live.view([])


def test_silence_has_a_score(live: Transcriber) -> None:
    view = live.view(torch.zeros(RATE), rate=RATE)
    assert torch.isfinite(torch.tensor(lens.gradient_flow(view).loss))
