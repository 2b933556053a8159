"""Phrases in any speech."""

import json
import math
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import UsageError
from elman.tasks.pool import Steps
from elman.tasks.transcribe.spotting import MAX_ALARMS, Spotter, Spotting, SpottingStream
from elman.tasks.transcribe.text import Word

PHRASES = ("turn", "turn left", "turn left now", "stop")


def words(text: str, confidence: float = 0.9) -> list[Word]:
    return [Word(word, k, k + 0.5, confidence) for k, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("stop", ["stop"]),
        ("turn left", ["turn left"]),
        ("turn stop turn left now", ["turn", "stop", "turn left now"]),
        ("left turn left left now stop", ["turn left", "stop"]),
        ("", []),
        ("now", []),
    ],
)
def test_words_make_the_longest_phrases(said: str, heard: list[str]) -> None:
    assert [word.text for word in Spotter(PHRASES).push(words(said), complete=True)] == heard
    spotter = Spotter(PHRASES)
    live = [phrase for word in words(said) for phrase in spotter.push([word])]
    assert [word.text for word in live + spotter.push([], complete=True)] == heard
    assert spotter.pending == ""


def test_a_phrase_waits_while_a_longer_one_may_follow() -> None:
    spotter = Spotter(PHRASES)
    assert spotter.push(words("stop turn")) == words("stop")[:1] and spotter.pending == "turn"
    assert [phrase.text for phrase in spotter.push(words("stop"))] == ["turn", "stop"]


def test_a_phrase_is_as_sure_as_its_words_are_on_average() -> None:
    odds = math.sqrt(0.9 / 0.1 * 0.4 / 0.6)
    said = [Word("turn", 0, 1, 0.9), Word("left", 2, 3, 0.4)]
    wanted = Word("turn left", 0, 3, pytest.approx(odds / (1 + odds)))
    assert Spotter(PHRASES).push(said, complete=True) == [wanted]
    assert Spotter(PHRASES, 0.75).push(said, complete=True) == []
    certain = Spotter(PHRASES).push(words("turn left", 1.0) + words("stop", 0.0), complete=True)
    assert [word.confidence for word in certain] == pytest.approx([1.0, 0.0], abs=1e-8)


@given(
    st.lists(st.integers(1, 999).map(lambda n: n / 1000), max_size=40),
    st.floats(0.1, 50),
    st.floats(0.01, 100),
)
def test_no_more_false_alarms_than_wanted(confidences: list[float], hours: float, rate: float) -> None:
    answers = [[Word("stop", 0, 1, confidence)] for confidence in confidences]
    spotting = Spotting.measure(PHRASES, answers, hours)
    threshold = spotting.threshold(rate)
    spotter = Spotter(PHRASES, threshold)
    alarms = sum(len(spotter.push(one, complete=True)) for one in answers)
    assert alarms <= rate * hours
    if len(set(confidences)) == len(confidences) > rate * hours:  # and not needlessly few
        assert alarms == int(rate * hours)
    assert Spotting.from_json(json.loads(json.dumps(spotting.to_json()))) == spotting


def test_misses() -> None:
    spotting = Spotting.measure(PHRASES, [], 1.0)
    answers = [words("stop"), words("stop", 0.1), words("turn left"), []]
    assert spotting.missed(answers, ["stop", "stop", "turn", "stop"], 0.5) == 0.75


@pytest.mark.parametrize("rate", [0, -1, "1", None, True, float("nan"), 1e9])
def test_a_rate_is_a_number(rate: object) -> None:
    with pytest.raises(UsageError, match="false_alarms must be a number per hour above 0"):
        Spotting(("a",)).threshold(rate)


@pytest.mark.parametrize(
    "change",
    [
        {"phrases": []},
        {"phrases": ["a", "a"]},
        {"hours": -1.0},
        {"hours": 1e9},
        {"alarms": [0.1, 0.2]},
        {"alarms": [1.5]},
        {"alarms": None},
        {"more": 1},
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Spotting.from_json({"phrases": ["a"], "hours": 1.0, "alarms": [0.5, 0.2]} | change)


class Utterances:
    """A `TranscriberStream` that hears what is pushed: words, with a "." where an utterance ends."""

    def __init__(self) -> None:
        self.network, self.utterances, self.words, self.tentative = None, 0, list[Word](), ""

    def pushing(self, samples: list[Word]) -> Steps[list[Word]]:
        yield from ()  # no request
        for word in samples:
            self.words = [] if word.text == "." else [*self.words, word]
            self.utterances += word.text == "."
        return [word for word in samples if word.text != "."]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
def test_phrases_are_the_same_in_pieces_of_any_size(size: int) -> None:
    stream = SpottingStream(cast(Any, Utterances()), Spotter(PHRASES))
    said = words("stop turn . turn left . stop turn left now")
    pieces = [said[k : k + size] for k in range(0, len(said), size)]
    heard = [phrase.text for piece in pieces for phrase in stream.push(piece)]
    assert heard == ["stop", "turn", "turn left", "stop", "turn left now"]
    assert stream.result() == "stop turn left now" and stream.utterances == 2


def test_more_alarms_than_are_kept() -> None:
    alarms = tuple(1 - k / 2000 for k in range(MAX_ALARMS))
    assert Spotting(("a",), 1.0, alarms).threshold(5_000) == alarms[-1]
    assert Spotting(("a",), 1.0, alarms[:-1]).threshold(5_000) == 0.0
