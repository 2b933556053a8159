"""Vocabularies against hand-made examples and slow definitions, and under any cutting of the text."""

import re
import time
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.text import vocabulary as module
from elman.data.text.tokenizers import WordTokenizer
from elman.data.text.vocabulary import (
    END,
    MAX_WORD_LETTERS,
    UNKNOWN,
    AnyVocabulary,
    Vocabulary,
    VocabularyTokenizer,
    any_tokenizer_from_json,
    build_vocabulary,
    empty_vocabulary,
    vocabulary_from_json,
)
from elman.errors import ArtifactError, DataError, UsageError

# Shards at which a careless cut or an easy pattern would show.
SHARDS = [
    "don't",
    "n't",
    "'",
    "''",
    "’s",
    "a'b'c'd'e'f",
    "3.14",
    "1,000",
    "1",
    ".",
    ",",
    "1.",
    ".5",
    "...",
    "x-y",
]
SHARDS += [
    "<unk>",
    "e\u0301",
    "\u0301",
    "❤\ufe0f",
    "हिन्दी",
    "電影",
    "カ",
    "ไทย",
    "👍🏽",
    "Σ",
    "_",
    "a",
    "x1",
    "٣",
    "²",
]
SHARDS += [
    " ",
    "  ",
    "\n",
    " \n",
    "\n\n",
    "\t",
    "\r\n",
    "\x1c",
    "\x85",
    "\xa0",
    "\u200b",
    "\u2028",
    "\u3000",
    "\0",
]
TEXTS = st.lists(st.one_of(st.sampled_from(SHARDS), st.text(max_size=6)), max_size=12).map("".join)
SUBWORDS = build_vocabulary("subword", [a + b for a in SHARDS for b in SHARDS] * 2, 600, 1)
CLOSED = [empty_vocabulary("character"), empty_vocabulary("word"), empty_vocabulary("space"), SUBWORDS]


def _letter(text: str, at: int) -> bool:
    if at >= len(text):
        return False
    lone = "CJK UNIFIED" in unicodedata.name(text[at], "") or "\u3041" <= text[at] <= "\u30ff"
    lone |= "CJK COMPATIBILITY IDEOGRAPH" in unicodedata.name(text[at], "")
    return (text[at].isalnum() or text[at] == "_") and not lone


def _run(text: str, at: int) -> int:
    """The end of the letters, and the marks on them, that begin at `at`."""
    if not _letter(text, at):
        return at
    while at < len(text) and (
        _letter(text, at) or (unicodedata.category(text[at])[0] == "M" and text[at] < "\uffff")
    ):
        at += 1
    return at


def _end(text: str, at: int) -> int:
    """Where the token ends that begins with the non-blank at `at`."""
    if text[at].isdecimal():
        digits = at
        while text[digits : digits + 1].isdecimal():
            digits += 1
        end = digits
        while text[end : end + 1] in (".", ",") and text[end + 1 : end + 2].isdecimal():
            end += 1
            while text[end : end + 1].isdecimal():
                end += 1
        if end > digits:
            return end
    end = _run(text, at)
    for _ in range(3):
        if text[end : end + 1] in ("'", "’") and end > at:
            end = max(_run(text, end + 1), end) if _letter(text, end + 1) else end
    return max(end, at + 1)


def slow_words(text: str) -> list[str]:
    """The rules for words, character by character."""
    tokens, space, at = [], "", 0
    while at < len(text):
        if text[at].isspace():
            space = "" if text[at] == "\n" else " "
            tokens += ["\n"] * (text[at] == "\n")
            at += 1
        else:
            end = _end(text, at)
            tokens.append(space + text[at:end])
            space, at = "", end
    return tokens


def pushed(vocabulary: AnyVocabulary, text: str, cuts: list[int]) -> list[int]:
    """The ids of a text that arrives in pieces."""
    ids: list[int] = []
    rest, last = "", 0
    for cut in [*sorted(min(cut, len(text)) for cut in cuts), len(text)]:
        rest += text[last:cut]
        end = vocabulary.stable_prefix(rest)
        ids += vocabulary.encode(rest[:end]).tolist()
        rest, last = rest[end:], cut
    return ids + vocabulary.encode(rest).tolist()


def vocabulary_of(kind: str, text: str) -> AnyVocabulary:
    return Vocabulary(kind, tuple(sorted(set(empty_vocabulary(kind).pieces(text)) - {" <unk>"})))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (
            "I love  deep\tnets. \n\n Do you?",
            ["I", " love", " deep", " nets", ".", "\n", "\n", " Do", " you", "?"],
        ),
        ("don't, O’Brien's dogs' 'x'", ["don't", ",", " O’Brien's", " dogs", "'", " '", "x", "'"]),
        (
            "3.14 and 1,000.5, 3. .5 v1.2",
            ["3.14", " and", " 1,000.5", ",", " 3", ".", " .", "5", " v1", ".", "2"],
        ),
        ("well-vocabulary -- x_1", ["well", "-", "vocabulary", " -", "-", " x_1"]),
        ("e\u0301te\u0301 हिन्दी", ["e\u0301te\u0301", " हिन्दी"]),
        ("iPhone手机。 カ", ["iPhone", "手", "机", "。", " カ"]),
        ("  \n \t ", ["\n"]),
        ("<unk>", ["<", "unk", ">"]),
    ],
)
def test_words_take_the_space_before_them(text: str, pieces: list[str]) -> None:
    assert empty_vocabulary("word").pieces(text) == pieces


