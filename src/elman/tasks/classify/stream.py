"""A text that is classified as it arrives, with the state in hand."""

from typing import Any, Literal, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor

from elman.data.text.tokenizers import Tokenizer, WordTokenizer
from elman.tasks import stream_state
from elman.tasks.classify.blend import Blend
from elman.tasks.classify.examples import start_token
from elman.tasks.classify.labels import Label, Labels, shares
from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.linear_state import LinearState
from elman.tasks.classify.network import CHUNK_STEPS
from elman.tasks.classify.ngrams import START, WORDS
from elman.tasks.classify.scores import check_share
from elman.tasks.classify.steps import EnsembleSteps, Judged, Words, past_tensors
from elman.tasks.inputs import check_text
from elman.tasks.pool import Steps, stepwise
from elman.tasks.stream_state import Saved, checking


class Reading(NamedTuple):
    """The answer after a token: a label, or a list of several."""

    token: str
    label: Label | list[Label]
    probabilities: dict[Label, float]


class ClassifierStream:
    """A text that arrives in pieces, with a running answer. Made by `Classifier.stream`."""

    def __init__(
        self,
        network: EnsembleSteps,
        tokenizer: Tokenizer,
        labels: Labels,
        linear: LinearModel | None = None,
        blend: Blend | None = None,
    ) -> None:
        self.network, self._tokenizer, self._labels, self._blend = network, tokenizer, labels, blend
        self._model = linear
        self.reset()

    def reset(self) -> None:
        """Begin another text."""
        self._linear = None if self._model is None else LinearState(self._model)
        if self._linear is not None:
            self._linear.read([START])
        self._rest = ""  # the end of the text, whose tokens may still change
        self._unread = ""  # likewise, for the linear model, which reads words
        self._last: Judged | None = None  # after what was read so far, if anything was

    @stepwise
    def push(self, text: str) -> Steps[list[Reading]]:
        """Read more text; return the answer after each complete token. A space completes a word. Where tokens
        are parts of words, the linear model knows only the words that are complete. Raises UsageError if it
        is not a string."""
        text = check_text(text, "text")
        self._rest, self._unread = self._rest + text, self._unread + text
        evidence = self._read_words()
        end = self._tokenizer.stable_prefix(self._rest)
        prefix, self._rest = self._rest[:end], self._rest[end:]
        ids, rows = self._tokenizer.encode(prefix), list[list[float]]()
        for start in range(0, len(ids), CHUNK_STEPS):
            chunk = slice(start, start + CHUNK_STEPS)
            before = yield from self._begun()
            self._last = yield Words(np.array(ids[chunk], np.int64), before.past)
            rows += self._answers(
                self._last.logits, evidence if evidence is None or len(evidence) == 1 else evidence[chunk]
            ).tolist()
        return [
            Reading(token, self._labels.answer(row), self._labels.named(row))
            for token, row in zip(self._tokenizer.tokens(prefix), rows, strict=True)
        ]

    @overload
    def result(self, /, probabilities: Literal[True]) -> dict[Label, float]: ...
    @overload
    def result(self, /, probabilities: Literal[False] = ..., at_least: None = ...) -> Label: ...
    @overload
    def result(self, /, probabilities: Literal[False] = ..., at_least: float = ...) -> Label | None: ...
    @stepwise
    def result(self, probabilities: bool = False, at_least: float | None = None) -> Steps[Any]:
        """Return the answer of `predict` to all that was pushed. More can be pushed afterwards."""
        check_share(at_least, probabilities)
        last, ids, linear = (yield from self._begun()), self._tokenizer.encode(self._rest), None
        if ids:
            last = yield Words(np.array(ids, np.int64), last.past)
        if self._linear is not None:
            rest = self._linear.copy()
            rest.read(WORDS.tokens(self._unread))
            linear = rest.logits.unsqueeze(0)
        row = self._answers(last.logits[-1:], linear)[0].tolist()
        if probabilities:
            return self._labels.named(row)
        return self._labels.answer(row, at_least)

    def to_bytes(self) -> bytes:
        """Return the state, for `from_bytes` of a stream of the same model."""
        tensors = {} if self._linear is None else self._linear.tensors()
        if self._last is not None:
            tensors |= past_tensors(self._last.past) | {"logits": self._last.logits[-1:]}
        values = {"rest": self._rest, "unread": self._unread, "begun": self._last is not None}
        return stream_state.to_bytes("classify", self.network.mark, Saved(values, tensors))

    def from_bytes(self, content: bytes) -> None:
        """Continue from what `to_bytes` returned. Raises ArtifactError for anything else, or another model's
        stream; the stream then stays as it was."""
        read, linear = stream_state.from_bytes(content, "classify", self.network.mark), None
        with checking():
            rest, unread, last = read.text("rest"), read.text("unread"), None
            if read.values["begun"] is True:
                past = self.network.pasts(read)
                answers = (1, len(self._labels.classes), *([2] if self._labels.several else []))
                last = Judged(read.tensor("logits", torch.float32, *answers), past)
            if self._model is not None:
                linear = LinearState(self._model)
                linear.restore(read)
        self._rest, self._unread, self._last, self._linear = rest, unread, last, linear

    def _read_words(self) -> Tensor | None:
        """Read the words that are complete; return the linear model's logits after each of the next tokens:
        (T, K), or (1, K) where tokens are parts of words."""
        if self._linear is None:
            self._unread = ""
            return None
        end = WORDS.stable_prefix(self._unread)
        words, self._unread = WORDS.tokens(self._unread[:end]), self._unread[end:]
        logits = self._linear.read(words)
        return logits if isinstance(self._tokenizer, WordTokenizer) else self._linear.logits.unsqueeze(0)

    def _begun(self) -> Steps[Judged]:
        """Return what is known so far: at first, after the token with which texts start."""
        if self._last is None:
            self._last = yield Words(np.array([start_token(self._tokenizer)], np.int64))
        return self._last

    def _answers(self, logits: Tensor, evidence: Tensor | None) -> Tensor:
        """Return the probabilities (T, K) of labels, given the network's logits and the linear model's."""
        if self._blend is None or self._model is None or evidence is None:
            return logits.softmax(1)
        linear = self._model.normalized(evidence.float())
        return shares(self._blend.log_probabilities(logits.log_softmax(-1), linear).exp())
