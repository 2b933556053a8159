"""The network of a transcriber prepared for speech that arrives: of one recording, or of many together with
the same bits.

T steps, F features of the front, L labels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.nn.rows import Array, RowProduct, RowSteps, States, groups, joined, slices
from elman.tasks.pool import Steps, marked
from elman.tasks.transcribe.network import Convolution, TranscriberNet


class Seen(NamedTuple):
    """A request: what convolution `layer` gives for what its outputs see (outputs, frames · features). The
    answer is the array (outputs, F)."""

    layer: int
    frames: Array


class Front(NamedTuple):
    """A request: the next steps (T, F) of a recording."""

    x: Array
    state: States | None


class Labels(NamedTuple):
    """The answer: log-probabilities (T, L) of labels, and the state after them."""

    log_probs: Tensor
    state: States


class TranscriberSteps:
    """A network in eval mode that reads in one direction, with the weights that it has now.

    Attributes:
        stride: frames of a step.
    """

    def __init__(self, network: TranscriberNet) -> None:
        self.stride, self.convolutions = network.stride, list[Convolution](network.front)
        self._products = [_product(one) for one in self.convolutions]
        self._layers = RowSteps(network.layers)
        self._head = RowProduct(network.head.weight, network.head.bias)

    def answer(self, requests: Sequence[Seen | Front]) -> list[Any]:
        """Answer every request as if it were alone; a NotFinite where a state became NaN."""
        answers: list[Any] = [None] * len(requests)
        for layer in range(len(self._products)):
            numbers = [k for k, one in enumerate(requests) if isinstance(one, Seen) and one.layer == layer]
            outputs = self._convolved(layer, [requests[k] for k in numbers])
            for k, answer in zip(numbers, outputs, strict=True):
                answers[k] = answer
        numbers = [k for k, request in enumerate(requests) if isinstance(request, Front)]
        fronts: list[Any] = [requests[k] for k in numbers]
        for group in groups([(len(one.x), 1) for one in fronts]):
            for k, answer in zip(group, self._labels([fronts[k] for k in group]), strict=True):
                answers[numbers[k]] = answer
        return answers

    def _convolved(self, layer: int, requests: list[Any]) -> list[Array]:
        if not requests:
            return []
        outputs = self._products[layer](np.concatenate([one.frames for one in requests]))
        np.maximum(outputs, 0, out=outputs)
        return [outputs[part] for part in slices([len(one.frames) for one in requests])]

    def _labels(self, requests: list[Front]) -> list[Any]:
        lengths = [len(one.x) for one in requests]
        states = [one.state or self._layers.zeros() for one in requests]
        ragged = lengths if lengths[0] > lengths[-1] else None
        outputs, after = self._layers.run(joined([one.x[:, None] for one in requests]), states, ragged)
        rows = np.concatenate([outputs[:length, k] for k, length in enumerate(lengths)])
        log_probs = torch.from_numpy(self._head(rows)).log_softmax(1).split_with_sizes(lengths)
        answers = [Labels(*pair) for pair in zip(log_probs, after, strict=True)]
        return marked(answers, outputs, slices([1] * len(requests)))


class FrontStream:
    """The convolutions over frames that arrive in pieces: the same as over the whole."""

    def __init__(self, convolutions: Sequence[Convolution]) -> None:
        self._convolutions = convolutions
        self.reset()

    def reset(self) -> None:
        """Begin another recording."""
        self._parts = [
            _Pending(np.zeros((one.width // 2, one.in_channels), np.float32), 0, 0)
            for one in self._convolutions
        ]

    def push(self, frames: Array, end: bool = False) -> Steps[Array]:
        """Return the steps (T, F) that frames (frames, features) complete; at the end, all."""
        for k in range(len(self._convolutions)):
            frames = yield from self._convolve(k, frames, end)
        if end:
            self.reset()
        return frames

    def _convolve(self, k: int, x: Array, end: bool) -> Steps[Array]:
        one, (rows, received, done) = self._convolutions[k], self._parts[k]
        rows, received = np.concatenate([rows, x]), received + len(x)
        if end:
            after = np.zeros((one.padding_for(received)[1], one.in_channels), np.float32)
            rows = np.concatenate([rows, after])
        count = (len(rows) - one.width) // one.step + 1
        if end:
            count = min(count, -(-received // one.step) - done)
        if count <= 0:
            self._parts[k] = _Pending(rows, received, done)
            return np.zeros((0, one.out_channels), np.float32)
        # an index costs less than a sliding view, and makes the copy that the product needs
        windows = rows[one.step * np.arange(count)[:, None] + np.arange(one.width)]
        self._parts[k] = _Pending(rows[count * one.step :].copy(), received, done + count)
        outputs: Array = yield Seen(k, windows.reshape(count, -1))
        return outputs


class _Pending(NamedTuple):
    """What a convolution has to keep between pushes."""

    rows: Array  # (rows, features), from the first that the next output sees
    received: int
    done: int  # outputs so far


def _product(convolution: Convolution) -> RowProduct:
    """Return a convolution as a product with the frames that an output sees, one after another."""
    weight = convolution.weight.detach().permute(0, 2, 1).flatten(1).contiguous()
    return RowProduct(weight, convolution.bias)