@given(TEXTS)
@settings(max_examples=200)
def test_words_are_those_of_the_slow_definition(text: str) -> None:
    assert empty_vocabulary("word").pieces(text) == slow_words(text)


@given(
    st.lists(st.text("ab c\U0010ffff", min_size=1, max_size=4), unique=True),
    st.text("abc\U0010ffff", max_size=3),
)
def test_words_from_a_beginning(tokens: list[str], begun: str) -> None:
    vocabulary = Vocabulary("word", tuple(tokens))
    words, _ = vocabulary.words
    expected = {word for word in words if word and word.startswith(begun)}
    assert {words[k] for k in vocabulary.words_from(begun)} == expected


def test_ids_and_text_of_words() -> None:
    vocabulary = Vocabulary("word", ("the", " cat", "\n", "."))
    assert vocabulary.encode("the cat.\n the cat").tolist() == [2, 3, 5, 4, UNKNOWN, 3]
    assert vocabulary.decode([END, 2, UNKNOWN, 5, 4]) == "the <unk>.\n"
    assert vocabulary.characters([END, UNKNOWN, 2, 3, 4, 5]).tolist() == [0, 6, 3, 4, 1, 1]
    assert len(vocabulary) == 6


def test_ids_and_text_of_characters() -> None:
    vocabulary = Vocabulary("character", ("b", "a", "👍", " "))
    assert vocabulary.encode("ab 👍👎z\ud800").tolist() == [3, 2, 5, 4, UNKNOWN, UNKNOWN, UNKNOWN]
    assert vocabulary.encode("").tolist() == []
    assert vocabulary.decode(np.array([3, END, UNKNOWN, 4])) == "a\ufffd👍"
    assert vocabulary.characters([END, UNKNOWN, 2]).tolist() == [0, 1, 1]
    assert vocabulary.pieces("az") == ["a", "z"]


def test_ids_and_text_between_blanks() -> None:
    vocabulary = build_vocabulary("space", [" no <unk> here \n it 's\u3000<unk>no here no \n"], 100, 1)
    assert vocabulary == Vocabulary("space", ("\n", " here", " no", " 's", " <unk>no", " it"))
    assert vocabulary.encode(" no <unk> gone \n").tolist() == [4, UNKNOWN, UNKNOWN, 2]
    assert vocabulary.decode(vocabulary.encode("no <unk>\tit's\n\nno")) == " no <unk> <unk>\n\n no"


