"""Texts as counts of n-grams: words, phrases of words, and pieces of words."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from elman.data.text.tokenizers import WordTokenizer

WORDS: Final = WordTokenizer(())  # any word, in lower case
START: Final = ""  # a word before the first, so that phrases tell what a text begins with
PIECE_CHARACTERS: Final = range(2, 6)  # of a piece of a word, with the spaces around the word
MAX_PHRASE_WORDS: Final = 3  # in any vocabulary, so that a stream need keep no more words
CHUNK_TOKENS: Final = 1 << 18  # of texts that are counted at once
MAX_CACHED_WORDS: Final = 1 << 17  # whose pieces are remembered

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class Counts(NamedTuple):
    """How often which n-gram occurs in which text: three arrays of one length, by text, then by n-gram."""

    texts: Array
    ngrams: Array
    counts: Array


@dataclass(frozen=True, eq=False)
class NGrams:
    """A vocabulary of n-grams, numbered from 0: words, then phrases, then pieces.

    Attributes:
        words: in lower case.
        phrases: (P,) int64, ascending. A phrase is a beginning, which is a word or a phrase, and a last word:
            the beginning's number · the number of words + the last word's number.
        pieces: two to five characters of a word between two spaces.
    """

    words: tuple[str, ...]
    phrases: Tensor
    pieces: tuple[str, ...]
    _pieces_of: dict[str, Array] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return self.first_piece + len(self.pieces)

    @property
    def first_piece(self) -> int:
        """The number of the first piece."""
        return len(self.words) + len(self.phrases)

    @cached_property
    def _word_numbers(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def _piece_numbers(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self.pieces, start=self.first_piece)}

    def word_numbers(self, words: Sequence[str]) -> Array:
        """Return the numbers of words, -1 for one that is not in the vocabulary."""
        return np.array([self._word_numbers.get(word, -1) for word in words], np.int64)

    def pieces_of(self, word: str) -> Array:
        """Return the numbers of the pieces of a word, as often as they occur in it."""
        numbers = self._pieces_of.get(word)
        if numbers is None:
            known = (self._piece_numbers.get(piece, -1) for piece in split(word))
            numbers = np.array([i for i in known if i >= 0], np.int64)
            if len(self._pieces_of) >= MAX_CACHED_WORDS:
                self._pieces_of.clear()
            self._pieces_of[word] = numbers
        return numbers

    def phrases_of(self, words: Array) -> Iterator[Array]:
        """Yield the numbers of the words (N,), as given; then, (N - 1,), of the phrases of two words that
        begin at each of them, and so on; -1 for one that is not in the vocabulary."""
        numbers = words
        for length in range(1, MAX_PHRASE_WORDS + 1):
            yield numbers
            ends = words[length:]
            keys = numbers[: len(ends)] * len(self.words) + ends
            keys[(numbers[: len(ends)] < 0) | (ends < 0)] = -1
            phrases = self.phrases.numpy()
            places = np.searchsorted(phrases, keys)
            places[places == len(phrases)] = 0
            same = phrases[places] == keys if len(phrases) else np.zeros(len(keys), bool)
            numbers = np.where(same, places + len(self.words), -1)

    def share_seen(self, words: Sequence[str]) -> float:
        """Return the share of the words and pairs of words that are in the vocabulary, 0 of no words; the
        first of the words is START."""
        if len(words) < 2:
            return 0.0
        single, pairs = islice(self.phrases_of(self.word_numbers(words)), 2)
        return float(np.mean(np.concatenate([single[1:], pairs]) >= 0))

    def count(self, texts: Sequence[Sequence[str]]) -> Iterator[Counts]:
        """Yield the n-grams of tokenized texts, chunk by chunk of the texts."""
        for start, chunk in _chunks(texts):
            rows, tokens, words = _flat(chunk)
            phrases = self._count_phrases(rows, self.word_numbers(words)[tokens])
            pieces = self._count_pieces(rows, tokens, words)
            merged = [np.concatenate(pair) for pair in zip(phrases, pieces, strict=True)]
            order = np.argsort(merged[0], kind="stable")
            yield Counts(start + merged[0][order], merged[1][order], merged[2][order])

    def _count_phrases(self, rows: Array, words: Array) -> Counts:
        texts, numbers = [], []
        for length, phrases in enumerate(self.phrases_of(words)):
            inside = (phrases >= 0) & (rows[: len(phrases)] == rows[length:])
            texts.append(rows[: len(phrases)][inside])
            numbers.append(phrases[inside])
        return summed(np.concatenate(texts), np.concatenate(numbers), None, len(self))

    def _count_pieces(self, rows: Array, tokens: Array, words: Sequence[str]) -> Counts:
        once = summed(rows, tokens, None, len(words))  # each different word of a text, with its count
        places, pieces = joined([self.pieces_of(word) for word in words], once.ngrams)
        return summed(once.texts[places], pieces, once.counts[places], len(self))


def check_phrases(phrases: Tensor, words: int) -> None:
    """Raise ValueError if a number in `phrases` (P,) is no phrase of that many words; see `NGrams`."""
    # a beginning comes before all phrases that are made with it
    keys, most = phrases.numpy(), np.arange(words, words + len(phrases)) * words
    if bool((keys < 0).any() or (keys >= most).any() or (np.diff(keys) <= 0).any()):
        raise ValueError("phrases must be numbers of words, in order")


def words_of(text: str) -> list[str]:
    """Return the words of a text, after a mark of its start."""
    return [START, *WORDS.tokens(text)]


def split(word: str) -> Iterator[str]:
    """Yield every piece of a word."""
    spaced = f" {word} "
    for size in PIECE_CHARACTERS:
        yield from (spaced[i : i + size] for i in range(len(spaced) - size + 1))


def joined(arrays: Sequence[Array], which: Array) -> tuple[Array, Array]:
    """Return the chosen arrays, one after the other, and for each value the place of its array in `which`."""
    sizes = np.array([len(one) for one in arrays], np.int64)
    starts = (np.cumsum(sizes) - sizes)[which]
    sizes = sizes[which]
    places = np.repeat(np.arange(len(which)), sizes)
    inside = np.arange(len(places)) - (np.cumsum(sizes) - sizes)[places]
    return places, np.concatenate([np.zeros(0, np.int64), *arrays])[starts[places] + inside]


def summed(texts: Array, ngrams: Array, counts: Array | None, size: int) -> Counts:
    """Return the different pairs of text and n-gram (below `size`), ordered, with the sums of their counts,
    which are 1 each if None."""
    keys = texts * size + ngrams
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    if counts is None:
        totals = np.diff(first, append=len(keys))
    else:
        totals = np.add.reduceat(counts[order], first) if len(first) else counts[:0]
    return Counts(keys[first] // max(size, 1), keys[first] % max(size, 1), totals)


def build(texts: Sequence[Sequence[str]], longest: int, rows: int, most: int) -> NGrams:
    """Return the n-grams that occur in at least `rows` of the tokenized texts: at most `most`, of which two
    thirds may be words and phrases of up to `longest` words; the commonest."""
    counts = Counter(word for text in texts for word in set(text))
    words = _commonest(counts, rows, 2 * most // 3)
    vocabulary = NGrams(words, torch.zeros(0, dtype=torch.int64), ())
    for length in range(2, longest + 1):
        phrases = _phrases(vocabulary, texts, length, rows, 2 * most // 3 - vocabulary.first_piece)
        vocabulary = NGrams(words, torch.cat([vocabulary.phrases, phrases]), ())
    pieces: Counter[str] = Counter()
    for word, count in counts.items():
        pieces.update(dict.fromkeys(split(word), count))
    return NGrams(words, vocabulary.phrases, _commonest(pieces, rows, most - vocabulary.first_piece))


def _commonest(counts: Counter[str], least: int, most: int) -> tuple[str, ...]:
    frequent = ((-n, text) for text, n in counts.items() if n >= least)
    return tuple(text for _, text in sorted(frequent)[:most])


def _phrases(
    vocabulary: NGrams, texts: Sequence[Sequence[str]], length: int, least: int, most: int
) -> Tensor:
    """Return the commonest phrases of `length` words, given those that are shorter."""
    rows, tokens, different = _flat(texts)
    words = vocabulary.word_numbers(different)[tokens]
    *_, beginnings = islice(vocabulary.phrases_of(words), length - 1)
    ends, rows, same = words[length - 1 :], rows[: len(rows) - length + 1], rows[length - 1 :]
    beginnings = beginnings[: len(ends)]
    inside = (beginnings >= 0) & (ends >= 0) & (rows == same)
    keys, which = np.unique((beginnings * len(vocabulary.words) + ends)[inside], return_inverse=True)
    pairs = summed(rows[inside], which, None, len(keys))
    counts = np.bincount(pairs.ngrams, minlength=len(keys))
    common = np.flatnonzero(counts >= least)
    common = common[np.argsort(-counts[common], kind="stable")[: max(most, 0)]]
    return torch.from_numpy(np.sort(keys[common]))


def _chunks(texts: Sequence[Sequence[str]]) -> Iterator[tuple[int, Sequence[Sequence[str]]]]:
    """Yield texts of about CHUNK_TOKENS tokens, each time with the number of the first."""
    start, tokens = 0, 0
    for end, text in enumerate(texts, start=1):
        tokens += len(text)
        if tokens >= CHUNK_TOKENS or end == len(texts):
            yield start, texts[start:end]
            start, tokens = end, 0


def _flat(texts: Sequence[Sequence[str]]) -> tuple[Array, Array, list[str]]:
    """Return for each token of all texts its text and the number of its word; and the different words."""
    numbers: dict[str, int] = {}
    tokens = array("q", (numbers.setdefault(word, len(numbers)) for word in chain.from_iterable(texts)))
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    return rows, np.array(tokens, np.int64), list(numbers)
