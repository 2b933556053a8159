"""Confidences that say how often words are right."""

import pytest
import torch

from elman.tasks.transcribe.confidence import Confidence


def test_overconfidence_is_unlearned() -> None:
    generator = torch.Generator().manual_seed(0)
    raw = torch.rand(4000, generator=generator) * 0.5 + 0.49
    right = torch.rand(4000, generator=generator) < torch.sigmoid(0.5 * raw.logit() - 0.3)
    fitted = Confidence.fit(raw.tolist(), right.tolist())
    assert fitted.slope == pytest.approx(0.5, abs=0.15) and fitted.offset == pytest.approx(-0.3, abs=0.15)
    assert 0 < fitted.of(0.0) < fitted.of(0.5) < fitted.of(1.0) < 1


def test_few_words_that_are_all_right_are_not_quite_certain() -> None:
    assert 0.5 < Confidence.fit([0.99] * 5, [True] * 5).of(0.99) < 0.99
    assert Confidence.fit([], []) == Confidence()
    assert Confidence().of(0.7) == pytest.approx(0.7)


def test_the_steepest_ones_are_no_overflow() -> None:
    steep = Confidence(100.0, -100.0)
    assert 0 <= steep.of(0.0) < 1e-100 and steep.of(1.0) == 1.0


@pytest.mark.parametrize("value", [{}, {"slope": -1.0, "offset": 0.0}, {"slope": 1.0, "offset": 1e9}, []])
def test_weights_out_of_range_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        Confidence.from_json(value)