@given(TEXTS)
def test_characters_and_subwords_are_decoded_exactly(text: str) -> None:
    vocabulary = vocabulary_of("character", text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert SUBWORDS.decode(SUBWORDS.encode(text)) == text


@given(TEXTS)
def test_words_are_decoded_up_to_blanks(text: str) -> None:
    vocabulary = vocabulary_of("word", text)
    single = re.sub(r"[^\S\n]+", " ", text)
    assert vocabulary.decode(vocabulary.encode(text)) == re.sub(r" (?=\n|\Z)", "", single)


@given(TEXTS)
def test_what_stands_between_blanks_is_decoded(text: str) -> None:
    vocabulary = vocabulary_of("space", text)
    expected = "\n".join("".join(" " + word for word in line.split()) for line in text.split("\n"))
    assert vocabulary.decode(vocabulary.encode(text)) == expected


@given(TEXTS, st.lists(st.integers(0, 40), max_size=12))
@settings(max_examples=150)
def test_any_cutting_gives_the_same_ids(text: str, cuts: list[int]) -> None:
    for kind in ("character", "word", "space"):
        vocabulary = vocabulary_of(kind, text)
        assert pushed(vocabulary, text, cuts) == vocabulary.encode(text).tolist()
    assert pushed(SUBWORDS, text, cuts) == SUBWORDS.encode(text).tolist()


@pytest.mark.parametrize("shard", ["a", "1", "é", "1.", "a'", "我", "e\u0301", "- ", "ab ", "\n", " "])
def test_words_never_hold_much_back(shard: str) -> None:
    text = shard * 20_000
    assert len(text) - empty_vocabulary("word").stable_prefix(text) < 3 * MAX_WORD_LETTERS**2
    vocabulary = vocabulary_of("word", text)
    assert pushed(vocabulary, text, [9_999, 10_007]) == vocabulary.encode(text).tolist()


def test_the_stable_prefix_reaches_the_last_blank() -> None:
    text = "one two,three "
    assert [empty_vocabulary(kind).stable_prefix(text) for kind in ("character", "word", "space")] == [
        14,
        13,
        13,
    ]
    assert empty_vocabulary("word").stable_prefix("one two,three") == len("one two,")
    assert SUBWORDS.stable_prefix(text) == 13
    assert empty_vocabulary("space").stable_prefix("a\n") == 2


@given(TEXTS)
def test_characters_of_tokens_are_those_of_the_text(text: str) -> None:
    assert SUBWORDS.characters(SUBWORDS.encode(text)).sum() == len(text)
    for kind in ("character", "word"):
        vocabulary = vocabulary_of(kind, text)
        ids = vocabulary.encode(text)
        assert vocabulary.characters(ids).tolist() == [len(vocabulary.decode([i])) for i in ids]


def test_subwords_are_cut_where_no_token_crosses(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(SHARDS) * 7 + "ab" * 50 + " and more"
    whole, pieces = SUBWORDS.encode(text), SUBWORDS.pieces(text)
    monkeypatch.setattr(module, "SLICE_CHARACTERS", 90)
    assert SUBWORDS.encode(text).tolist() == whole.tolist()
    assert SUBWORDS.pieces(text) == pieces
    assert SUBWORDS.stable_prefix(text) == len(text) - len(" more")


def test_a_million_characters_take_no_time() -> None:
    text = "Was ever gentleman thus grieved as I?\n" * 27_000
    vocabulary = build_vocabulary("character", [text], 100, 1)
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        vocabulary.encode(text)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.1


@given(st.lists(TEXTS, min_size=1, max_size=4), st.integers(3, 12), st.integers(1, 3))
def test_the_commonest_tokens_come_first(texts: list[str], size: int, min_count: int) -> None:
    for kind in ("character", "word"):
        counts = Counter(piece for text in texts for piece in empty_vocabulary(kind).pieces(text))
        common = sorted((t for t, n in counts.items() if n >= min_count), key=lambda t: (-counts[t], t))
        if common:
            assert build_vocabulary(kind, texts, size, min_count) == Vocabulary(
                kind, tuple(common[: size - 2])
            )  # type: ignore[arg-type]
        else:
            with pytest.raises(DataError, match=f"no {kind} occurs {min_count} times"):
                build_vocabulary(kind, texts, size, min_count)


def test_rare_tokens_are_forgotten_before_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DISTINCT_TOKENS", 10)
    texts = [f"often often {i} {i + 1000}" for i in range(50)]
    assert build_vocabulary("word", texts, 100, 40) == Vocabulary("word", (" often", "often"))


def test_a_text_with_its_own_unknown_word_keeps_its_rare_ones() -> None:
    assert build_vocabulary("space", ["once <unk> twice twice"], 9, 2).encode("once").tolist() == [3]
    assert build_vocabulary("space", ["once twice twice"], 9, 2).encode("once").tolist() == [UNKNOWN]


def test_a_tokenizer_of_another_task_gives_the_same_ids() -> None:
    text, vocabulary = "b a, ab ", Vocabulary("word", (" a", " b", ","))
    tokenizer = VocabularyTokenizer(vocabulary)
    for same in (tokenizer, any_tokenizer_from_json(tokenizer.to_json())):
        assert same.encode(text) == vocabulary.encode(text).tolist()
        assert same.tokens(text) == vocabulary.pieces(text)
        assert same.stable_prefix(text) == vocabulary.stable_prefix(text)
        assert len(same) == len(vocabulary)
    words = WordTokenizer(("a", "b"))
    assert any_tokenizer_from_json(words.to_json()) == words


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"kind": "words", "tokens": []},
        {"kind": "word"},
        {"kind": "word", "tokens": "ab"},
        {"kind": "word", "tokens": ["a", 1]},
        {"kind": "word", "tokens": ["a", ""]},
        {"kind": "word", "tokens": ["a", "a"]},
        {"kind": "character", "tokens": ["ab"]},
        {"kind": "subword"},
        {"kind": "subword", "model": {"no": "model"}},
    ],
)
def test_what_is_no_vocabulary_is_refused(value: object) -> None:
    with pytest.raises(ArtifactError, match="damaged"):
        vocabulary_from_json(value)


@pytest.mark.parametrize(
    ("kind", "size", "min_count", "message"),
    [
        (
            "words",
            9,
            1,
            "tokens of kind 'words' are unknown; give character, word, space, subword; did you mean 'word'?",
        ),
        ("word", 2, 1, "vocabulary size is 2; it must be at least 3"),
        ("word", 9, 0, "min_count is 0; it must be at least 1"),
        ("subword", 257, 1, "vocabulary size is 257; it must be at least 258"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: str, size: int, min_count: int, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_vocabulary(kind, ["a"], size, min_count)
    assert message in str(caught.value)
