"""Texts as they are said, and as labels."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elman.decode.ctc import Token
from elman.tasks.transcribe.text import MIN_MERGES, Alphabet, fitting, spoken


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello, World!", "hello world"),
        ("Don’t -- stop", "don't stop"),
        ("'quoted' (aside)", "quoted aside"),
        ("3.5 per cent; e.g. A.B.", "3.5 per cent e.g a.b"),
        ("well-known", "well known"),
        ("ÉCOLE\nmañana", "école mañana"),
        ("…", ""),
        ("हिन्दी में बोलो।", "हिन्दी में बोलो"),
        ("ที่ดี", "ที่ดี"),
        ("x\u0304 naïve", "x\u0304 naïve"),
    ],
)
def test_punctuation_is_not_said(text: str, said: str) -> None:
    assert spoken(text) == said


@given(st.text())
@example("a\x00b")
def test_what_is_said_is_said_once(text: str) -> None:
    said = spoken(text)
    assert spoken(said) == said == " ".join(said.split())


def test_few_words_that_are_said_often_are_labels() -> None:
    often = Alphabet.of(["left", "right", "left right"] * 10)
    assert often == Alphabet("word", ("left", "right"))
    assert often.encode("right left") == [2, 1] and often.encode("up") is None
    assert often.decode([2, 1]) == "right left" and often.separator is None
    seldom = Alphabet.of(["left", "right"] * 5)
    assert seldom.unit == "character" and " " in seldom.labels
    assert Alphabet.of(["left", "right"] * 5, "word").unit == "word"


@given(
    st.lists((st.text("abc '.é̄ि3\x1b") | st.text()).map(spoken).filter(bool), min_size=1),
    st.sampled_from(["character", "subword"]),
)
@settings(deadline=None)
def test_characters_come_back(texts: list[str], unit: str) -> None:
    alphabet = Alphabet.of(texts * MIN_MERGES, unit)
    for text in texts:
        ids = alphabet.encode(text)
        assert ids is not None and 0 not in ids and max(ids) < len(alphabet)
        assert alphabet.decode(ids) == text
    assert Alphabet.from_json(alphabet.to_json()) == alphabet


def test_parts_of_words_that_occur_often_are_subwords() -> None:
    texts = ["eat the cat", "that hat"] * MIN_MERGES
    alphabet = Alphabet.of(texts, "subword")
    assert alphabet.labels[0] == " " and "at" in alphabet.labels and "t c" not in alphabet.labels
    assert parts(alphabet, "that cats") is None and parts(alphabet, "chat") == ["c", "hat"]
    assert parts(alphabet, "the eat") == ["the", " ", "eat"] and alphabet.symbol == "character"
    assert Alphabet.of(texts[:8], "subword").labels == tuple(" aceht")
    # the pair that was joined first is joined first, whatever stands before it
    ordered = Alphabet("subword", (" ", "a", "b", "c", "bc", "ab", "abc"))
    assert parts(ordered, "abc ab") == ["abc", " ", "ab"] and parts(ordered, "abbc") == ["ab", "bc"]


def parts(alphabet: Alphabet, text: str) -> list[str] | None:
    ids = alphabet.encode(text)
    return None if ids is None else [alphabet.labels[k - 1] for k in ids]


@pytest.mark.parametrize("unit", ["character", "subword"])
def test_words_are_split_where_the_space_is(unit: str) -> None:
    alphabet = Alphabet.of(["ab a"] * MIN_MERGES, unit)
    ids = alphabet.encode("ab  a b")
    assert ids is not None
    complete, rest = alphabet.split([Token(label, k, k + 1, 0.5) for k, label in enumerate(ids)])
    assert [alphabet.decode(token.token for token in word) for word in [*complete, rest]] == ["ab", "a", "b"]
    assert alphabet.split([]) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        {"unit": "syllable"},
        {"labels": []},
        {"labels": ["a", "a", " "]},
        {"labels": ["a"]},
        {"labels": ["ab", " "]},
        {"labels": ["A", " "]},
        {"labels": "abc"},
        {"unit": "word", "labels": ["a b"]},
        {"unit": "word", "labels": [" "]},
        {"labels": [" ", "\x1b"]},
        {"labels": [" ", "\x00"]},
        {"labels": [" ", "\n"]},
        {"labels": [" ", "-"]},
        {"labels": [" ", ""]},
        {"unit": "subword", "labels": [" ", "a", "ab"]},
        {"unit": "subword", "labels": [" ", "a", "a a"]},
        {"unit": "subword", "labels": [" ", "a", ""]},
        {"unit": "subword", "labels": ["a", "aa"]},
    ],
)
def test_a_damaged_alphabet_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="alphabet"):
        Alphabet.from_json({"unit": "character", "labels": [" ", "a"]} | change)


def test_equal_neighbours_need_a_blank() -> None:
    assert fitting([1, 1], 3) and not fitting([1, 1], 2) and fitting([1, 2], 2)
