"""The plain baseline of a chatbot: retrieve the training reply to the nearest context.

Nearest means the largest cosine between tf-idf vectors. A word that occurs f times in a text and in d of the
N fitted texts weighs (1 + ln f) (1 + ln(N / d)), and a text's weights are scaled to length 1: Manning,
Raghavan & Schütze, "Introduction to Information Retrieval", 2008, chapter 6, without the 1 before ln(N / d);
it keeps words that all texts share. Unknown words weigh nothing.

An inverted index makes an answer cost the texts that share a word with the context, not N times V.
"""

import itertools
import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elman.errors import UsageError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

WORD: Final = re.compile(r"\w+")
MAX_NEIGHBOURS: Final = 100  # among which a reply is found again
DIGITS: Final = 12  # similarities that differ only beyond them differ by rounding


def words(text: str) -> list[str]:
    """Return the runs of letters and digits of a text, in lower case."""
    return WORD.findall(text.lower())


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Retrieves replies. Made by `fit`."""

    contexts: list[str]
    replies: list[str]  # `replies[k]` answers `contexts[k]`
    _index: "_Index"  # of the contexts
    _reply_idf: dict[str, float]

    @classmethod
    def fit(cls, contexts: Sequence[str], replies: Sequence[str], max_pairs: int = 100_000) -> "Retrieval":
        """Index the pairs; of more than `max_pairs`, that many, spread evenly. Raises UsageError if there are
        no pairs, if contexts and replies differ in number, or if `max_pairs` is below 1."""
        count = len(contexts)
        if count != len(replies) or not contexts or max_pairs < 1:
            raise UsageError(
                "retrieval takes as many contexts as replies and keeps at least 1 of them, "
                f"not {count} and {len(replies)} with max_pairs={max_pairs}"
            )
        rows = range(count) if count <= max_pairs else [k * count // max_pairs for k in range(max_pairs)]
        contexts, replies = [contexts[k] for k in rows], [replies[k] for k in rows]
        return cls(contexts, replies, _Index.of(contexts), _Counts.of(replies).idf())

    def nearest(self, context: str, count: int = 1) -> list[tuple[str, float]]:
        """Return the replies to the `count` nearest contexts, each with its cosine, 0 to 1, best first.

        The earlier of equal ones comes first. Contexts that share no word are left out; if all are, the
        result is the commonest replies, each with 0.
        """
        if count < 1:
            raise UsageError(f"count must be at least 1, not {count}")
        similarity = self._index.cosines(context)
        # round only the few that may be among the best after rounding
        last = max(0, len(similarity) - count)
        least = max(np.partition(similarity, last)[last] - 10.0**-DIGITS, 10.0**-DIGITS)
        best = np.flatnonzero(similarity > least)
        if not len(best):
            return [(reply, 0.0) for reply, _ in Counter(self.replies).most_common(count)]
        rounded = similarity[best].round(DIGITS).clip(max=1)
        order = np.argsort(-rounded, kind="stable")[:count]
        return [(self.replies[best[k]], float(rounded[k])) for k in order]

    @cached_property
    def _replies_to(self) -> dict[str, Counter[str]]:
        """The replies to each context, both as their words alone, with their counts."""
        replies: dict[str, Counter[str]] = defaultdict(Counter)
        for context, reply in zip(self.contexts, self.replies, strict=True):
            replies[" ".join(words(context))][" ".join(words(reply))] += 1
        return replies

    def has_words_of(self, reply: str, context: Sequence[str]) -> bool:
        """Return whether every word of a reply, numbers aside, is one of the training replies or of the
        context (texts)."""
        spoken = {word for text in context for word in words(text)}
        return all(word in self._reply_idf or word in spoken or not word.isalpha() for word in words(reply))

    def rank(self, context: str, candidates: Sequence[str]) -> list[float]:
        """Return the cosine of each candidate with the nearest context's reply, by the idf of replies."""
        ((reply, _),) = self.nearest(context)
        target = _vector(reply, self._reply_idf)
        return [_cosine(target, _vector(candidate, self._reply_idf)) for candidate in candidates]

    def support(
        self, context: str, candidates: Sequence[str], count: int = 8, known: bool = True
    ) -> list[float]:
        """Return how much each candidate is like the replies to similar contexts, 0 to 1.

        It is the largest product of both cosines for the `count` nearest pairs. A training reply does not
        speak for itself, as none speaks for the true reply to a new text: the nearest pair whose reply has
        the candidate's words is left out. But a reply to the very words of the context, if they are `known`,
        counts at least by its cosine with the counts of the replies to them: 1 if it was the only one.
        """
        near = [
            (" ".join(words(reply)), _vector(reply, self._reply_idf), cosine)
            for reply, cosine in self.nearest(context, MAX_NEIGHBOURS)
        ]
        same = self._replies_to.get(" ".join(words(context)), Counter()) if known else Counter()
        length = math.hypot(*same.values()) or 1.0
        replies = [reply for reply, _, _ in near]
        rows = []
        for text in candidates:
            candidate, vector = " ".join(words(text)), _vector(text, self._reply_idf)
            left_out = replies.index(candidate) if candidate in replies else None
            others = [row for k, row in enumerate(near[: count + 1]) if k != left_out][:count]
            likeness = [cosine * _cosine(reply, vector) for _, reply, cosine in others]
            rows.append(max([same[candidate] / length, *likeness]))
        return rows


