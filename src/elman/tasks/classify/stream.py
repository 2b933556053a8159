"""A text that is classified as it arrives, with the state in hand."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, overload

import torch
from torch import Tensor

from elman.data.text.tokenizers import Tokenizer
from elman.tasks.classify.examples import start_token
from elman.tasks.classify.network import CHUNK_STEPS, Ensemble, States
from elman.tasks.classify.scores import Label, likeliest
from elman.tasks.entry import entry
from elman.tasks.inputs import check_text
from elman.training.problem import device_of


class Reading(NamedTuple):
    """The answer after a token."""

    token: str
    label: Label
    probabilities: dict[Label, float]


class ClassifierStream:
    """A text that arrives in pieces, with a running answer. Made by `Classifier.stream`."""

    def __init__(self, network: Ensemble, tokenizer: Tokenizer, classes: tuple[Label, ...]) -> None:
        self._network, self._tokenizer, self._classes = network, tokenizer, classes
        self._rest = ""  # the end of the text, whose tokens may still change
        self._last, self._state = self._run([start_token(tokenizer)], None)

    @entry
    def push(self, text: str) -> list[Reading]:
        """Read more text; return the answer after each complete token. A space completes a word. Raises
        UsageError if it is not a string."""
        self._rest += check_text(text, "text")
        end = self._tokenizer.stable_prefix(self._rest)
        prefix, self._rest = self._rest[:end], self._rest[end:]
        ids, rows = self._tokenizer.encode(prefix), []
        for start in range(0, len(ids), CHUNK_STEPS):
            self._last, self._state = self._run(ids[start : start + CHUNK_STEPS], self._state)
            rows += self._last.tolist()
        return [
            Reading(token, likeliest(row, self._classes), dict(zip(self._classes, row, strict=True)))
            for token, row in zip(self._tokenizer.tokens(prefix), rows, strict=True)
        ]

    @overload
    def result(self, probabilities: Literal[False] = ...) -> Label: ...
    @overload
    def result(self, probabilities: Literal[True]) -> dict[Label, float]: ...
    @entry
    def result(self, probabilities: bool = False) -> Any:
        """Return the answer of `predict` to all that was pushed. More can be pushed afterwards."""
        rows, ids = self._last, self._tokenizer.encode(self._rest)
        if ids:
            rows, _ = self._run(ids, self._state)
        row = rows[-1].tolist()
        return dict(zip(self._classes, row, strict=True)) if probabilities else likeliest(row, self._classes)

    def _run(self, ids: Sequence[int], state: States | None) -> tuple[Tensor, States]:
        """Return probabilities (T, K) after each token, and the states after the last."""
        device = device_of(self._network)
        with torch.no_grad():
            logits, state = self._network.run(torch.tensor(ids, device=device), state)
        return logits.float().softmax(1).cpu(), state
