"""Arrays, tensors and lists as samples, and the checks of recordings."""

from typing import Any

import numpy as np
import pytest
import torch

from audio_files import noise
from elman.data.audio.samples import flaw, require_channels, require_rate, require_speech, to_samples
from elman.errors import DataError, UsageError

HALF = [0.5, -0.5]


@pytest.mark.parametrize(
    "values",
    [
        HALF,
        np.array(HALF),
        np.array(HALF, dtype=np.float16),
        torch.tensor(HALF, requires_grad=True),
        torch.tensor(HALF, dtype=torch.bfloat16),
        np.array([16384, -16384], dtype=np.int16),
        np.array([2**30, -(2**30)], dtype=np.int32),
        np.array([192, 64], dtype=np.uint8),
        np.array([64, -64], dtype=np.int8),
        np.array(HALF)[:, None],
    ],
)
def test_every_type_has_one_scale(values: Any) -> None:
    samples = to_samples(values, "x")
    assert samples.dtype == np.float32
    assert samples.tolist() == HALF


def test_channels_are_averaged_whichever_axis_they_are() -> None:
    stereo = np.stack([noise(50), noise(50, 1)])
    expected = stereo.mean(0)
    np.testing.assert_allclose(to_samples(stereo, "x"), expected, rtol=1e-6)
    np.testing.assert_allclose(to_samples(stereo.T, "x"), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([1, 2], UsageError, "x is of type int64; give floats"),
        (["a"], UsageError, "x is of type <U1"),
        ([1j], UsageError, "complex"),
        ([[1.0], [1.0, 2.0]], UsageError, r"shape \(\)"),
        (np.zeros((2, 2, 2)), UsageError, r"shape \(2, 2, 2\)"),
        ([0.0, float("nan")], DataError, r"NaN \(not a number\) at 0.100 s"),
        ([0.0, 0.0, float("-inf")], DataError, "infinite at 0.200 s"),
        (np.array([[3e38, 1], [3e38, 1], [3e38, 1]]), DataError, "a sample of 1.* at 0.000 s|is infinite"),
        ([1e300], DataError, "infinite at 0.000 s"),
        ([0.0, 12000.0], DataError, "a sample of 12,000 at 0.100 s; samples should be floats"),
        (np.zeros((40, 90)), DataError, "x has 40 channels"),
    ],
)
def test_what_is_no_recording_is_refused(values: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        to_samples(values, "x", 10)


@pytest.mark.parametrize("rate", [0, -8000, 100, 8000.5, float("nan"), float("inf"), 10**7, "8000", None])
def test_rates_that_speech_cannot_have(rate: Any) -> None:
    with pytest.raises(DataError, match=r"x has a rate of .*; speech has 4,000 to 768,000"):
        require_rate(rate, "x")


def test_rates_and_channels_that_it_has() -> None:
    assert [require_rate(rate, "x") for rate in (8000, 44100.0, np.int32(16000))] == [8000, 44100, 16000]
    require_channels(1, "x")
    with pytest.raises(DataError, match="has 0 channels"):
        require_channels(0, "x")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (noise(0), "x holds no samples"),
        (noise(1), "x lasts 0.125 ms; speech lasts 25 ms at least"),
        (noise(1000, level=0), "x is silent"),
        (noise(1000, level=0) + 0.3, "x is silent"),
    ],
)
def test_nothing_can_be_learned_from(samples: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        require_speech(samples, 8000, "x")


def test_flaws_are_named_and_usable() -> None:
    loud = np.clip(noise(4000, level=1), -1, 1)
    require_speech(loud, 8000, "x")
    assert flaw(noise(4000)) is None
    assert flaw(noise(0)) is None
    assert "is clipped (3" in str(flaw(loud))
    assert flaw(noise(4000) + np.float32(0.25)) == "is shifted (its mean is 0.25, not 0)"
