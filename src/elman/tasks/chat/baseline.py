"""The plain baseline of a chatbot: answer with the reply that was once given to the nearest context.

Nearest is the largest cosine between tf-idf vectors. A word that occurs f times in a text and in d of the N
texts fitted weighs (1 + ln f) (1 + ln(N / d)), and a text's weights are scaled to length 1: Manning, Raghavan
& Schütze, "Introduction to Information Retrieval", 2008, chapter 6, where idf lacks the 1 before ln(N / d);
it keeps words that all texts share. Words never seen weigh nothing.

Answering from an inverted index costs what the words of the context share with the texts, not N times V.
"""

import itertools
import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elman.errors import UsageError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

WORD: Final = re.compile(r"\w+")
# Similarities closer than this differ by the order of their sums alone.
DIGITS: Final = 12


def words(text: str) -> list[str]:
    """The runs of letters and digits of a text, in lower case."""
    return WORD.findall(text.lower())


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Made by `fit`.

    Attributes:
        contexts: what was said before each reply.
        replies: as many; `replies[k]` answers `contexts[k]`.
    """

    contexts: list[str]
    replies: list[str]
    _index: "_Index"  # of the contexts
    _reply_idf: dict[str, float]

    @classmethod
    def fit(cls, contexts: Sequence[str], replies: Sequence[str], most: int = 100_000) -> "Retrieval":
        """Index the pairs; of more than `most`, as many spread evenly over them.

        Raises:
            UsageError: there are no pairs, contexts and replies differ in number, or `most` is below 1.
        """
        if len(contexts) != len(replies) or not contexts or most < 1:
            raise UsageError(
                "retrieval takes as many contexts as replies and keeps at least 1 of them, "
                f"not {len(contexts)} and {len(replies)} with most={most}"
            )
        count = len(contexts)
        kept = range(count) if count <= most else [k * count // most for k in range(most)]
        asked, answered = [contexts[k] for k in kept], [replies[k] for k in kept]
        return cls(asked, answered, _Index.of(asked), _Counts.of(answered).idf())

    def nearest(self, context: str, count: int = 1) -> list[tuple[str, float]]:
        """The replies to the `count` nearest contexts, each with its cosine, 0 to 1, best first.

        Of equal ones the earlier comes first. Contexts that share no word are left out; if all are, the
        commonest replies come, each with 0.
        """
        if count < 1:
            raise UsageError(f"count must be at least 1, not {count}")
        similarity = self._index.cosines(context)
        # Rounding moves no number far: those that may be among the best are few, and they alone are rounded.
        last = max(0, len(similarity) - count)
        least = max(np.partition(similarity, last)[last] - 10.0**-DIGITS, 10.0**-DIGITS)
        best = np.flatnonzero(similarity > least)
        if not len(best):
            return [(reply, 0.0) for reply, _ in Counter(self.replies).most_common(count)]
        rounded = similarity[best].round(DIGITS).clip(max=1)
        order = np.argsort(-rounded, kind="stable")[:count]
        return [(self.replies[best[k]], float(rounded[k])) for k in order]

    def rank(self, context: str, candidates: Sequence[str]) -> list[float]:
        """The cosine of each candidate with the reply that `nearest` gives; idf is that of the replies."""
        ((reply, _),) = self.nearest(context)
        wanted = _vector(reply, self._reply_idf)
        vectors = (_vector(candidate, self._reply_idf) for candidate in candidates)
        sums = (sum(wanted.get(word, 0.0) * weight for word, weight in one.items()) for one in vectors)
        return [min(1.0, round(found, DIGITS)) for found in sums]


@dataclass(frozen=True, eq=False)
class _Counts:
    """How often words occur in texts: one row a word and a text it is in, sorted by word, then by text."""

    texts: int
    numbers: dict[str, int]  # of the words
    word: Ints
    text: Ints
    times: Ints

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Counts":
        numbers: defaultdict[str, int] = defaultdict(itertools.count().__next__)
        found, sizes = array("q"), array("q")
        for text in texts:
            before = len(found)
            found.extend(map(numbers.__getitem__, words(text)))
            sizes.append(len(found) - before)
        keys = np.array(found) * len(texts) + np.repeat(np.arange(len(texts)), np.array(sizes))
        keys, times = np.unique(keys, return_counts=True)
        return cls(len(texts), dict(numbers), *np.divmod(keys, len(texts)), times)

    def idf(self) -> dict[str, float]:
        frequency = np.bincount(self.word, minlength=len(self.numbers))  # of texts
        weights: list[float] = (1 + np.log(self.texts / frequency)).tolist()
        return dict(zip(self.numbers, weights, strict=True))


@dataclass(frozen=True, eq=False)
class _Index:
    """Texts by their words: word number k is in `places[starts[k] : starts[k + 1]]`, and weighs `weights`."""

    texts: int
    numbers: dict[str, int]
    idf: dict[str, float]
    starts: Ints
    places: NDArray[np.int32]
    weights: Array

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Index":
        counts = _Counts.of(texts)
        idf = counts.idf()
        weights = (1 + np.log(counts.times)) * np.fromiter(idf.values(), float)[counts.word]
        lengths = np.sqrt(np.bincount(counts.text, weights**2, len(texts)))
        starts = np.searchsorted(counts.word, np.arange(len(idf) + 1))
        places = counts.text.astype(np.int32)
        return cls(len(texts), counts.numbers, idf, starts, places, weights / lengths[counts.text])

    def cosines(self, text: str) -> Array:
        """With each of the texts: (N,)."""
        similarity = np.zeros(self.texts)
        for word, weight in _vector(text, self.idf).items():
            number = self.numbers[word]
            there = slice(self.starts[number], self.starts[number + 1])
            similarity[self.places[there]] += weight * self.weights[there]  # no text stands there twice
        return similarity


def _vector(text: str, idf: dict[str, float]) -> dict[str, float]:
    """The weights of a text's known words, of length 1; empty where none is known."""
    found = Counter(word for word in words(text) if word in idf)
    weights = {word: (1 + math.log(times)) * idf[word] for word, times in found.items()}
    length = math.hypot(*weights.values())
    return {word: weight / length for word, weight in weights.items()}
