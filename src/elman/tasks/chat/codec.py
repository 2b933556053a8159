"""Conversations ↔ token ids. Id 0 stands between conversations; a speaker's id before what he says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elman.data.text.conversations import SPEAKERS, Conversation, Turn
from elman.data.text.tokenizers import SubwordTokenizer, tokenizer_from_json
from elman.errors import ArtifactError

END: Final = 0
NEVER: Final = 1  # the id that subword vocabularies leave out


@dataclass(frozen=True, eq=False)
class Codec:
    """Subwords, and after them the ids of the speakers."""

    tokenizer: SubwordTokenizer

    @classmethod
    def learned(cls, conversations: Iterable[Conversation], size: int) -> "Codec":
        """With at most `size` subwords."""
        texts = (" " + turn.text for conversation in conversations for turn in conversation)
        return cls(SubwordTokenizer.train(texts, size))

    def __len__(self) -> int:
        return len(self.tokenizer) + len(SPEAKERS)

    def unspeakable(self) -> list[int]:
        """Ids of line ends and other control characters, which no turn holds."""
        texts = ((i, self.tokenizer.decode([i])) for i in range(NEVER + 1, len(self.tokenizer)))
        return [i for i, text in texts if any(ord(c) < 32 or ord(c) == 127 for c in text)]

    def speaker(self, role: str) -> int:
        """The id of "user" or "assistant"."""
        return len(self.tokenizer) + SPEAKERS.index(role)

    def turn(self, turn: Turn) -> list[int]:
        """The speaker and what he says."""
        return [self.speaker(turn.role), *self.words(turn.text)]

    def words(self, text: str) -> list[int]:
        """What is said, with a space before the first word, so that it is the same token as anywhere."""
        return self.tokenizer.encode(" " + " ".join(text.split()))

    def text(self, ids: Sequence[int]) -> str:
        """What was said; speakers and ends are left out."""
        return self.tokenizer.decode(i for i in ids if i < len(self.tokenizer)).strip()

    def running(self, conversations: Iterable[Conversation]) -> NDArray[np.int32]:
        """All conversations as one text: END, turns, END, turns, END."""
        ids = [END]
        for conversation in conversations:
            for turn in conversation:
                ids += self.turn(turn)
            ids.append(END)
        return np.array(ids, dtype=np.int32)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` takes back."""
        return self.tokenizer.to_json()

    @classmethod
    def from_json(cls, value: Any) -> "Codec":
        """Raises ArtifactError if `to_json` can't have given this."""
        tokenizer = tokenizer_from_json(value)
        if not isinstance(tokenizer, SubwordTokenizer):
            raise ArtifactError("a chatbot reads subwords, not words: copy the model's folder again")
        return cls(tokenizer)
