"""The plain baseline of a language model: an interpolated n-gram with modified Kneser–Ney smoothing.

Kneser & Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995; three discounts an order: Chen
& Goodman, "An empirical study of smoothing techniques for language modeling", 1999. For a word w after the
context h, where h' is h without its first token:

    p(w | h) = (c(h w) - D(c(h w))) / c(h ·) + left(h) p(w | h'),   left(h) = sum over w of D(c(h w)) / c(h ·)

c is the count in the text at the highest order and the number of different left neighbours at lower orders;
the start of the text is a neighbour. A context without a count has left(h) = 1. The order below single words
is the uniform distribution, so nothing is impossible. The text is one stream: contexts cross sentences.

Every n-gram has a number, its position among the sorted keys of its order. Its key is the number of its first
n - 1 tokens times the size of the vocabulary, plus its last token: below tokens × words at any order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.data.text.vocabulary import AnyVocabulary
from elman.errors import UsageError
from elman.tasks.generate.settings import ORDERS

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# The number of an n-gram that the text lacks. As an index it is the last row, which every table keeps for it.
_UNSEEN = -1


class NGram:
    """An n-gram model. Made by `fit`; `log_probs` scores a text, `distribution` predicts the next token."""

    def __init__(self, words: int, levels: "list[_Level]") -> None:
        self.words = words
        self.order = len(levels)
        self._levels = levels

    @classmethod
    def fit(cls, ids: NDArray[Any], words: int, order: int) -> "NGram":
        """Count the n-grams of up to `order` tokens in one running text (N,) of ids 0..words - 1: with 50,000
        words and order 5, 10 million tokens take up to 2 GB and half a minute.

        Raises UsageError for a number below 1, or an id outside the vocabulary.
        """
        if min(words, order) < 1:
            raise UsageError(f"words and order must be at least 1, not {words} and {order}")
        levels: list[_Level] = []
        contexts = 1  # the empty one
        for keys, counts in _ngram_counts(_checked(ids, words), words, order):
            levels.append(_Level.of(keys, counts, contexts, words))
            contexts = len(keys)
        return cls(words, levels)

    def log_probs(self, ids: NDArray[Any]) -> Array:
        """Return ln p of every token (N,) given the order - 1 tokens before it, or fewer at the start."""
        text = _checked(ids, self.words)
        p = np.full(len(text), 1 / self.words)
        for n, (level, contexts, grams) in enumerate(self._walk(text)):
            p[n:] *= level.left[contexts[:-1]]
            p[n:] += level.share[grams]
        return np.asarray(np.log(p))

    def distribution(self, contexts: NDArray[Any]) -> Array:
        """Return p of every word after each context (M, C): (M, words), every row sums to 1.

        The last order - 1 tokens of a context count; C may be smaller, even 0. No intermediate array is
        larger than the result: pass as many rows at a time as there is memory for.
        """
        ids = _checked(contexts, self.words)
        ids = ids[:, max(0, ids.shape[1] - self.order + 1) :]
        p = np.full((1, self.words), 1 / self.words)
        for n, (level, before, _) in enumerate(self._walk(ids)):
            if n == 0:
                level.mix(p, np.zeros(1, np.int64), self.words)  # the same for all
                p = np.repeat(p, len(ids), axis=0)
            elif n <= ids.shape[1]:
                level.mix(p, before[:, -1], self.words)
        return p

    def _walk(self, ids: Ints) -> "Iterator[tuple[_Level, Ints, Ints]]":
        """Yield, for n = 1, 2, …, the level, the number of every (n - 1)-gram in `ids`, and of every n-gram.

        Both are indexed by their first token along the last axis; the last (n - 1)-gram has no next token.
        """
        grams = np.zeros((*ids.shape[:-1], ids.shape[-1] + 1), np.int64)
        for n, level in enumerate(self._levels):
            contexts = grams
            grams = level.find(contexts[..., :-1] * self.words + ids[..., n:])
            yield level, contexts, grams


def ngram_of(tokens: NDArray[Any], vocabulary: AnyVocabulary) -> NGram:
    """Return the n-gram beside a language model with this vocabulary, made from a text (N,) of its ids."""
    return NGram.fit(tokens, len(vocabulary), ORDERS[vocabulary.kind])


@dataclass(frozen=True)
class _Level:
    """The n-grams of one order. The last row of each table is that of n-grams which the text lacks."""

    keys: Ints  # ascending
    share: Array  # of each n-gram: its discounted count over the count of its context
    left: Array  # of each context: the probability left to the order below

    @classmethod
    def of(cls, keys: Ints, counts: Ints, contexts: int, words: int) -> "_Level":
        """Make the tables from the n-grams' keys and counts and the number of (n - 1)-grams."""
        context = keys // words
        discount = _discounts(counts)
        kind = np.minimum(counts, 3)
        totals = np.bincount(context, counts, contexts)
        discounted = np.zeros(contexts)
        for k in (1, 2, 3):  # exact integers times one number: a running sum of discounts would drift
            discounted += discount[k] * np.bincount(context[kind == k], minlength=contexts)
        share = (counts - discount[kind]) / totals[context]
        left = np.divide(discounted, totals, out=np.ones(contexts), where=totals > 0)
        return cls(np.append(keys, np.iinfo(np.int64).max), np.append(share, 0.0), np.append(left, 1.0))

    def find(self, keys: Ints) -> Ints:
        """Return the numbers of n-grams by their keys. A context that the text lacks makes a negative key."""
        positions = np.searchsorted(self.keys, keys)
        return np.where(self.keys[positions] == keys, positions, _UNSEEN)

    def mix(self, p: Array, contexts: Ints, words: int) -> None:
        """Turn the distributions (M, words) of the order below into this order's, in place."""
        first = np.searchsorted(self.keys, contexts * words)  # the n-grams of one context are adjacent
        sizes = np.searchsorted(self.keys, (contexts + 1) * words) - first
        rows = np.repeat(np.arange(len(p)), sizes)
        positions = np.arange(len(rows)) + np.repeat(first + sizes - np.cumsum(sizes), sizes)
        p *= self.left[contexts][:, None]
        p[rows, self.keys[positions] % words] += self.share[positions]


