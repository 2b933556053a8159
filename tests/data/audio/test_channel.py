"""Rooms, microphones and lines."""

import numpy as np
import pytest

from elman.data.audio.channel import in_room, through_line, trimmed
from elman.data.audio.samples import Samples

RATE = 16_000


def tone(hertz: float, seconds: float = 0.5) -> Samples:
    return np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE).astype(np.float32)


def power(samples: Samples) -> float:
    return float(np.square(samples[RATE // 10 :]).mean())


def test_silence_around_speech_is_cut() -> None:
    speech = tone(440)[1:]
    padded = np.concatenate([np.zeros(50, np.float32), speech, np.full(70, 1e-3, np.float32)])
    cut = trimmed(padded, 0.01)
    assert len(speech) - 3 <= len(cut) <= len(speech)
    assert len(trimmed(np.zeros(9, np.float32), 0.1)) == len(trimmed(np.zeros(0, np.float32), 0.1)) == 0


@pytest.mark.parametrize("seed", range(8))
def test_a_room_goes_on_after_the_speech(seed: int) -> None:
    click = np.zeros(RATE // 2, np.float32)
    click[100] = 1.0
    sound = in_room(click, RATE, np.random.default_rng(seed))
    assert len(sound) == len(click) + RATE // 10 and sound.dtype == np.float32
    np.testing.assert_allclose(sound[:101], click[:101], atol=1e-6)  # the straight sound, and none before
    early, late = np.square(sound[101:900]).sum(), np.square(sound[4_000:4_800]).sum()
    assert 0 < early <= 1.05 and late < early


@pytest.mark.parametrize("seed", range(8))
def test_a_line_keeps_the_middle(seed: int) -> None:
    def kept(hertz: float) -> float:
        return power(through_line(tone(hertz), RATE, np.random.default_rng(seed))) / power(tone(hertz))

    assert kept(20) < 1e-3
    assert 0.1 < kept(1_000) < 10
    assert kept(2_500) > 0.1


def test_the_same_draws_give_the_same_sound() -> None:
    for change in (in_room, through_line):
        a, b = (change(tone(300), RATE, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(a, b)
        assert len(through_line(np.ones(1, np.float32), RATE, np.random.default_rng(0))) == 1
