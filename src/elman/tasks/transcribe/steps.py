"""The network of a transcriber prepared for speech that arrives: of one recording, or of many together with
the same bits.

T steps, F features of the front, L labels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from elman.data.audio.normalise import NormaliserStream, push_together
from elman.decode.ctc import Scores
from elman.nn.rows import Array, RowProduct, RowSteps, States, groups, joined, slices
from elman.tasks.pool import Steps, marked
from elman.tasks.transcribe.features import Spectra
from elman.tasks.transcribe.network import Convolution, TranscriberNet


class Normal(NamedTuple):
    """A request: the next frames (frames, features) of a recording, normalised."""

    stream: NormaliserStream
    frames: Array


class Seen(NamedTuple):
    """A request: the next outputs (outputs, F) of convolution `layer`, given the frames (frames, features)
    from the first that they see."""

    layer: int
    frames: Array
    outputs: int


class Front(NamedTuple):
    """A request: the next steps (T, F) of a recording."""

    x: Array
    state: States | None


class Labels(NamedTuple):
    """The answer: log-probabilities (T, L) of labels, and the state after them."""

    scores: Scores
    state: States


Request = Spectra | Normal | Seen | Front


class TranscriberSteps:
    """A network in eval mode that reads in one direction, with the weights that it has now, and what stands
    before it.

    Attributes:
        stride: frames of a step.
    """

    def __init__(self, network: TranscriberNet) -> None:
        self.stride, self.convolutions = network.stride, list[Convolution](network.front)
        self._products = [_product(one) for one in self.convolutions]
        self._layers = RowSteps(network.layers)
        self._head = RowProduct(network.head.weight, network.head.bias)

    def answer(self, requests: Sequence[Request]) -> list[Any]:
        """Answer every request as if it were alone; a NotFinite where a state became NaN."""
        answers: list[Any] = [None] * len(requests)
        by_kind: dict[Any, list[int]] = {}
        for k, request in enumerate(requests):
            by_kind.setdefault(_kind(request), []).append(k)
        for numbers in by_kind.values():
            same: list[Any] = [requests[k] for k in numbers]
            for k, answer in zip(numbers, self._answered(same), strict=True):
                answers[k] = answer
        return answers

    def _answered(self, requests: list[Any]) -> list[Any]:
        """Answer requests of one kind."""
        first = requests[0]
        if isinstance(first, Spectra):
            features = first.bank.log_mel(np.concatenate([one.frames for one in requests]))
            return [features[part] for part in slices([len(one.frames) for one in requests])]
        if isinstance(first, Normal):
            return push_together([one.stream for one in requests], [one.frames for one in requests])
        return self._convolved(requests) if isinstance(first, Seen) else self._labels(requests)

    def _convolved(self, requests: list[Seen]) -> list[Array]:
        one = self.convolutions[requests[0].layer]
        rows = slices([len(request.frames) for request in requests])
        frames = np.concatenate([request.frames for request in requests])
        outputs = [request.outputs for request in requests]
        starts = [part.start + one.step * np.arange(k) for part, k in zip(rows, outputs, strict=True)]
        # an index costs less than a sliding view, and makes the copy that the product needs
        windows = frames[np.concatenate(starts)[:, None] + np.arange(one.width)]
        values = self._products[requests[0].layer](windows.reshape(len(windows), -1))
        np.maximum(values, 0, out=values)
        return [values[part] for part in slices(outputs)]

    def _labels(self, fronts: list[Front]) -> list[Any]:
        answers: list[Any] = [None] * len(fronts)
        for group in groups([(len(one.x), 1) for one in fronts]):
            for k, answer in zip(group, self._labels_of_group([fronts[k] for k in group]), strict=True):
                answers[k] = answer
        return answers

    def _labels_of_group(self, fronts: list[Front]) -> list[Any]:
        lengths = [len(one.x) for one in fronts]
        states = [one.state or self._layers.zeros() for one in fronts]
        ragged = lengths if lengths[0] > lengths[-1] else None
        outputs, after = self._layers.run(joined([one.x[:, None] for one in fronts]), states, ragged)
        rows = np.concatenate([outputs[:length, k] for k, length in enumerate(lengths)])
        log_probs = torch.from_numpy(self._head(rows)).log_softmax(1).double().numpy()
        scores = Scores(log_probs, log_probs.argmax(1).tolist())
        parts = map(scores.part, slices(lengths))
        answers = [Labels(part, state) for part, state in zip(parts, after, strict=True)]
        return marked(answers, outputs, slices([1] * len(fronts)))


def _kind(request: Request) -> Any:
    """Return what requests have in common that are answered at once."""
    if isinstance(request, Seen):
        return Seen, request.layer
    if isinstance(request, Normal):
        return Normal, request.stream.normaliser
    return (Spectra, request.bank) if isinstance(request, Spectra) else Front


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
        self._parts[k] = _Pending(rows[count * one.step :].copy(), received, done + count)
        outputs: Array = yield Seen(k, rows, count)
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
