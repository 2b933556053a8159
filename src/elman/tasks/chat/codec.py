"""Conversations ↔ token ids. A speaker's id precedes each turn; id 0 separates conversations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elman.data.text.conversations import SPEAKERS, Conversation, Turn
from elman.data.text.tokenizers import SubwordTokenizer, tokenizer_from_json
from elman.errors import ArtifactError

END: Final = 0
UNUSED: Final = 1  # the id that subword vocabularies leave out


@dataclass(frozen=True, eq=False)
class Codec:
    """The ids of subwords, followed by those of the speakers."""

    tokenizer: SubwordTokenizer

    @classmethod
    def learned(cls, conversations: Iterable[Conversation], size: int) -> "Codec":
        """Learn at most `size` subwords."""
        texts = (" " + turn.text for conversation in conversations for turn in conversation)
        return cls(SubwordTokenizer.train(texts, size))

    def __len__(self) -> int:
        return len(self.tokenizer) + len(SPEAKERS)

    def control_ids(self) -> list[int]:
        """Return the ids of line ends and other control characters, which no turn contains."""
        texts = ((i, self.tokenizer.decode([i])) for i in range(UNUSED + 1, len(self.tokenizer)))
        return [i for i, text in texts if any(ord(c) < 32 or ord(c) == 127 for c in text)]

    def speaker(self, role: str) -> int:
        """Return the id of "user" or "assistant"."""
        return len(self.tokenizer) + SPEAKERS.index(role)

    def turn(self, turn: Turn) -> list[int]:
        """Return the ids of a turn, the speaker first."""
        return [self.speaker(turn.role), *self.words(turn.text)]

    def words(self, text: str) -> list[int]:
        """Return the ids of a text, with a space before the first word: it is then the same token as anywhere
        else."""
        return self.tokenizer.encode(" " + " ".join(text.split()))

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of ids, without speakers and ends."""
        return self.tokenizer.decode(i for i in ids if i < len(self.tokenizer)).strip()

    def running(self, conversations: Iterable[Conversation]) -> NDArray[np.int32]:
        """Return all conversations as one text: END, turns, END, turns, END."""
        ids = [END]
        for conversation in conversations:
            for turn in conversation:
                ids += self.turn(turn)
            ids.append(END)
        return np.array(ids, dtype=np.int32)

    def to_json(self) -> dict[str, Any]:
        return self.tokenizer.to_json()

    @classmethod
    def from_json(cls, value: Any) -> "Codec":
        """Return the codec whose `to_json` gave `value`. Raises ArtifactError for anything else."""
        tokenizer = tokenizer_from_json(value)
        if not isinstance(tokenizer, SubwordTokenizer):
            raise ArtifactError("a chatbot reads subwords, not words: copy the model's folder again")
        return cls(tokenizer)
