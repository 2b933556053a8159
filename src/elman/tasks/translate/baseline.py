"""The plain baseline of a translator: a word-for-word dictionary learned from sentence pairs.

IBM model 1: Brown, Della Pietra, Della Pietra & Mercer, "The mathematics of statistical machine translation",
Computational Linguistics 19(2), 1993. Every target word was made by one source word of its sentence, or by
NULL, each as likely as the next: of a target sentence e1..em beside f1..fl, with f0 = NULL,

    p(e | f) = product over j of  1/(l + 1) sum over i of t(ej | fi)

EM finds t: count every link (i, j) by its share of the sum over i, then make the counts of each source word
sum to 1. It starts from equal t; there is one maximum, and each round comes nearer.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elman.data.text.tokenizers import WordTokenizer
from elman.errors import ArtifactError, UsageError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST: Final = 200_000  # sentence pairs that are learned from: the first
LONGEST: Final = 100  # words of a sentence; what is longer is cut
LINKS: Final = 16_000_000  # links in all, each a few numbers; sentences beyond them are not read
NULL: Final = ""  # no word is empty
ROW: Final = 0  # NULL's number among the source words

CUT = WordTokenizer((), lower=False)
CLOSING: Final = re.compile(r"[.,!?;:)']|n't\Z", re.IGNORECASE)  # no space before these
LETTER: Final = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, eq=False)
class WordDictionary:
    """Made by `fit`.

    Attributes:
        words: source word in lower case → its likeliest target word as it is mostly spelt; "" if the target
            word is likelier to come from nothing, so that the source word is best left out. A mark that both
            languages have is not left out.
    """

    words: dict[str, str]

    @classmethod
    def fit(cls, source: Sequence[str], target: Sequence[str], rounds: int = 5) -> "WordDictionary":
        """Learn from sentence pairs (N each), of which the first MOST count, by so many rounds of EM.

        Raises:
            UsageError: there are not as many targets as sources, or `rounds` is below 1.
        """
        if len(source) != len(target):
            raise UsageError(f"there are {len(source)} source sentences and {len(target)} target sentences.")
        if rounds < 1:
            raise UsageError(f"rounds is {rounds}; it must be at least 1.")
        ours, theirs = _Side.of(source[:MOST], null=True), _Side.of(target[:MOST])
        links = _Links.of(ours, theirs)
        t = links.uniform()
        for _ in range(rounds):
            t, _ = links.round(t)
        names, spelt = list(ours.numbers), theirs.spelt()
        words = {names[f]: spelt[e] if e >= 0 else NULL for f, e in links.best(t)}
        # NULL and the full stop are both in every sentence, so EM cannot tell them apart.
        both = (f for f, e in words.items() if not e and not f[0].isalnum() and f in theirs.numbers)
        return cls(words | {mark: mark for mark in both})

    def translate(self, text: str) -> str:
        """`text` word by word; what the dictionary does not know is copied."""
        found = (self.words.get(word.lower(), word) for word in CUT.tokens(text))
        joined = _joined([word for word in found if word])
        first, ours = LETTER.search(text), LETTER.search(joined)
        if first and ours and first[0].isupper():
            joined = joined[: ours.start()] + ours[0].upper() + joined[ours.end() :]
        return joined

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes back."""
        return {"kind": "dictionary", "words": dict(self.words)}

    @classmethod
    def from_json(cls, value: Any) -> "WordDictionary":
        """The dictionary whose `to_json` gave `value`.

        Raises:
            ArtifactError: `value` describes no dictionary.
        """
        match value:
            case {"kind": "dictionary", "words": dict(words)} if all(
                isinstance(word, str) for pair in words.items() for word in pair
            ):
                return cls(dict(words))
        raise ArtifactError("the word-for-word dictionary is unreadable; the model's folder is damaged.")


def _joined(words: Iterable[str]) -> str:
    text, gap = "", ""
    for word in words:
        text += word if CLOSING.match(word) else gap + word
        gap = "" if word == "(" else " "
    return text


