"""Features → log-probabilities of labels: convolutions that lower the frame rate, then recurrent layers."""

from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import as_cell
from elman.nn import Recurrent
from elman.tasks.transcribe.settings import STRIDES, Settings

KERNELS: Final = (5, 3)  # frames that each convolution sees
BLOCK_ROWS: Final = 8  # multiplied at a time while they arrive


class Convolution(nn.Conv1d):
    """A convolution over frames, with one output for each `step` frames that have begun."""

    def __init__(self, inputs: int, outputs: int, width: int, step: int) -> None:
        super().__init__(inputs, outputs, width, step)
        self.width, self.step = width, step

    def padding_for(self, frames: int) -> tuple[int, int]:
        """Return the zeros before and after so many frames."""
        before, outputs = self.width // 2, -(-frames // self.step)
        return before, max((outputs - 1) * self.step + self.width - before - frames, 0)

    def product(self) -> "RowProduct":
        """Return the convolution as a product with the frames that an output sees, one after another."""
        assert self.bias is not None
        weight = self.weight.detach().permute(2, 1, 0).flatten(0, 1).contiguous()
        return RowProduct(weight, self.bias.detach())


class TranscriberNet(nn.Module):
    """Features (frames, recordings, features) → log-probabilities (steps, recordings, labels)."""

    def __init__(self, settings: Settings, features: int, labels: int) -> None:
        super().__init__()
        s = settings
        self.stride = s.stride
        sizes = zip((features, s.front), KERNELS, STRIDES[s.stride], strict=True)
        self.front: Any = nn.ModuleList(Convolution(size, s.front, *shape) for size, *shape in sizes)
        between = s.dropout if s.layers > 1 else 0.0
        self.layers = Recurrent(
            as_cell(s.cell), s.front, s.hidden, s.layers, dropout=between, bidirectional=s.bidirectional
        )
        self.dropout = nn.Dropout(s.dropout)
        self.head = nn.Linear(s.hidden * self.layers.directions, labels)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Read padded recordings; `lengths` (recordings,) are their frames, 1 at least. Returns the
        log-probabilities, and the number of steps of each."""
        x = _without_padding(features.permute(1, 2, 0), lengths)
        for convolution in self.front:
            lengths = torch.div(lengths + convolution.step - 1, convolution.step, rounding_mode="floor")
            x = convolution(F.pad(x, convolution.padding_for(x.shape[2]))).relu()
            x = _without_padding(x, lengths)
        x = self.dropout(x.permute(2, 0, 1))
        # one direction reads padding after its end, which changes nothing before, and is faster
        counts = lengths if self.layers.bidirectional else None
        outputs, _ = self.layers(x.contiguous(), lengths=counts)
        return self.head(self.dropout(outputs)).log_softmax(-1), lengths

    def run(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read the next steps (steps, front) of one recording; return their log-probabilities, and the state
        after them."""
        outputs, state = self.layers(x.unsqueeze(1), state)
        return self.head(outputs.squeeze(1)).log_softmax(-1), state


def _without_padding(x: Tensor, lengths: Tensor) -> Tensor:
    """Return recordings (recordings, features, frames) with zeros after the end of each."""
    outside = torch.arange(x.shape[2], device=x.device) >= lengths.unsqueeze(1)
    return x.masked_fill(outside.unsqueeze(1), 0)


class RowProduct:
    """x W + b for rows x that arrive in pieces: the same bits as for the whole.

    Libraries choose their kernels by shape: always BLOCK_ROWS rows are multiplied, row k of all in row
    k % BLOCK_ROWS. For a few rows this takes a third of the time of `conv1d`.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight, self._bias = weight, bias
        self._block = torch.zeros(BLOCK_ROWS, len(weight), dtype=weight.dtype)

    def __call__(self, rows: Tensor, first: int) -> Tensor:
        """Return the products (rows, outputs) of rows (rows, inputs), which are from number `first` on."""
        parts = []
        for start in range(0, len(rows), BLOCK_ROWS):
            some = rows[start : start + BLOCK_ROWS]
            before = first % BLOCK_ROWS  # the rows go on at the top of the block
            fits = min(BLOCK_ROWS - before, len(some))
            self._block[before : before + fits] = some[:fits]
            self._block[: len(some) - fits] = some[fits:]
            product = torch.addmm(self._bias, self._block, self._weight)
            parts += [product[before : before + fits], product[: len(some) - fits]]
        return torch.cat(parts)


class FrontStream:
    """The convolutions over frames that arrive in pieces: the same as over the whole."""

    def __init__(self, network: TranscriberNet) -> None:
        self._convolutions: list[Convolution] = list(network.front)
        self._products = [one.product() for one in self._convolutions]
        self.reset()

    def reset(self) -> None:
        """Begin another recording."""
        self._parts = [
            _Pending(torch.zeros(one.width // 2, one.in_channels), 0, 0) for one in self._convolutions
        ]

    def push(self, frames: Tensor, end: bool = False) -> Tensor:
        """Return the steps (steps, front) that frames (frames, features) complete; at the end, all."""
        for k in range(len(self._convolutions)):
            frames = self._convolve(k, frames, end)
        if end:
            self.reset()
        return frames

    def _convolve(self, k: int, x: Tensor, end: bool) -> Tensor:
        one, (rows, received, done) = self._convolutions[k], self._parts[k]
        received, rows = received + len(x), torch.cat([rows, x])
        if end:
            rows = F.pad(rows, (0, 0, 0, one.padding_for(received)[1]))
        count = (len(rows) - one.width) // one.step + 1
        if end:
            count = min(count, -(-received // one.step) - done)
        if count <= 0:
            self._parts[k] = _Pending(rows, received, done)
            return rows.new_zeros(0, one.out_channels)
        rows = rows.contiguous()
        size = one.in_channels
        seen = rows.as_strided((count, one.width * size), (one.step * size, 1))
        outputs = self._products[k](seen, done).relu_()
        self._parts[k] = _Pending(rows[count * one.step :].clone(), received, done + count)
        return outputs


class _Pending(NamedTuple):
    """What a convolution has to keep between pushes."""

    rows: Tensor  # (rows, features), from the first that the next output sees
    received: int
    done: int  # outputs so far
