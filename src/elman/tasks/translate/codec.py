"""Sentences ↔ token ids of both sides. Id 0 ends a sentence, and precedes its first token."""

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final, NamedTuple, TypeAlias

from elman.data.text.tokenizers import SubwordTokenizer, tokenizer_from_json
from elman.errors import ArtifactError
from elman.tasks.translate.copying import NUM_SLOTS, Copies, cut

END: Final = 0

# A sentence ends after a mark and closing quotes, unless a small letter follows; a full stop after one or two
# letters may belong to an abbreviation.
SENTENCE_END: Final = re.compile(
    r"(?:(?<=\w\w\w[.…])|(?<=[!?。！？]))[\"'”’»)\]]*\s+(?![a-zà-öø-ÿ])|(?<=[。！？])[」』”’）)\]»]*+(?=\S)|\n+"
)
# If at most this share of the training sources looks like several sentences, all count as single ones.
MAX_MULTIPLE_SHARE: Final = 0.1

Ids: TypeAlias = "array[int]"


class Source(NamedTuple):
    """A sentence to translate: its ids, and the words that can be copied."""

    ids: Ids
    slots: list[str]


@dataclass(frozen=True, eq=False)
class Codec:
    """Subwords of both sides, and what is copied. The ids of the slots follow those of a side's subwords."""

    source: SubwordTokenizer
    target: SubwordTokenizer  # the same object if the sides share their vocabulary
    copies: Copies
    # Whether nearly all training sources were single sentences; sentences are then translated one by one.
    single: bool

    @classmethod
    def fit(cls, source: Sequence[str], target: Sequence[str], size: int, shared: bool) -> "Codec":
        """Learn from the training pairs at most `size` subwords a side, or in all if `shared`."""
        copies = Copies.fit(source, target)
        single = sum(len(sentences(text)) > 1 for text in source) <= MAX_MULTIPLE_SHARE * len(source)
        spaced = [[_spaced(text) for text in side] for side in (source, target)]
        if shared:
            both = SubwordTokenizer.train(spaced[0] + spaced[1], size)
            return cls(both, both, copies, single)
        sides = [SubwordTokenizer.train(side, size) for side in spaced]
        return cls(sides[0], sides[1], copies, single)

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of source and of target ids, slots included."""
        return len(self.source) + NUM_SLOTS, len(self.target) + NUM_SLOTS

    def encode_source(self, text: str) -> Source:
        slots = self.copies.slots(_spaced(text).lstrip())
        return Source(_ids(self.source, text, slots), slots)

    def encode_target(self, text: str, slots: Sequence[str]) -> Ids:
        """Return the ids of the translation of a source with these slots."""
        return _ids(self.target, text, slots)

    def pieces(self, ids: Iterable[int], slots: Sequence[str]) -> list[str]:
        """Return what each target token adds to the text. The last token of a character adds it whole."""
        base, texts = len(self.target), list[str]()
        for is_slot, group in groupby(ids, lambda i: i >= base):
            run = list(group)
            texts += [slots[i - base] for i in run] if is_slot else self.target.additions(run)
        return texts

    def source_pieces(self, text: str, slots: Sequence[str]) -> list[str]:
        """Return the part of a source that each of its ids stands for."""
        texts = []
        for part, number in cut(_spaced(text), slots):
            texts += self.source.tokens(part)
            texts += [slots[number]] if number is not None else []
        return [*texts, ""]

    def to_json(self) -> dict[str, Any]:
        shared = self.source is self.target
        sides = {"source": self.source.to_json(), "target": None if shared else self.target.to_json()}
        return sides | {"copies": self.copies.to_json(), "single": self.single}

    @classmethod
    def from_json(cls, value: Any) -> "Codec":
        """Return what `to_json` was called on. Raises ArtifactError for any other value."""
        keys = {"source", "target", "copies", "single"}
        if not isinstance(value, dict) or value.keys() != keys or not isinstance(value["single"], bool):
            raise ArtifactError("the subwords of the translator are damaged: copy the model's folder again")
        source = tokenizer_from_json(value["source"])
        target = source if value["target"] is None else tokenizer_from_json(value["target"])
        if not isinstance(source, SubwordTokenizer) or not isinstance(target, SubwordTokenizer):
            raise ArtifactError("a translator reads subwords, not words: copy the model's folder again")
        return cls(source, target, Copies.from_json(value["copies"]), value["single"])


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, with single spaces; none if it is blank."""
    cuts = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    parts = (" ".join(text[start:end].split()) for start, end in pairwise(cuts))
    return [part for part in parts if part]


def _spaced(text: str) -> str:
    """Return the text with a space before each word: the first word then has the same token as elsewhere."""
    return " " + " ".join(text.split())


def _ids(tokenizer: SubwordTokenizer, text: str, slots: Sequence[str]) -> Ids:
    ids = array("i")
    for part, number in cut(_spaced(text), slots):
        ids.extend(tokenizer.encode(part))
        if number is not None:
            ids.append(len(tokenizer) + number)
    ids.append(END)
    return ids