@dataclass(frozen=True, eq=False)
class _Side:
    """One language's sentences (N) as word numbers, in one row (T)."""

    numbers: dict[str, int]  # of each lower-cased word, in order of appearance
    spellings: Counter[str]
    flat: Ints  # (T,)
    lengths: Ints  # (N,)

    @classmethod
    def of(cls, texts: Iterable[str], null: bool = False) -> "_Side":
        """Cut and number; with `null`, NULL begins every sentence and has number ROW."""
        numbers: dict[str, int] = {NULL: ROW} if null else {}
        spellings: Counter[str] = Counter()
        flat, lengths = array("q"), array("q")
        for text in texts:
            words = CUT.tokens(text)[:LONGEST]
            spellings.update(words)
            if null:
                flat.append(ROW)
            flat.extend(numbers.setdefault(word.lower(), len(numbers)) for word in words)
            lengths.append(len(words) + null)
        return cls(numbers, spellings, np.array(flat, np.int64), np.array(lengths, np.int64))

    def spelt(self) -> list[str]:
        """The commonest spelling of each word; of equally common ones "word", not "Word"."""
        best: dict[str, tuple[int, str]] = {}
        for word, count in self.spellings.items():
            low = word.lower()
            best[low] = max(best.get(low, (0, "")), (count, word))
        return [best[word][1] for word in self.numbers]


@dataclass(frozen=True, eq=False)
class _Links:
    """Who may have made whom: L links of a target word in its place to a source word in its place, between P
    different pairs of words. t is an array (P,)."""

    source: Ints  # (P,) of each pair, rising
    target: Ints  # (P,)
    pair: Ints  # (L,) of each link; the links of a target word in its place stand together
    lengths: Ints  # (T,) how many links each target word in its place has

    @classmethod
    def of(cls, ours: _Side, theirs: _Side) -> "_Links":
        """The links of the first sentences, as many as LINKS allows; NULL gives each target word one."""
        kept = int(np.searchsorted(np.cumsum(ours.lengths * theirs.lengths), LINKS, side="right"))
        wide, tall = ours.lengths[:kept], theirs.lengths[:kept]
        lengths = np.repeat(wide, tall)
        starts = np.repeat(np.cumsum(wide) - wide, tall)  # of its source sentence, for each target word
        links = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths - starts, lengths)
        size = max(len(theirs.numbers), 1)
        keys = ours.flat[links]
        del links
        keys *= size
        keys += np.repeat(theirs.flat[: len(lengths)], lengths)
        different = np.unique(keys)  # its return_inverse would need twice the memory of the search
        return cls(different // size, different % size, np.searchsorted(different, keys), lengths)

    def uniform(self) -> Array:
        """Every target word equally likely; those that never meet a source word need no place in t."""
        return np.full(len(self.target), 1 / max(len(np.unique(self.target)), 1))

    def round(self, t: Array) -> tuple[Array, float]:
        """The next t, and ln p of all target sentences under the one given."""
        if not len(t):
            return t, 0.0
        shares = t[self.pair]
        sums = np.add.reduceat(shares, np.cumsum(self.lengths) - self.lengths)
        shares /= np.repeat(sums, self.lengths)
        counts = np.bincount(self.pair, shares, len(t))
        return counts / np.bincount(self.source, counts)[self.source], float(
            np.log(sums / self.lengths).sum()
        )

    def best(self, t: Array) -> list[tuple[int, int]]:
        """Source and likeliest target word; -1 for a target word that NULL makes more readily."""
        if not len(t):
            return []
        found, first, group = np.unique(self.source, return_index=True, return_inverse=True)
        top = np.maximum.reduceat(t, first)
        winners = np.flatnonzero(t == top[group])
        winners = winners[np.unique(group[winners], return_index=True)[1]]  # the first of equals
        null = np.zeros(self.target.max() + 1)
        null[self.target[self.source == ROW]] = t[self.source == ROW]
        words = np.where(null[self.target[winners]] > top, -1, self.target[winners])
        return [pair for pair in zip(found.tolist(), words.tolist(), strict=True) if pair[0] != ROW]
