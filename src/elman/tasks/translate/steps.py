"""The decoder of a translator prepared for steps: of one sentence, or of many together with the same bits.

R hypotheses of a sentence, S steps of the source, E values of an embedding, H units, V tokens.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman import decode
from elman.data.text.tokenizers import UNKNOWN
from elman.nn.rows import Array, RowProduct, RowSteps, States, groups, slices
from elman.stepping import driven
from elman.tasks.pool import Steps, answered, marked
from elman.tasks.translate.codec import END, Codec, Source
from elman.tasks.translate.copying import NUM_SLOTS
from elman.tasks.translate.network import LOGIT_SCALE, EncoderDecoder
from elman.training.problem import device_of


class Rows(NamedTuple):
    """A request: what a part of the decoder gives for rows (R, ·), an array (R, ·), and with a state the next
    one."""

    part: Literal["query", "output", "combine", "logits"]
    x: Array
    state: States | None = None


class DecoderSteps:
    """A network in eval mode, with the weights that it has now."""

    def __init__(self, network: EncoderDecoder) -> None:
        self.network = network
        target = network.target.weight
        with torch.no_grad():
            self.vectors: Array = (target * target.shape[1] ** 0.5).float().cpu().numpy()
            self._products = {
                "combine": RowProduct(network.combine.weight, network.combine.bias),
                "logits": RowProduct(LOGIT_SCALE * target, network.bias),
            }
        self._layers = {"query": RowSteps(network.query_rnn), "output": RowSteps(network.output_rnn)}

    def answer(self, requests: Sequence[Rows]) -> list[Any]:
        """Answer every request as if it were alone; a NotFinite where a state became NaN."""
        answers: list[Any] = [None] * len(requests)
        for part in (*self._layers, *self._products):
            numbers = [k for k, request in enumerate(requests) if request.part == part]
            for group in groups([(1, len(requests[k].x)) for k in numbers]):
                some = [requests[numbers[k]] for k in group]
                for k, answer in zip(group, self._answer(part, some), strict=True):
                    answers[numbers[k]] = answer
        return answers

    def _answer(self, part: str, requests: list[Rows]) -> list[Any]:
        x = np.concatenate([request.x for request in requests])
        rows = slices([len(request.x) for request in requests])
        if part in self._products:
            together = self._products[part](x)
            return [together[one] for one in rows]
        states = [request.state for request in requests if request.state is not None]
        outputs, after = self._layers[part].run(x[None], states)
        answers = [(outputs[0, one], state) for one, state in zip(rows, after, strict=True)]
        return marked(answers, outputs, rows)


class DecoderState(NamedTuple):
    """What the decoder carries from step to step, of the hypotheses of one sentence."""

    query: States
    output: States
    features: Array  # (R, E) of the last step
    weights: Tensor  # (R, S) attention of the last step

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the state of these rows, in that order."""
        chosen = rows.numpy()
        query, output = (tuple(part[:, chosen] for part in state) for state in (self.query, self.output))
        return DecoderState(query, output, self.features[chosen], self.weights[rows])


class Sentence:
    """An encoded sentence, with what `elman.decode` takes.

    Attributes:
        first: (1,), the token before the translation.
        state: the decoder's first.
        limit: most tokens.
        banned: tokens that never occur.
        model: for `elman.decode`; `stepping` is its step, as requests to the network.
    """

    def __init__(self, steps: DecoderSteps, codec: Codec, source: Source) -> None:
        self._steps, self._first_slot, self._slots = steps, len(codec.target), len(source.slots)
        device = device_of(steps.network)
        ids = torch.tensor(source.ids, device=device).unsqueeze(1)
        with torch.no_grad():
            encoded, state = steps.network.encode(ids, torch.tensor([len(ids)], device=device))
        self._keys, self._values = encoded.keys[0].cpu(), encoded.values[0].cpu()
        self.first, self.banned = torch.tensor([END]), torch.tensor([UNKNOWN])
        self.limit = 2 * len(ids) + 10
        query, output = _arrays(state.query_rnn), _arrays(state.output_rnn)
        self.state = DecoderState(query, output, state.features.cpu().numpy(), state.weights.cpu())
        self.model = decode.Model(self._step, DecoderState.select, lambda state: state.weights)

    def _step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        return driven(self.stepping((tokens, state)), lambda request: answered(self._steps, request))

    def stepping(self, request: tuple[Tensor, DecoderState]) -> Steps[tuple[Tensor, DecoderState]]:
        """Read a token of each hypothesis; return logits (R, V) and the next state."""
        tokens, state = request
        x = self._steps.vectors[tokens.numpy()]
        if self._steps.network.input_feeding:
            x = np.concatenate([x, state.features], 1)
        query, query_state = yield Rows("query", x, state.query)
        weights = (torch.from_numpy(query) @ self._keys).softmax(1)
        context = (weights @ self._values).numpy()
        output, output_state = yield Rows("output", np.concatenate([query, context], 1), state.output)
        features = np.tanh((yield Rows("combine", np.concatenate([output, context], 1))))
        logits = torch.from_numpy((yield Rows("logits", features)))
        logits[:, self._first_slot + self._slots : self._first_slot + NUM_SLOTS] = -torch.inf
        return logits, DecoderState(query_state, output_state, features, weights)


def _arrays(state: Any) -> States:
    parts = state if isinstance(state, tuple) else (state,)
    return tuple(part.cpu().numpy() for part in parts)