@dataclass(frozen=True, eq=False)
class _Counts:
    """Counts of words in texts: one row for each word and text, sorted by word, then by text."""

    texts: int
    numbers: dict[str, int]  # word → its number
    word: Ints
    text: Ints
    times: Ints

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Counts":
        numbers: defaultdict[str, int] = defaultdict(itertools.count().__next__)
        occurrences, sizes = array("q"), array("q")
        for text in texts:
            before = len(occurrences)
            occurrences.extend(map(numbers.__getitem__, words(text)))
            sizes.append(len(occurrences) - before)
        keys = np.array(occurrences) * len(texts) + np.repeat(np.arange(len(texts)), np.array(sizes))
        keys, times = np.unique(keys, return_counts=True)
        return cls(len(texts), dict(numbers), *np.divmod(keys, len(texts)), times)

    def idf(self) -> dict[str, float]:
        frequency = np.bincount(self.word, minlength=len(self.numbers))  # of texts
        weights: list[float] = (1 + np.log(self.texts / frequency)).tolist()
        return dict(zip(self.numbers, weights, strict=True))


@dataclass(frozen=True, eq=False)
class _Index:
    """An inverted index: word number k is in the texts `members[starts[k] : starts[k + 1]]`, with weights."""

    texts: int
    numbers: dict[str, int]
    idf: dict[str, float]
    starts: Ints
    members: NDArray[np.int32]
    weights: Array

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Index":
        counts = _Counts.of(texts)
        idf = counts.idf()
        weights = (1 + np.log(counts.times)) * np.fromiter(idf.values(), float)[counts.word]
        lengths = np.sqrt(np.bincount(counts.text, weights**2, len(texts)))
        starts = np.searchsorted(counts.word, np.arange(len(idf) + 1))
        members = counts.text.astype(np.int32)
        return cls(len(texts), counts.numbers, idf, starts, members, weights / lengths[counts.text])

    def cosines(self, text: str) -> Array:
        """Return the cosines with all texts, (N,)."""
        similarity = np.zeros(self.texts)
        for word, weight in _vector(text, self.idf).items():
            number = self.numbers[word]
            rows = slice(self.starts[number], self.starts[number + 1])
            similarity[self.members[rows]] += weight * self.weights[rows]  # each text occurs once
        return similarity


def _cosine(a: dict[str, float], b: dict[str, float]) -> float:
    """Return the product of two vectors of length 1."""
    return min(1.0, round(sum(a.get(word, 0.0) * weight for word, weight in b.items()), DIGITS))


def _vector(text: str, idf: dict[str, float]) -> dict[str, float]:
    """Return the weights of a text's known words, of length 1; empty if none is known."""
    counts = Counter(word for word in words(text) if word in idf)
    weights = {word: (1 + math.log(times)) * idf[word] for word, times in counts.items()}
    length = math.hypot(*weights.values())
    return {word: weight / length for word, weight in weights.items()}
