"""N-grams and their counts, against slices of lists and strings."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.classify import ngrams
from elman.tasks.classify.ngrams import MAX_PHRASE_WORDS, START, NGrams, build, split, words_of

WORDS = ["a", "bb", "ccc", "dog", "don't", "dogs", "狗"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=7), min_size=1, max_size=8)


def names(vocabulary: NGrams) -> list[object]:
    """Each n-gram in order: words and phrases as tuples, pieces as strings."""
    named: list[object] = [(word,) for word in vocabulary.words]
    for key in vocabulary.phrases.tolist():
        beginning, last = divmod(key, len(vocabulary.words))
        named.append((*named[beginning], vocabulary.words[last]))  # type: ignore[misc]
    return [*named, *vocabulary.pieces]


def slices(text: list[str], longest: int) -> Counter[object]:
    found: Counter[object] = Counter(piece for word in text for piece in split(word))
    for n in range(1, longest + 1):
        found.update(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
    return found


@given(TEXTS, st.integers(1, MAX_PHRASE_WORDS), st.integers(1, 3))
@settings(deadline=None)
def test_what_occurs_often_enough_is_counted(texts: list[list[str]], longest: int, rows: int) -> None:
    vocabulary = build(texts, longest, rows, 1000)
    every = [slices(text, longest) for text in texts]
    documents = Counter(ngram for found in every for ngram in found)
    named = names(vocabulary)
    assert len(named) == len(set(named)) == len(vocabulary)
    common = {ngram for ngram, n in documents.items() if n >= rows}
    assert {n for n in named if isinstance(n, tuple)} == {n for n in common if isinstance(n, tuple)}
    assert common <= set(named)  # a piece of two words of one text counts twice
    counted = {
        (int(text), named[int(ngram)]): int(count)
        for counts in vocabulary.count(texts)
        for text, ngram, count in zip(*counts, strict=True)
    }
    expected = {(i, n): k for i, found in enumerate(every) for n, k in found.items() if n in set(named)}
    assert counted == expected


def test_chunks_count_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [["a", "dog"], [], ["dog", "a", "dog"], ["bb"]]
    vocabulary = build(texts, 2, 1, 100)
    whole = [np.concatenate(parts) for parts in zip(*vocabulary.count(texts), strict=True)]
    monkeypatch.setattr(ngrams, "CHUNK_TOKENS", 2)
    assert len([*vocabulary.count(texts)]) == 3
    chunked = [np.concatenate(parts) for parts in zip(*vocabulary.count(texts), strict=True)]
    assert all((one == other).all() for one, other in zip(whole, chunked, strict=True))


def test_the_commonest_are_kept() -> None:
    texts = [["a", "bb"], ["a", "bb"], ["a", "ccc"]]
    vocabulary = build(texts, 2, 1, 6)
    assert vocabulary.words == ("a", "bb", "ccc")
    assert names(vocabulary)[3] == ("a", "bb")
    assert len(vocabulary) == 6
    assert vocabulary.pieces == (" a", " a ")


def test_phrases_tell_what_a_text_begins_with() -> None:
    assert words_of("What is this?") == ["", "what", "is", "this", "?"]
    texts = [words_of("a dog"), words_of("dog a")]
    assert ("", "dog") in names(build(texts, 2, 1, 100))


def test_pieces_have_the_spaces_around_the_word() -> None:
    assert [*split("ab")] == [" a", "ab", "b ", " ab", "ab ", " ab "]
    assert [*split("a" * 2000)][-1] == "aaaa "


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams, "MAX_CACHED_WORDS", 2)
    vocabulary = build([["a", "bb", "ccc"]], 1, 1, 100)
    for word in ("a", "bb", "ccc", "a"):
        assert [vocabulary.pieces[i - vocabulary.first_piece] for i in vocabulary.pieces_of(word)] == [
            *split(word)
        ]
        assert len(vocabulary._pieces_of) <= 2


@given(TEXTS, st.lists(st.sampled_from([*WORDS, "zebra"]), max_size=7))
@settings(deadline=None)
def test_the_share_of_words_and_pairs_that_were_seen(texts: list[list[str]], text: list[str]) -> None:
    vocabulary = build([[START, *one] for one in texts], 3, 1, 1000)
    known, read = {*names(vocabulary)}, [START, *text]
    ngrams = [(word,) for word in text] + [(*pair,) for pair in pairwise(read)]
    expected = sum(ngram in known for ngram in ngrams) / len(ngrams) if ngrams else 0
    assert vocabulary.share_seen(read) == pytest.approx(expected)
