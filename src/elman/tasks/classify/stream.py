"""Read a text as it arrives, with the state in hand."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, overload

import torch
from torch import Tensor

from elman.data.text.tokenizers import Tokenizer
from elman.tasks.classify.network import PIECE, Memory, Reader
from elman.tasks.classify.problem import start_sign
from elman.tasks.classify.scores import likeliest


class Reading(NamedTuple):
    """What a stream holds of the text after a token."""

    token: str
    label: str
    probabilities: dict[str, float]


class ClassifierStream:
    """A text that arrives in pieces, and what a network makes of it so far. Made by `Classifier.stream`."""

    def __init__(self, network: Reader, tokenizer: Tokenizer, classes: tuple[str, ...]) -> None:
        self._network, self._tokenizer, self._classes = network, tokenizer, classes
        self._rest = ""  # the end of the text, whose tokens may still change
        self._last, self._memory = self._run([start_sign(tokenizer)], None)

    def push(self, text: str) -> list[Reading]:
        """Read on; the answer after each token that is certain now (a word is once a space follows)."""
        self._rest += text
        end = self._tokenizer.settled(self._rest)
        done, self._rest = self._rest[:end], self._rest[end:]
        ids, rows = self._tokenizer.encode(done), []
        for start in range(0, len(ids), PIECE):
            self._last, self._memory = self._run(ids[start : start + PIECE], self._memory)
            rows += self._last.tolist()
        return [
            Reading(token, likeliest(row, self._classes), dict(zip(self._classes, row, strict=True)))
            for token, row in zip(self._tokenizer.tokens(done), rows, strict=True)
        ]

    @overload
    def result(self, probabilities: Literal[False] = ...) -> str: ...
    @overload
    def result(self, probabilities: Literal[True]) -> dict[str, float]: ...
    def result(self, probabilities: bool = False) -> Any:
        """What `predict` says of all that was pushed, as if the text ended here. More can be pushed after."""
        rows, ids = self._last, self._tokenizer.encode(self._rest)
        if ids:
            rows, _ = self._run(ids, self._memory)
        row = rows[-1].tolist()
        return dict(zip(self._classes, row, strict=True)) if probabilities else likeliest(row, self._classes)

    def _run(self, ids: Sequence[int], memory: Memory | None) -> tuple[Tensor, Memory]:
        """Probabilities (T, K) after each token, and what to go on from."""
        device = self._network.head.weight.device
        with torch.no_grad():
            logits, memory = self._network.run(torch.tensor(ids, device=device), memory)
        return logits.float().softmax(1).cpu(), memory
