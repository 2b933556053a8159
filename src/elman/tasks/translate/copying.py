"""Words that stand in a translation as they stand in the source: numbers, addresses, names.

A word of the source that is rare, and of a kind that the training pairs copy, is replaced by a numbered slot
on both sides; what the network says as a slot becomes the word again. (After Luong et al., "Addressing the
rare word problem in neural machine translation", arXiv:1410.8206.)
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from elman.errors import ArtifactError

SLOTS: Final = 8  # different words of one source that can be copied
RARE: Final = 2  # a word seen more often than this is known
FEWEST: Final = 5  # rare words of a kind from which to conclude
SURE: Final = ("number", "address", "foreign")  # kinds that are copied where too few were seen

# A word with what may stand inside it: 48,317 · a.b@c.org · https://x.org/y · AB-12 · don't
WORD: Final = re.compile(r"\w(?:[\w.,:;/@%&=?#+~'’-]*\w)?")


@dataclass(frozen=True)
class Copies:
    """Which words are copied.

    Attributes:
        known: words of the training sources that are not rare.
        kinds: of rare words, those that more often than not stood in the translation unchanged.
        letters: characters of the training sources; a word with another one can't be translated.
    """

    known: frozenset[str]
    kinds: frozenset[str]
    letters: frozenset[str]

    @classmethod
    def learned(cls, source: Sequence[str], target: Sequence[str]) -> "Copies":
        """From pairs of sentences."""
        counts = Counter(word for text in source for word in WORD.findall(text))
        letters = frozenset(letter for text in source for letter in text)
        seen: Counter[str] = Counter()
        copied: Counter[str] = Counter()
        for text, other in zip(source, target, strict=True):
            there = set(WORD.findall(other))
            for match in WORD.finditer(text):
                if counts[match[0]] <= RARE:
                    kind = _kind(match[0], match.start() == 0)
                    seen[kind] += 1
                    copied[kind] += match[0] in there
        kinds = {kind for kind in seen if seen[kind] >= FEWEST and copied[kind] > seen[kind] / 2}
        kinds |= {kind for kind in SURE if seen[kind] < FEWEST}
        known = frozenset(word for word, n in counts.items() if n > RARE)
        return cls(known, frozenset(kinds), letters)

    def slots(self, text: str) -> list[str]:
        """The words of a source that are copied, each once, in order; word i has slot i."""
        found: dict[str, None] = {}
        for match in WORD.finditer(text):
            if len(found) < SLOTS and match[0] not in self.known and self._copied(match):
                found[match[0]] = None
        return list(found)

    def _copied(self, match: "re.Match[str]") -> bool:
        word = match[0]
        if not self.letters.issuperset(word):
            return "foreign" in self.kinds
        return _kind(word, match.start() == 0) in self.kinds

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes back."""
        return {"known": sorted(self.known), "kinds": sorted(self.kinds), "letters": sorted(self.letters)}

    @classmethod
    def from_json(cls, value: Any) -> "Copies":
        """Raises ArtifactError if `to_json` can't have given this."""
        match value:
            case {"known": list(known), "kinds": list(kinds), "letters": list(letters)} if all(
                isinstance(x, str) for x in (*known, *kinds, *letters)
            ):
                return cls(frozenset(known), frozenset(kinds), frozenset(letters))
        raise ArtifactError("the words to copy are damaged: copy the model's folder again")


@dataclass(frozen=True)
class Slotted:
    """A text cut at the words that have slots: parts[0] slot parts[1] slot …"""

    parts: tuple[str, ...]
    numbers: tuple[int, ...]


def cut(text: str, slots: Sequence[str]) -> Slotted:
    """Cut where a word has a slot."""
    number = {word: i for i, word in enumerate(slots)}
    parts, numbers, begin = [], [], 0
    for match in WORD.finditer(text) if number else ():
        if match[0] in number:
            parts.append(text[begin : match.start()])
            numbers.append(number[match[0]])
            begin = match.end()
    return Slotted((*parts, text[begin:]), tuple(numbers))


def _kind(word: str, first: bool) -> str:
    """What a word looks like; `first`: it begins the text, where many a word is capitalised."""
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
