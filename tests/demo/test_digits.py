"""The digits: recordings as stored, and put in a row."""

import numpy as np

from elman.demo import digits


def test_the_recordings_are_sound_of_the_ten_digits() -> None:
    clips = digits.clips()
    assert {clip.digit for clip in clips} == set(range(10))
    assert len(clips) == 130
    for clip in clips:
        assert 0.1 < len(clip.samples) / digits.RATE < 1.5
        assert 0.02 < np.abs(clip.samples).max() <= 1
        assert abs(clip.samples.mean()) < 0.05


def test_digits_in_a_row_have_a_pause_around_each() -> None:
    test = [clip for clip in digits.clips() if clip.take in digits.TEST_TAKES]
    sound = digits.said(test, (4, 2))
    first = {digit: next(clip.samples for clip in test if clip.digit == digit) for digit in (4, 2)}
    pause = round(digits.PAUSE * digits.RATE)
    assert len(sound) == 3 * pause + len(first[4]) + len(first[2])
    assert np.array_equal(sound[pause : pause + len(first[4])], first[4])
    assert not sound[:pause].any() and not sound[-pause:].any()


def test_the_verdict_names_the_baseline() -> None:
    said = digits.verdict({"elman": {"wer": 0.1}, "nearest recording": {"wer": 0.25}})
    assert said == "90% of the digits are heard right; by the nearest recording it would be 75%."
