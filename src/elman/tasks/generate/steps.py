"""The network of a language model prepared for steps: of one text, or of many together with the same bits.

T steps, R rows of a request, N rows in all, V tokens, E values of an embedding vector, H hidden units.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from elman.engine.call import Stack
from elman.engine.cpu.lookup import Lookup
from elman.nn.call_cache import lookup
from elman.nn.rows import Array, RowProduct, RowSteps, States, groups, joined, slices
from elman.tasks.generate.network import LanguageNet
from elman.tasks.pool import marked

State = tuple[States, ...]  # one entry a layer


class Tokens(NamedTuple):
    """A request: tokens to read."""

    ids: Array  # (T, R) int64
    state: State | None  # of the R rows; None: of one row that begins
    logits: bool = False  # whether those after the last step are asked for


class Read(NamedTuple):
    """The answer."""

    features: Array  # (T, R, H)
    state: State
    logits: Array | None  # (R, V): log-probabilities, up to a constant, of the next token


class LanguageSteps:
    """A network in eval mode, with the weights that it has now.

    Attributes:
        vectors: (V, E), the inputs of the first layer.
        output: from features (N, H) to log-probabilities, up to a constant, (N, V).
    """

    def __init__(self, network: LanguageNet) -> None:
        self.network = network
        with torch.no_grad():
            tokens = torch.arange(network.embedding.num_embeddings, device=network.embedding.weight.device)
            self.vectors: Array = network.vectors(tokens).float().cpu().numpy()
            self.output = _output(network)
        self.layers = [RowSteps(layer) for layer in network.layers]  # type: ignore[arg-type]

    def answer(self, requests: Sequence[Tokens]) -> list[Any]:
        """Return a Read for every request, as if it were alone; a NotFinite where a state became NaN."""
        answers: list[Any] = [None] * len(requests)
        for group in groups([request.ids.shape for request in requests]):
            for k, answer in zip(group, self._answer([requests[k] for k in group]), strict=True):
                answers[k] = answer
        return answers

    def _answer(self, requests: list[Tokens]) -> list[Any]:
        x = self.vectors[joined([request.ids for request in requests])]
        rows = slices([request.ids.shape[1] for request in requests])
        lengths = [len(request.ids) for request in requests for _ in range(request.ids.shape[1])]
        states = []
        for k, layer in enumerate(self.layers):
            before = [layer.zeros() if one.state is None else one.state[k] for one in requests]
            x, after = layer.run(x, before, None if lengths[0] == lengths[-1] else lengths)
            states.append(after)
        features = [x[: len(one.ids), part] for one, part in zip(requests, rows, strict=True)]
        logits = self._logits(requests, features)
        each = zip(features, zip(*states, strict=True), strict=True)
        answers = [Read(one, state, logits.get(k)) for k, (one, state) in enumerate(each)]
        return marked(answers, x, rows)

    def _logits(self, requests: list[Tokens], features: list[Array]) -> dict[int, Array]:
        """Return those after the last step of the requests that ask for them, by number."""
        asked = [k for k, request in enumerate(requests) if request.logits]
        if not asked:
            return {}
        logits = self.output(np.concatenate([features[k][-1] for k in asked]))
        return {
            k: logits[part]
            for k, part in zip(asked, slices([features[k].shape[1] for k in asked]), strict=True)
        }

    @cached_property
    def table(self) -> Tensor | None:
        """The products of the first layer's W with every token, for `Lookup`; None where there are too many,
        or no kernel runs."""
        return lookup(self.stack, torch.from_numpy(self.vectors))

    @cached_property
    def stack(self) -> Stack:
        """All layers as one stack."""
        weights = [layer.stack.weights[0] for layer in self.layers]
        return self.layers[0].stack._replace(weights=tuple(weights))


def tensors_of(state: State | None) -> Any:
    """Return a state as the network's layers take it."""
    if state is None:
        return None
    layers = [tuple(map(torch.from_numpy, parts)) for parts in state]
    return tuple(parts if len(parts) > 1 else parts[0] for parts in layers)


class SingleSteps:
    """Steps of one text, each from the state that the last one left: nothing is made anew.

    Attributes:
        kernel: takes them; None where none can.
    """

    def __init__(self, steps: LanguageSteps) -> None:
        self._steps, table = steps, steps.table
        self.kernel = None if table is None else Lookup(steps.stack, table)
        self._state: Any = None

    def answer(self, request: Tokens) -> Any:
        """Answer a request as `LanguageSteps` does, but the next one overwrites what is returned."""
        single = self.kernel
        if single is None or request.ids.size > 1:
            (answer,) = self._steps.answer([request])
            return answer
        if self._state is None or request.state is not self._state:
            for k, part in enumerate(single.arrays()):
                part[:] = 0.0 if request.state is None else np.concatenate([one[k] for one in request.state])
        single.look(int(request.ids[0, 0]))
        self._state, features = (single.arrays(),), single.output.numpy()
        logits = self._steps.output(features) if request.logits else None
        return Read(features[None], self._state, logits)


def _output(network: LanguageNet) -> Callable[[Array], Array]:
    """Return a function from features (N, H) to log-probabilities, up to a constant, (N, V)."""
    if network.rare is not None:
        return _Rare(network)
    narrow, bias = network.narrow, network.get_parameter("bias")
    vectors = network.logit_scale * network.embedding.weight
    if not isinstance(narrow, nn.Linear):
        return RowProduct(vectors, bias)
    (tokens, size), hidden = vectors.shape, narrow.in_features
    if tokens * hidden <= (tokens + hidden) * size:  # one product costs less than two
        return RowProduct(vectors @ narrow.weight, bias + vectors @ narrow.bias)
    first, second = RowProduct(narrow.weight, narrow.bias), RowProduct(vectors, bias)
    return lambda features: second(first(features))


class _Rare:
    """The adaptive softmax of a large vocabulary: rare tokens share the probability of their cluster."""

    def __init__(self, network: LanguageNet) -> None:
        narrow, rare, scale = network.narrow, network.rare, network.logit_scale
        self._narrow = None
        if isinstance(narrow, nn.Linear):
            self._narrow, scale = RowProduct(scale * narrow.weight, scale * narrow.bias), 1.0
        self._common = int(rare.shortlist_size)
        self._head = RowProduct(scale * rare.head.weight, None)
        self._tails = [
            (RowProduct(scale * first.weight, None), RowProduct(second.weight, None))
            for first, second in rare.tail
        ]

    def __call__(self, features: Array) -> Array:
        x = features if self._narrow is None else self._narrow(features)
        head, common = _log_softmax(self._head(x)), self._common
        parts = [head[:, :common]]
        for k, (first, second) in enumerate(self._tails, common):
            parts.append(head[:, k : k + 1] + _log_softmax(second(first(x))))
        return np.concatenate(parts, 1)


def _log_softmax(x: Array) -> Array:
    array: Array = torch.from_numpy(x).log_softmax(1).numpy()
    return array
