"""Recordings that nobody made."""

import numpy as np
import pytest

from elman.data.audio.made_up import Studio, made_up_texts, mixed_texts
from elman.errors import DataError
from speaking import SILENT, Chords


def studio(rate: int = 8_000, seed: int = 0) -> Studio:
    return Studio(Chords(), Chords().voices("en"), rate, seed)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_every_text_is_said_otherwise_each_time(rate: int) -> None:
    first, second, noise = studio(rate).recordings(["stop", "stop", ""], 0)
    for samples in (first, second, noise):
        assert samples.dtype == np.float32 and np.isfinite(samples).all() and np.ptp(samples) > 0
        assert 0.05 * rate < len(samples) < 4 * rate
    assert len(first) != len(second) or not np.array_equal(first, second)


def test_seed_and_part_decide() -> None:
    def sound(seed: int, part: int) -> bytes:
        return next(studio(seed=seed).recordings(["go"], part)).tobytes()

    assert sound(1, 0) == sound(1, 0)
    assert len({sound(1, 0), sound(2, 0), sound(1, 1)}) == 3


def test_a_text_that_cannot_be_said() -> None:
    with pytest.raises(DataError, match=r"the voice en\+v\d+ is silent on 'hush'"):
        list(studio().recordings([SILENT], 0))


def test_made_up_words_are_not_taken() -> None:
    texts = made_up_texts(200, set(), np.random.default_rng(0))
    words = {word for text in texts for word in text.split()}
    again = made_up_texts(200, words, np.random.default_rng(0))
    assert len(texts) == len(again) == 200 and all(again)
    assert not words & {word for text in again for word in text.split()}


def test_known_words_among_others() -> None:
    texts = mixed_texts(200, ["turn", "left"], np.random.default_rng(0))
    assert len(texts) == 200 and {len(text.split()) for text, _ in texts} == {2, 3, 4, 5}
    for text, held in texts:
        assert [word for word in text.split() if word in ("turn", "left")] == held.split()
    assert {"turn left", "left turn", "left", ""} <= {held for _, held in texts}
