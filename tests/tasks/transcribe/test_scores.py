"""Errors of words and characters, beside a library's."""

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.tasks.transcribe.scores import (
    SpeechEvaluation,
    calibration_error,
    edits,
    error_scores,
    right_words,
)
from elman.tasks.transcribe.text import Word

TEXTS = st.lists(st.sampled_from(["ab", "cd", "e"]), min_size=1, max_size=6).map(" ".join)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_rates_are_a_library_s(pairs: list[tuple[str, str]]) -> None:
    answers, truths = map(list, zip(*pairs, strict=True))
    scores = error_scores(answers, truths)
    assert scores["wer"] == pytest.approx(jiwer.wer(truths, answers))
    assert scores["cer"] == pytest.approx(jiwer.cer(truths, answers))


def test_edits_of_nothing() -> None:
    assert edits([], [1, 2]) == 2 == edits([1, 2], []) and edits([], []) == 0


def word(text: str, confidence: float = 0.9) -> Word:
    return Word(text, 0.0, 1.0, confidence)


def test_right_words_stand_where_they_were_said() -> None:
    said = [word(text) for text in ["the", "cat", "sad", "on", "mat"]]
    assert right_words(said, "the cat sat on the mat") == [True, True, False, True, True]
    assert right_words([], "a") == []


def test_calibration() -> None:
    assert calibration_error([], []) is None
    assert calibration_error([1.0, 1.0], [True, True]) == 0
    assert calibration_error([0.9] * 10, [True] * 9 + [False]) == pytest.approx(0)
    assert calibration_error([0.9] * 10, [False] * 10) == pytest.approx(0.9)


def test_an_evaluation_tells_all() -> None:
    answers = [[word("a"), word("b", 0.5)], []]
    scored = SpeechEvaluation.of(answers, ["a c", "d"], {"plain": ["a c", ""]}, 60.0, 0.6, ("a note",))
    assert scored.scores["wer"] == pytest.approx(2 / 3) and scored.scores["exact"] == 0
    assert scored.scores["real_time_factor"] == pytest.approx(0.01)
    assert scored.baselines["plain"]["wer"] == pytest.approx(1 / 3)
    printed = str(scored)
    assert "66.67%" in printed and "2 recordings, 3 words, 1.0 minutes" in printed and "a note" in printed
    assert SpeechEvaluation.from_dict(scored.to_dict()) == scored
