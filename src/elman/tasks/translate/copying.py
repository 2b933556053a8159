"""Words that a translation copies from its source: numbers, addresses, names.

A rare word of the source, of a kind that the training pairs copy, is replaced by a numbered slot on both
sides; a slot that the network produces becomes the word again. (After Luong et al., "Addressing the rare word
problem in neural machine translation", arXiv:1410.8206.)
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from elman.errors import ArtifactError

NUM_SLOTS: Final = 8  # different words of one source that can be copied
MAX_RARE_COUNT: Final = 2  # occurrences in the training sources
MIN_KIND_WORDS: Final = 5  # rare words of a kind, before its default is overruled
DEFAULT_KINDS: Final = ("number", "address", "foreign")  # copied where there are fewer

# A word, with marks inside it: 48,317 · a.b@c.org · https://x.org/y · AB-12 · don't
WORD: Final = re.compile(r"\w(?:[\w.,:;/@%&=?#+~'’-]*\w)?")


@dataclass(frozen=True)
class Copies:
    """Which words are copied."""

    frequent: frozenset[str]  # words of the training sources that are not rare
    kinds: frozenset[str]  # of rare words most of which the training translations copied
    letters: frozenset[str]  # of the training sources; a word with any other is of the kind "foreign"

    @classmethod
    def fit(cls, source: Sequence[str], target: Sequence[str]) -> "Copies":
        counts = Counter(word for text in source for word in WORD.findall(text))
        letters = frozenset(letter for text in source for letter in text)
        rare: Counter[str] = Counter()
        copied: Counter[str] = Counter()
        for text, translation in zip(source, target, strict=True):
            words = set(WORD.findall(translation))
            for match in WORD.finditer(text):
                if counts[match[0]] <= MAX_RARE_COUNT:
                    kind = _kind(match[0], match.start() == 0)
                    rare[kind] += 1
                    copied[kind] += match[0] in words
        kinds = {kind for kind in rare if rare[kind] >= MIN_KIND_WORDS and copied[kind] > rare[kind] / 2}
        kinds |= {kind for kind in DEFAULT_KINDS if rare[kind] < MIN_KIND_WORDS}
        frequent = frozenset(word for word, n in counts.items() if n > MAX_RARE_COUNT)
        return cls(frequent, frozenset(kinds), letters)

    def slots(self, text: str) -> list[str]:
        """Return the words of a source that are copied, each once, in order; word i has slot i."""
        words: dict[str, None] = {}
        for match in WORD.finditer(text):
            if len(words) < NUM_SLOTS and match[0] not in self.frequent and self._is_copied(match):
                words[match[0]] = None
        return list(words)

    def _is_copied(self, match: "re.Match[str]") -> bool:
        word = match[0]
        if not self.letters.issuperset(word):
            return "foreign" in self.kinds
        return _kind(word, match.start() == 0) in self.kinds

    def to_json(self) -> dict[str, Any]:
        return {"known": sorted(self.frequent), "kinds": sorted(self.kinds), "letters": sorted(self.letters)}

    @classmethod
    def from_json(cls, value: Any) -> "Copies":
        """Return what `to_json` was called on. Raises ArtifactError for any other value."""
        match value:
            case {"known": list(frequent), "kinds": list(kinds), "letters": list(letters)} if all(
                isinstance(x, str) for x in (*frequent, *kinds, *letters)
            ):
                return cls(frozenset(frequent), frozenset(kinds), frozenset(letters))
        raise ArtifactError("the words to copy are damaged: copy the model's folder again")


def cut(text: str, slots: Sequence[str]) -> list[tuple[str, int | None]]:
    """Cut a text at the words that have slots: return each part with the slot that follows it, at the end
    None."""
    numbers = {word: i for i, word in enumerate(slots)}
    parts: list[tuple[str, int | None]] = []
    start = 0
    for match in WORD.finditer(text) if slots else ():
        if match[0] in numbers:
            parts.append((text[start : match.start()], numbers[match[0]]))
            start = match.end()
    return [*parts, (text[start:], None)]


def _kind(word: str, first: bool) -> str:
    """Return the kind of a word by its characters; the first word of a text may be capitalised as such."""
    if "@" in word or "://" in word or word.startswith("www."):
        return "address"
    if any(letter.isdigit() for letter in word):
        return "number"
    if len(word) > 1 and word.isupper():
        return "capitals"
    if any(letter.isupper() for letter in word[1:]):
        return "mixed"
    if word[0].isupper():
        return "first" if first else "capital"
    return "lower"