def _ngram_counts(ids: Ints, words: int, order: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield, for n = 1..order, the ascending keys of the n-grams in a text, and their counts."""
    keys, grams = np.unique(ids, return_inverse=True)
    for n in range(1, order):
        longer_keys, longer = np.unique(grams[:-1] * words + ids[n:], return_inverse=True)
        inner = np.zeros(len(longer_keys), np.int64)
        inner[longer] = grams[1:]  # each longer n-gram without its first token
        counts = np.bincount(inner, minlength=len(keys))
        counts[grams[:1]] += 1  # the start of the text
        yield keys, counts
        keys, grams = longer_keys, longer
    yield keys, np.bincount(grams, minlength=len(keys))


def _discounts(counts: Ints) -> Array:
    """Return the discounts of a count of 0, 1, 2 and of 3 or more, from the counts of counts.

    Chen & Goodman's estimates if the text is large enough for all to be above 0, else half of 1, 2, 3.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].astype(float)
    times = np.arange(1.0, 4.0)
    if n.all():
        estimates = times - (times + 1) * n[0] / (n[0] + 2 * n[1]) * n[1:] / n[:-1]
        if estimates.min() > 0:
            return np.append(0.0, estimates)
    return np.append(0.0, times / 2)


def _checked(ids: NDArray[Any], words: int) -> Ints:
    """Return ids of the vocabulary as int64. Raises UsageError for any other number."""
    if ids.dtype.kind not in "iu":
        raise UsageError(f"token ids must be integers, not {ids.dtype}")
    if ids.size and (ids.min() < 0 or ids.max() >= words):
        raise UsageError(
            f"token ids must lie in 0..{words - 1}, but these range from {ids.min()} to {ids.max()}"
        )
    return np.asarray(ids, np.int64)
