"""Tokenizers against hand-made examples, and streams against whole texts under any cutting."""

import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.text.tokenizers import (
    SubwordTokenizer,
    Tokenizer,
    WordTokenizer,
    tokenizer_from_json,
)
from elman.errors import ArtifactError, DataError, UsageError

CORPUS = [
    "The movie was not good.<br /><br />It wasn't bad, though: 3.5 of 10 – don't miss it!",
    "L'été, naïve café… O'Brien’s dog couldn't've barked at 1,000 people 👍🏽",
    "Я люблю кино. 我喜欢电影。 हिन्दी में फ़िल्म ไทย مرحبا بالعالم",
] * 3
WORDS = WordTokenizer.build(CORPUS)
# Shards at which a careless cut would show.
SHARDS = [
    *[
        "<br />",
        "<BR>",
        "<br",
        " />",
        "</br>",
        "don't",
        "n't",
        "'s",
        "'ll",
        "''",
        "’",
        "’re",
        "...",
        ".",
        "1.5",
        "1,",
    ],
    *[
        "Σ",
        "ΣΑΣ",
        "İ",
        "e\u0301",
        "\u0301",
        "\ufe0f",
        "\u200d",
        "👍🏽",
        "👨‍👩‍👧",
        "🇩🇪",
        "🇩",
        "हिन्दी",
        "電影",
        "ไทย",
    ],
    *[
        " ",
        "  ",
        "\n",
        "\t",
        "\x1c",
        "\x1f",
        "\x85",
        "\xa0",
        "\u180e",
        "\u200b",
        "\u2028",
        "\u3000",
        "a",
        "x1",
        "_",
    ],
]
# Trained on every pair of shards, so that a merge lies wherever two of them may merge at all.
SUBWORDS = SubwordTokenizer.train([*CORPUS, *(a + b for a in SHARDS for b in SHARDS)] * 3, size=1000)


