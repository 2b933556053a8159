"""Texts as labels for CTC: words, where few are said often; or else characters, or parts of words."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple, TypedDict

from tokenizers import Tokenizer as Library
from tokenizers import models, pre_tokenizers, trainers

from elman.data.text.unicode import combining_marks
from elman.decode.ctc import Token, frames_needed
from elman.typed import typed

BLANK: Final = 0
SPACE: Final = " "
BETWEEN: Final = re.compile(f"({SPACE})")  # which keeps the spaces
MAX_WORDS, MIN_COUNT = 500, 10  # of a vocabulary whose words are labels: how many, and how often each is said
MAX_LABELS: Final = 20_000
# A subword is made while its two parts stand side by side so often in the texts, and until there are so many.
MIN_MERGES, MAX_SUBWORDS = 20, 1_000
Unit = Literal["word", "subword", "character"]
APOSTROPHES: Final = str.maketrans({"’": "'", "ʼ": "'", "‘": "'"})
# What may stand inside a word: "don't", "3.5", "user@example"; all other punctuation is not said.
INSIDE_CHARACTERS: Final = "'.@+&"
INSIDE: Final = re.compile(rf"(?<=\w)[{INSIDE_CHARACTERS}](?=\w)")


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
    text = unicodedata.normalize("NFC", text.translate(APOSTROPHES).replace("\x00", SPACE).lower())
    inside = INSIDE.findall(text)
    kept = iter(inside)
    text = not_said(text.isascii()).sub(SPACE, INSIDE.sub("\x00", text))
    return SPACE.join(re.sub("\x00", lambda _: next(kept), text).split())


@cache
def not_said(ascii_only: bool) -> re.Pattern[str]:
    """Return the pattern of what stands in no word. Accents and the vowel signs of Hindi or Thai do."""
    return re.compile(rf"[^\w\s\x00{'' if ascii_only else combining_marks()}]|_")


@dataclass(frozen=True)
class Alphabet:
    """Labels of CTC: number 0 is the blank, number k is `labels[k - 1]`."""

    unit: Unit
    labels: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str], unit: str | None = None) -> "Alphabet":
        """Return the labels of spoken texts: words, if all are said often and there are few, unless `unit`
        says what they are. Subwords are the characters and, by byte pair encoding, parts of words that occur
        often (Sennrich et al., arXiv:1508.07909)."""
        words = Counter(word for text in texts for word in text.split())
        if unit is None:
            few = len(words) <= MAX_WORDS and min(words.values(), default=0) >= MIN_COUNT
            unit = "word" if few else "character"
        if unit == "word":
            return cls("word", tuple(sorted(words)))
        characters = tuple(sorted({SPACE}.union(*texts)))
        if unit == "subword":
            return cls("subword", characters + merged(texts, characters))
        return cls("character", characters)

    def __len__(self) -> int:
        """The number of labels, the blank among them."""
        return len(self.labels) + 1

    @property
    def separator(self) -> int | None:
        """The label between words; None where words are labels."""
        return None if self.unit == "word" else self.labels.index(SPACE) + 1

    @property
    def symbol(self) -> str:
        """What all texts are made of that the labels can write."""
        return "word" if self.unit == "word" else "character"

    @property
    def durations(self) -> tuple[int, ...] | None:
        """How long each label lasts beside others, the blank first; None: equally long."""
        return (1, *map(len, self.labels)) if self.unit == "subword" else None

    def encode(self, text: str) -> list[int] | None:
        """Return the labels of a spoken text, or None if it holds a part that is no label."""
        parts = self._parts(text)
        ids = self.known(text)
        return ids if len(ids) == len(parts) else None

    def known(self, text: str) -> list[int]:
        """Return the labels of a spoken text, without the parts that are no labels."""
        return [self._numbers[part] for part in self._parts(text) if part in self._numbers]

    def _parts(self, text: str) -> list[str]:
        if self.unit == "word":
            return text.split()
        if self.unit == "character":
            return list(text)
        # a word at a time: no subword holds a space, and joining takes the square of the length
        return [part for word in BETWEEN.split(text) for part in self._joined(list(word))]

    def _joined(self, parts: list[str]) -> list[str]:
        """Join parts to subwords, those first that were made first."""
        last = len(self.labels) + 1
        while len(parts) > 1:
            numbers = [self._numbers.get(a + b, last) for a, b in pairwise(parts)]
            k = min(range(len(numbers)), key=numbers.__getitem__)
            if numbers[k] == last:
                break
            parts[k : k + 2] = [parts[k] + parts[k + 1]]
        return parts

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
        if unit == "word":
            valid = valid and all(label and spoken(label) == label and SPACE not in label for label in labels)
        else:
            characters = {label for label in labels if len(label) == 1}
            valid = valid and SPACE in characters and all(map(is_part, "".join(characters - {SPACE})))
            valid = valid and all(characters.issuperset(label) and label for label in labels)
            valid = valid and all(SPACE not in label for label in labels if label != SPACE)
            valid = valid and (unit == "subword" or len(characters) == len(labels))
        if not valid:
            raise ValueError(
                "the alphabet must hold different words, or different characters with a space, and perhaps "
                "subwords of these"
            )
        return cls(unit, tuple(labels))


def is_part(character: str) -> bool:
    """Return whether a character may stand in a word of a spoken text."""
    if character.isspace() or character == "\x00" or character != character.lower():
        return False
    return character in INSIDE_CHARACTERS or not not_said(character.isascii()).search(character)


def merged(texts: Sequence[str], characters: Sequence[str]) -> tuple[str, ...]:
    """Return the subwords of two characters or more, in the order in which they are made."""
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=len(characters) + MAX_SUBWORDS,
        min_frequency=MIN_MERGES,
        initial_alphabet=[one for one in characters if one != SPACE],
        special_tokens=[],
        show_progress=False,
    )
    library.train_from_iterator(texts, trainer)
    vocabulary: dict[str, int] = library.get_vocab()
    return tuple(label for label in sorted(vocabulary, key=vocabulary.__getitem__) if len(label) > 1)


def fitting(ids: Sequence[int], steps: int) -> bool:
    """Return whether labels can be said in so many steps of the network."""
    return frames_needed(ids) <= steps
