"""The boost of hot words, against a search for every phrase at every place of a text."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctc_paths import bias
from elman.decode.hot_words import HotWords
from elman.errors import UsageError

Phrase = tuple[int, ...]


def boosted(text: Phrase, phrases: list[Phrase], separator: int | None, end: bool) -> int:
    """How many tokens lie in a phrase or, unless the text ends here, in the longest one begun at its end."""
    if separator is not None:
        text = (separator, *text, separator) if end else (separator, *text)
        phrases = [(separator, *phrase, separator) for phrase in phrases]
    inside = {
        at + k
        for phrase in phrases
        for at in range(len(text) - len(phrase) + 1)
        if text[at : at + len(phrase)] == phrase
        for k in range(len(phrase))
    }
    begun = [n for n in range(1, len(text) + 1) for phrase in phrases if text[-n:] == phrase[:n]]
    if not end and begun:
        inside |= set(range(len(text) - max(begun), len(text)))
    return sum(text[at] != separator for at in inside)


phrase = st.lists(st.integers(0, 2), min_size=1, max_size=4).map(tuple)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(phrase, min_size=1, max_size=4),
    st.lists(st.integers(0, 2), max_size=9).map(tuple),
    st.booleans(),
)
def test_each_token_of_a_phrase_is_boosted_once(phrases: list[Phrase], text: Phrase, separated: bool) -> None:
    separator = 2 if separated else None
    scorer = HotWords(phrases, 3, boost=0.5, separator=separator)
    for end in (False, True):
        assert bias(scorer, text, end) == pytest.approx(0.5 * boosted(text, phrases, separator, end))


def test_texts_in_steps_of_several_are_each_alone() -> None:
    scorer = HotWords([(0, 1, 1), (1, 0)], 2)
    scores, state = scorer.start()
    rows, states = scorer.step([state, state], [0, 1])
    assert scores.tolist() == [1.5, 1.5]
    assert rows.tolist() == [[0.0, 1.5], [1.5, 0.0]]  # given back and boosted anew: 0
    assert [scorer.end(one) for one in states] == [-1.5, -1.5]


def test_a_phrase_may_not_begin_or_end_within_a_word() -> None:
    art, start = (1, 2, 3), (4, 3, 1, 2, 3)
    separated, anywhere = HotWords([art], 5, separator=0), HotWords([art], 5)
    assert bias(separated, start) == 0
    assert bias(separated, (*art, 4)) == 0
    assert bias(anywhere, start) == 4.5
    assert [bias(separated, text) for text in (art, (4, 0, *art), (*art, 0, 4))] == [4.5] * 3


@pytest.mark.parametrize(
    ("phrases", "options", "message"),
    [
        ([[]], {}, r"phrases\[0\] is empty"),
        ([[0], [3]], {}, r"phrases\[1\] must be a list of labels, numbers from 0 to 2"),
        ([["a"]], {}, "labels"),
        ([[0]], {"boost": 0}, "boost"),
        ([[0]], {"boost": float("nan")}, "boost"),
    ],
)
def test_bad_phrases_and_boosts_are_refused(phrases: list, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        HotWords(phrases, 3, **options)


def test_without_phrases_nothing_is_boosted() -> None:
    assert all(
        bias(HotWords([], 3, separator=2), text) == 0 for text in itertools.product(range(3), repeat=3)
    )
