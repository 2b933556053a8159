"""Resampling against soxr at once, and by pieces of any size."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_files import noise, pieces
from elman.data.audio.resample import Resampler, resample

RATES = (8000, 11025, 16000, 22050, 44100, 48000)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(RATES),
    st.sampled_from(RATES),
    st.integers(0, 9000),
    st.lists(st.integers(0, 2000), min_size=1, max_size=5).filter(any),
)
def test_pieces_make_the_same_bits(source: int, rate: int, count: int, sizes: list[int]) -> None:
    samples = noise(count)
    resampler = Resampler(source, rate)
    parts = [resampler.push(piece) for piece in pieces(samples, sizes)] + [resampler.finish()]
    whole = resample(samples, source, rate)
    assert np.array_equal(np.concatenate(parts), whole)
    assert abs(len(whole) - count * rate / source) <= 1


@pytest.mark.parametrize("source", RATES)
def test_the_whole_is_what_soxr_makes_at_once(source: int) -> None:
    samples = noise(source)
    expected = soxr.resample(samples, source, 16000)
    np.testing.assert_allclose(resample(samples, source, 16000), expected, atol=1e-6)


def test_a_tone_stays_one() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050).astype(np.float32)
    expected = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    np.testing.assert_allclose(resample(tone, 22050, 8000)[500:-500], expected[500:-500], atol=1e-3)


def test_the_same_rate_needs_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elman.data.audio.resample.speech_package", None)
    assert np.array_equal(resample(noise(10), 8000, 8000), noise(10))
