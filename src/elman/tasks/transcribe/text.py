"""Texts as labels for CTC: words, where few are said often, or else characters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple, TypedDict

from elman.decode.ctc import Token, frames_needed
from elman.typed import typed

BLANK: Final = 0
SPACE: Final = " "
MAX_WORDS, MIN_COUNT = 500, 10  # of a vocabulary whose words are labels: how many, and how often each is said
MAX_LABELS: Final = 20_000
Unit = Literal["word", "character"]
APOSTROPHES: Final = str.maketrans({"’": "'", "ʼ": "'", "‘": "'"})
# What may stand inside a word: "don't", "3.5", "user@example"; all other punctuation is not said.
INSIDE: Final = re.compile(r"(?<=\w)['.@+&](?=\w)")
NOT_SAID: Final = re.compile(r"[^\w\s\x00]|_")


class Word(NamedTuple):
    """A word and when it was said, in seconds from the start of the recording."""

    text: str
    start: float
    end: float
    confidence: float  # probability that it is right


def text_of(words: Iterable[Word]) -> str:
    return SPACE.join(word.text for word in words)


class AlphabetFile(TypedDict):
    unit: Unit
    labels: list[str]


def spoken(text: str) -> str:
    """Return a text as it is said and scored: lower case, one space between words, no punctuation around
    them. Digits stay digits."""
    text = unicodedata.normalize("NFC", text).translate(APOSTROPHES).lower()
    inside = INSIDE.findall(text)
    kept = iter(inside)
    text = NOT_SAID.sub(SPACE, INSIDE.sub("\x00", text))
    return SPACE.join(re.sub("\x00", lambda _: next(kept), text).split())


@dataclass(frozen=True)
class Alphabet:
    """Labels of CTC: number 0 is the blank, number k is `labels[k - 1]`."""

    unit: Unit
    labels: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str], unit: str | None = None) -> "Alphabet":
        """Return the labels of spoken texts: words, if all are said often and there are few, unless `unit`
        says what they are."""
        words = Counter(word for text in texts for word in text.split())
        if unit is None:
            few = len(words) <= MAX_WORDS and min(words.values(), default=0) >= MIN_COUNT
            unit = "word" if few else "character"
        if unit == "word":
            return cls("word", tuple(sorted(words)))
        return cls("character", tuple(sorted({SPACE}.union(*texts))))

    def __len__(self) -> int:
        """The number of labels, the blank among them."""
        return len(self.labels) + 1

    @property
    def separator(self) -> int | None:
        """The label between words; None where words are labels."""
        return self.labels.index(SPACE) + 1 if self.unit == "character" else None

    def encode(self, text: str) -> list[int] | None:
        """Return the labels of a spoken text, or None if it holds a part that is no label."""
        parts = text.split() if self.unit == "word" else text
        ids = self.known(text)
        return ids if len(ids) == len(parts) else None

    def known(self, text: str) -> list[int]:
        """Return the labels of a spoken text, without the parts that are no labels."""
        parts: Iterable[str] = text.split() if self.unit == "word" else text
        return [self._numbers[part] for part in parts if part in self._numbers]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {label: k for k, label in enumerate(self.labels, 1)}

    def decode(self, ids: Iterable[int]) -> str:
        between = SPACE if self.unit == "word" else ""
        return SPACE.join(between.join(self.labels[i - 1] for i in ids).split())

    def split(self, tokens: Sequence[Token]) -> tuple[list[list[Token]], list[Token]]:
        """Return the tokens of each word that is complete, and those of the last if it may go on."""
        if self.unit == "word":
            return [[token] for token in tokens], []
        words: list[list[Token]] = [[]]
        for token in tokens:
            if token.token != self.separator:
                words[-1].append(token)
            elif words[-1]:
                words.append([])
        return words[:-1], words[-1]

    def to_json(self) -> dict[str, Any]:
        return {"unit": self.unit, "labels": list(self.labels)}

    @classmethod
    def from_json(cls, value: Any) -> "Alphabet":
        """Return what `to_json` gave. Raises ValueError for anything else."""
        saved = typed(AlphabetFile, value, "alphabet")
        labels, unit = saved["labels"], saved["unit"]
        valid = 0 < len(labels) <= MAX_LABELS and len(set(labels)) == len(labels)
        valid = valid and all(spoken(label) == label != "" for label in labels if label != SPACE)
        if unit == "character":
            valid = valid and SPACE in labels and all(len(label) == 1 for label in labels)
        else:
            valid = valid and SPACE not in "".join(labels)
        if not valid:
            raise ValueError("the alphabet must hold different words, or different characters with a space")
        return cls(unit, tuple(labels))


def fitting(ids: Sequence[int], steps: int) -> bool:
    """Return whether labels can be said in so many steps of the network."""
    return frames_needed(ids) <= steps
