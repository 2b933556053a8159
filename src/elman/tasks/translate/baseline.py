"""The plain baseline of a translator: a word-for-word dictionary learned from sentence pairs.

IBM model 1: Brown, Della Pietra, Della Pietra & Mercer, "The mathematics of statistical machine translation",
Computational Linguistics 19(2), 1993. One source word of the sentence, or NULL, generates each target word,
all with equal probability. For source words f1..fl, with f0 = NULL, and target words e1..em:

    p(e | f) = product over j of  1/(l + 1) sum over i of t(ej | fi)

EM estimates t: count every link (i, j) by its share of the sum over i, then normalise the counts of each
source word to 1. It starts from uniform t and rises to the global maximum.
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
from elman.errors import ArtifactError, UsageError, counted

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_PAIRS: Final = 200_000  # the first, from which the dictionary learns
MAX_SENTENCE_WORDS: Final = 100  # longer sentences are cut
MAX_LINKS: Final = 16_000_000  # in all, a few numbers each; the sentences after them are not read
NULL: Final = ""  # no word is empty
NULL_ID: Final = 0  # among the source words

TOKENIZER: Final = WordTokenizer((), lower=False)
CLOSING: Final = re.compile(r"[.,!?;:)']|n't\Z", re.IGNORECASE)  # no space before these
LETTER: Final = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, eq=False)
class WordDictionary:
    """Translates word by word. Made by `fit`.

    `words` maps a source word in lower case to its likeliest target word in the commonest spelling, or to ""
    if NULL is likelier to generate that, so that the source word is best left out. Punctuation marks of both
    languages are not left out.
    """

    words: dict[str, str]

    @classmethod
    def fit(cls, source: Sequence[str], target: Sequence[str], rounds: int = 5) -> "WordDictionary":
        """Learn from the first MAX_PAIRS sentence pairs, by `rounds` rounds of EM. Raises UsageError if the
        numbers of sources and targets differ, or `rounds` is below 1."""
        if len(source) != len(target):
            raise UsageError(
                f"there are {counted(len(source), 'source')} and {counted(len(target), 'target')}."
            )
        if rounds < 1:
            raise UsageError(f"rounds is {rounds}; it must be at least 1.")
        sources, targets = _Side.of(source[:MAX_PAIRS], null=True), _Side.of(target[:MAX_PAIRS])
        links = _Links.of(sources, targets)
        t = links.uniform()
        for _ in range(rounds):
            t, _ = links.em_round(t)
        names, spellings = list(sources.numbers), targets.commonest_spellings()
        words = {names[f]: spellings[e] if e >= 0 else NULL for f, e in links.best(t)}
        # NULL and the full stop are both in every sentence, so EM can't tell them apart.
        marks = (f for f, e in words.items() if not e and not f[0].isalnum() and f in targets.numbers)
        return cls(words | {mark: mark for mark in marks})

    def translate(self, text: str) -> str:
        """Translate word by word; unknown words are copied."""
        words = (self.words.get(word.lower(), word) for word in TOKENIZER.tokens(text))
        translation = _joined([word for word in words if word])
        before, after = LETTER.search(text), LETTER.search(translation)
        if before and after and before[0].isupper():
            translation = translation[: after.start()] + after[0].upper() + translation[after.end() :]
        return translation

    def to_json(self) -> dict[str, Any]:
        return {"kind": "dictionary", "words": dict(self.words)}

    @classmethod
    def from_json(cls, value: Any) -> "WordDictionary":
        """Return what `to_json` was called on. Raises ArtifactError for any other value."""
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
    """The sentences (N) of one language as word numbers, concatenated (T)."""

    numbers: dict[str, int]  # of each lower-case word, in order of appearance
    spellings: Counter[str]
    flat: Ints  # (T,)
    lengths: Ints  # (N,)

    @classmethod
    def of(cls, texts: Iterable[str], null: bool = False) -> "_Side":
        """Split texts into numbered words; with `null`, each sentence starts with NULL."""
        numbers: dict[str, int] = {NULL: NULL_ID} if null else {}
        spellings: Counter[str] = Counter()
        flat, lengths = array("q"), array("q")
        for text in texts:
            words = TOKENIZER.tokens(text)[:MAX_SENTENCE_WORDS]
            spellings.update(words)
            if null:
                flat.append(NULL_ID)
            flat.extend(numbers.setdefault(word.lower(), len(numbers)) for word in words)
            lengths.append(len(words) + null)
        return cls(numbers, spellings, np.array(flat, np.int64), np.array(lengths, np.int64))

    def commonest_spellings(self) -> list[str]:
        """Return the commonest spelling of each word; of equally common ones, "word" before "Word"."""
        best: dict[str, tuple[int, str]] = {}
        for word, count in self.spellings.items():
            low = word.lower()
            best[low] = max(best.get(low, (0, "")), (count, word))
        return [best[word][1] for word in self.numbers]


@dataclass(frozen=True, eq=False)
class _Links:
    """All L links between a target position and a source position of its sentence, and the P different pairs
    of words that they link. t is an array (P,)."""

    source: Ints  # (P,) source word of each pair, ascending
    target: Ints  # (P,) target word of each pair
    pair: Ints  # (L,) pair of each link; the links of a target position are adjacent
    lengths: Ints  # (T,) number of links of each target position

    @classmethod
    def of(cls, sources: _Side, targets: _Side) -> "_Links":
        """Link the first sentences, as many as MAX_LINKS allows."""
        kept = int(np.searchsorted(np.cumsum(sources.lengths * targets.lengths), MAX_LINKS, side="right"))
        source_lengths, target_lengths = sources.lengths[:kept], targets.lengths[:kept]
        lengths = np.repeat(source_lengths, target_lengths)
        # of the source sentence, for each target position
        starts = np.repeat(np.cumsum(source_lengths) - source_lengths, target_lengths)
        links = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths - starts, lengths)
        size = max(len(targets.numbers), 1)
        keys = sources.flat[links]
        del links
        keys *= size
        keys += np.repeat(targets.flat[: len(lengths)], lengths)
        different = np.unique(keys)  # its return_inverse would need twice the memory of the search
        return cls(different // size, different % size, np.searchsorted(different, keys), lengths)

    def uniform(self) -> Array:
        """Return equal t for all target words that have a link."""
        return np.full(len(self.target), 1 / max(len(np.unique(self.target)), 1))

    def em_round(self, t: Array) -> tuple[Array, float]:
        """Return the next t, and ln p of all target sentences under this one."""
        if not len(t):
            return t, 0.0
        shares = t[self.pair]
        sums = np.add.reduceat(shares, np.cumsum(self.lengths) - self.lengths)
        shares /= np.repeat(sums, self.lengths)
        counts = np.bincount(self.pair, shares, len(t))
        log_likelihood = float(np.log(sums / self.lengths).sum())
        return counts / np.bincount(self.source, counts)[self.source], log_likelihood

    def best(self, t: Array) -> list[tuple[int, int]]:
        """Return each source word and its likeliest target word, or -1 if NULL is likelier to generate it."""
        if not len(t):
            return []
        sources, first, group = np.unique(self.source, return_index=True, return_inverse=True)
        top = np.maximum.reduceat(t, first)
        winners = np.flatnonzero(t == top[group])
        winners = winners[np.unique(group[winners], return_index=True)[1]]  # the first of equals
        null = np.zeros(self.target.max() + 1)
        null[self.target[self.source == NULL_ID]] = t[self.source == NULL_ID]
        words = np.where(null[self.target[winners]] > top, -1, self.target[winners])
        return [pair for pair in zip(sources.tolist(), words.tolist(), strict=True) if pair[0] != NULL_ID]
