"""Sentences ↔ token ids of both sides. Id 0 ends a sentence, and stands before its first token."""

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final, NamedTuple, TypeAlias

from elman.data.text.tokenizers import SubwordTokenizer, tokenizer_from_json
from elman.errors import ArtifactError
from elman.tasks.translate.copying import SLOTS, Copies, cut

END: Final = 0
NEVER: Final = 1  # the id that subword vocabularies leave out

# Where a sentence ends: after a mark and the quotes that close there, and not before a small letter; a full
# stop after one or two letters may be an abbreviation's.
SENTENCE_END: Final = re.compile(
    r"(?:(?<=\w\w\w[.…])|(?<=[!?。！？]))[\"'”’»)\]]*\s+(?![a-zà-öø-ÿ])|(?<=[。！？])[」』”’）)\]»]*+(?=\S)|\n+"
)
SINGLE: Final = 0.1  # share of the training sources that may hold several sentences where most hold one

Ids: TypeAlias = "array[int]"


class Source(NamedTuple):
    """A sentence to translate: its ids, and the words that can be copied."""

    ids: Ids
    slots: list[str]


@dataclass(frozen=True, eq=False)
class Codec:
    """Subwords of both sides, and what is copied. After a side's subwords come the ids of the slots.

    Attributes:
        source, target: with joint subwords the same.
        single: whether the training sources were single sentences, with few exceptions; then sentences are
            translated one by one.
    """

    source: SubwordTokenizer
    target: SubwordTokenizer
    copies: Copies
    single: bool

    @classmethod
    def learned(cls, source: Sequence[str], target: Sequence[str], size: int, joint: bool) -> "Codec":
        """From the training pairs, with at most `size` subwords a side, or altogether if `joint`."""
        copies = Copies.learned(source, target)
        single = sum(len(sentences(text)) > 1 for text in source) <= SINGLE * len(source)
        spaced = [[_spaced(text) for text in side] for side in (source, target)]
        if joint:
            both = SubwordTokenizer.train(spaced[0] + spaced[1], size)
            return cls(both, both, copies, single)
        sides = [SubwordTokenizer.train(side, size) for side in spaced]
        return cls(sides[0], sides[1], copies, single)

    @property
    def sources(self) -> int:
        """How many ids the source has, slots included."""
        return len(self.source) + SLOTS

    @property
    def targets(self) -> int:
        """How many ids the target has, slots included; the slots are the last."""
        return len(self.target) + SLOTS

    def read(self, text: str) -> Source:
        """A sentence to translate."""
        slots = self.copies.slots(_spaced(text).lstrip())
        return Source(_ids(self.source, text, slots), slots)

    def wanted(self, text: str, slots: Sequence[str]) -> Ids:
        """The translation that is to be learned, for a source of these slots."""
        return _ids(self.target, text, slots)

    def pieces(self, ids: Iterable[int], slots: Sequence[str]) -> list[str]:
        """What each token adds to the text; a character of several tokens comes with the last of them."""
        base, found = len(self.target), list[str]()
        for copied, group in groupby(ids, lambda i: i >= base):
            run = list(group)
            found += [slots[i - base] for i in run] if copied else self.target.additions(run)
        return found

    def source_pieces(self, text: str, slots: Sequence[str]) -> list[str]:
        """The part of a source behind each of its ids."""
        slotted, found = cut(_spaced(text), slots), list[str]()
        for part, number in zip(slotted.parts, [*slotted.numbers, None], strict=True):
            found += self.source.tokens(part)
            found += [slots[number]] if number is not None else []
        return [*found, ""]

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes back."""
        joint = self.source is self.target
        sides = {"source": self.source.to_json(), "target": None if joint else self.target.to_json()}
        return sides | {"copies": self.copies.to_json(), "single": self.single}

    @classmethod
    def from_json(cls, value: Any) -> "Codec":
        """Raises ArtifactError if `to_json` can't have given this."""
        keys = {"source", "target", "copies", "single"}
        if not isinstance(value, dict) or value.keys() != keys or not isinstance(value["single"], bool):
            raise ArtifactError("the subwords of the translator are damaged: copy the model's folder again")
        source = tokenizer_from_json(value["source"])
        target = source if value["target"] is None else tokenizer_from_json(value["target"])
        if not isinstance(source, SubwordTokenizer) or not isinstance(target, SubwordTokenizer):
            raise ArtifactError("a translator reads subwords, not words: copy the model's folder again")
        return cls(source, target, Copies.from_json(value["copies"]), value["single"])


def sentences(text: str) -> list[str]:
    """The sentences of a text, with single blanks; none of nothing but blanks."""
    parts = (" ".join(part.split()) for part in _cut_at_ends(text))
    return [part for part in parts if part]


def _cut_at_ends(text: str) -> list[str]:
    """Cut after each end; quotes that close stay with what they close."""
    cuts = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    return [text[begin:end] for begin, end in pairwise(cuts)]


def _spaced(text: str) -> str:
    """With one space before each word, also the first, so that it is the same token as anywhere else."""
    return " " + " ".join(text.split())


def _ids(tokenizer: SubwordTokenizer, text: str, slots: Sequence[str]) -> Ids:
    slotted, ids = cut(_spaced(text), slots), array("i")
    for part, number in zip(slotted.parts, [*slotted.numbers, None], strict=True):
        ids.extend(tokenizer.encode(part))
        if number is not None:
            ids.append(len(tokenizer) + number)
    ids.append(END)
    return ids