class Stream:
    """Encodes a text that arrives in pieces, each piece as soon as its tokens are final."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.rest = tokenizer, ""

    def push(self, text: str) -> list[int]:
        self.rest += text
        end = self.tokenizer.stable_prefix(self.rest)
        stable, self.rest = self.rest[:end], self.rest[end:]
        return self.tokenizer.encode(stable)

    def flush(self) -> list[int]:
        return self.tokenizer.encode(self.rest)


TEXTS = st.lists(st.one_of(st.sampled_from(SHARDS), st.text(max_size=6)), max_size=12).map("".join)


def test_words_numbers_and_marks_are_tokens() -> None:
    tokens = WORDS.tokens('It\'s 3.5 of 1,000: "well-made"... U.S. 80s')
    assert " ".join(tokens) == 'it \'s 3.5 of 1,000 : " well - made " ... u . s . 80s'


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("don't", ["do", "n't"]),
        ("do n't", ["do", "n't"]),
        ("DON’T", ["do", "n't"]),
        ("couldn't've", ["could", "n't", "'ve"]),
        ("film's", ["film", "'s"]),
        ("parker 's", ["parker", "'s"]),
        ("o'brien's", ["o'brien", "'s"]),
        ("l'homme", ["l'homme"]),
        ("'hello'", ["'", "hello", "'"]),
        ("we'll they're I'd I'm", ["we", "'ll", "they", "'re", "i", "'d", "i", "'m"]),
    ],
)
def test_contractions_part_from_their_word(text: str, tokens: list[str]) -> None:
    assert WORDS.tokens(text) == tokens


@pytest.mark.parametrize("tag", ["<br />", "<br/>", "<br>", "<BR />"])
def test_break_tags_divide_like_a_space(tag: str) -> None:
    assert WORDS.tokens(f"good{tag}{tag}bad") == ["good", "bad"]
    assert WORDS.tokens("a <b> c") == ["a", "<", "b", ">", "c"]


@pytest.mark.parametrize(
    "whole",
    [
        "हिन्दी",
        "кино",
        "ไทย",
        "مرحبا",
        "é",
        "e\u0301te\u0301",
        "👍🏽",
        "👨\u200d👩\u200d👧",
        "🇩🇪",
        "❤\ufe0f",
        "می\u200cخواهم",
    ],
)
def test_scripts_and_emoji_survive_whole(whole: str) -> None:
    assert WORDS.tokens(f"a {whole} b") == ["a", whole, "b"]


def test_chinese_and_japanese_are_cut_into_characters() -> None:
    assert WORDS.tokens("iPhone手机。カ") == ["iphone", "手", "机", "。", "カ"]


def test_case_is_kept_on_request() -> None:
    assert WordTokenizer.build(["The THE"], min_count=1, lower=False).tokens("The cat") == ["The", "cat"]


def test_vocabulary_is_the_commonest_words_ties_in_alphabetical_order() -> None:
    tokenizer = WordTokenizer.build(["b a c a", "d c b", "e"], min_count=2)
    assert tokenizer.words == ("a", "b", "c")
    assert len(tokenizer) == 5
    assert tokenizer.encode("a c e ?") == [2, 4, 1, 1]
    assert WordTokenizer.build(["b a c a", "d c b"], size=3).words == ("a",)


@given(st.lists(TEXTS, max_size=5), st.integers(3, 9), st.integers(1, 3))
def test_vocabulary_does_not_depend_on_the_order_of_texts(texts: list[str], size: int, least: int) -> None:
    texts = [*texts, "again again again"]
    forward = WordTokenizer.build(texts, size, least)
    assert forward == WordTokenizer.build(texts[::-1], size, least)
    assert len(forward) <= size
    counts = [sum(WORDS.tokens(text).count(word) for text in texts) for word in forward.words]
    assert counts == sorted(counts, reverse=True)
    assert min(counts) >= least


def test_impossible_vocabularies_are_refused() -> None:
    with pytest.raises(UsageError, match="size is 2; it must be at least 3"):
        WordTokenizer.build(["a a"], size=2)
    with pytest.raises(UsageError, match="min_count is 0"):
        WordTokenizer.build(["a a"], min_count=0)
    with pytest.raises(DataError, match="no word occurs 2 times"):
        WordTokenizer.build(["each word once"])
    with pytest.raises(UsageError, match="size is 100; it must be at least 258"):
        SubwordTokenizer.train(CORPUS, size=100)


@given(TEXTS)
def test_ids_are_in_range_and_as_many_as_tokens(text: str) -> None:
    for tokenizer in (WORDS, SUBWORDS):
        ids = tokenizer.encode(text)
        assert len(ids) == len(tokenizer.tokens(text))
        assert all(1 <= i < len(tokenizer) for i in ids)


@given(TEXTS)
def test_words_lose_only_white_space_breaks_and_case(text: str) -> None:
    tokenizer = WordTokenizer((), lower=False)
    bare = "".join(tokenizer.tokens(text))
    for tag in ("<br />", "<br/>", "<br >", "<br>", "<BR>"):
        text = text.replace(tag, " ")
    assert bare == "".join(text.split()).replace("’", "'")


@given(TEXTS)
def test_subwords_know_everything_and_give_the_text_back(text: str) -> None:
    ids = SUBWORDS.encode(text)
    assert 1 not in ids
    assert 0 not in ids
    assert SUBWORDS.decode(ids) == text


def test_subwords_learn_merges_and_ignore_reserved_ids() -> None:
    assert len(SUBWORDS) == 1000
    assert len(SUBWORDS.encode(CORPUS[0])) < len(CORPUS[0]) * 0.7
    assert SUBWORDS.decode([0, *SUBWORDS.encode("a cut"), 0, 1]) == "a cut"
    assert "".join(SUBWORDS.tokens("The movie was")) == "The movie was"


@pytest.mark.parametrize("tokenizer", [WORDS, SUBWORDS], ids=["word", "subword"])
@settings(max_examples=300)
@given(TEXTS, st.data())
def test_stream_equals_whole_text_however_it_is_cut(
    tokenizer: Tokenizer, text: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    bounds = [0, *cuts, len(text)]
    stream = Stream(tokenizer)
    ids = [i for a, b in pairwise(bounds) for i in stream.push(text[a:b])]
    assert ids + stream.flush() == tokenizer.encode(text)


@pytest.mark.parametrize("tokenizer", [WORDS, SUBWORDS], ids=["word", "subword"])
def test_stream_equals_whole_text_one_character_at_a_time(tokenizer: Tokenizer) -> None:
    text = "".join(SHARDS) + " ".join(SHARDS)
    stream = Stream(tokenizer)
    ids = [i for character in text for i in stream.push(character)]
    assert ids + stream.flush() == tokenizer.encode(text)


def test_a_word_comes_out_once_the_space_after_it_has_come() -> None:
    stream = Stream(WORDS)
    assert stream.push("the mov") == WORDS.encode("the")
    assert stream.push("ie was") == WORDS.encode("movie")
    assert stream.push(" ") == WORDS.encode("was")
    assert stream.push("do") == []
    assert stream.push("n't ") == WORDS.encode("do n't")
    assert stream.flush() == []
    stream = Stream(SUBWORDS)
    assert stream.push("the mov") == SUBWORDS.encode("the")
    assert stream.push("ie ") == SUBWORDS.encode(" movie")
    assert stream.flush() == SUBWORDS.encode(" ")


@pytest.mark.parametrize("tokenizer", [WORDS, SUBWORDS], ids=["word", "subword"])
def test_json_restores_the_tokenizer(tokenizer: WordTokenizer | SubwordTokenizer) -> None:
    restored = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert type(restored) is type(tokenizer)
    assert restored.to_json() == tokenizer.to_json()
    assert [restored.encode(text) for text in CORPUS] == [tokenizer.encode(text) for text in CORPUS]
    assert len(restored) == len(tokenizer)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"kind": "sentence"},
        {"kind": "word", "lower": True, "words": "abc"},
        {"kind": "word", "lower": True, "words": ["a", 1]},
        {"kind": "subword", "model": {"version": "1.0"}},
    ],
)
def test_damaged_json_is_refused(value: object) -> None:
    with pytest.raises(ArtifactError, match="vocabulary"):
        tokenizer_from_json(value)


def test_subword_training_is_the_same_in_every_process() -> None:
    code = (
        "import sys, hashlib; from elman.data.text.tokenizers import SubwordTokenizer as S; "
        "word = lambda i, j: f'{chr(97 + i % 26)}{chr(97 + i * j % 26)}{i * j % 7}'; "
        "texts = [' '.join(word(i, j) for i in range(60)) for j in range(60)]; "
        "print(hashlib.sha256(S.train(texts, 600).model.encode()).hexdigest())"
    )
    seen = set()
    for hash_seed in ("1", "2", "3"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(run.stdout)
    assert len(seen) == 1
