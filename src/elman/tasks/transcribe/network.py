"""Features → log-probabilities of labels: convolutions that lower the frame rate, then recurrent layers."""

from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import as_cell
from elman.nn import Recurrent
from elman.tasks.transcribe.settings import STRIDES, Settings

KERNELS: Final = (5, 3)  # frames that each convolution sees


class Convolution(nn.Conv1d):
    """A convolution over frames, with one output for each `step` frames that have begun."""

    def __init__(self, inputs: int, outputs: int, width: int, step: int) -> None:
        super().__init__(inputs, outputs, width, step)
        self.width, self.step = width, step

    def padding_for(self, frames: int) -> tuple[int, int]:
        """Return the zeros before and after so many frames."""
        before, outputs = self.width // 2, -(-frames // self.step)
        return before, max((outputs - 1) * self.step + self.width - before - frames, 0)


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


def _without_padding(x: Tensor, lengths: Tensor) -> Tensor:
    """Return recordings (recordings, features, frames) with zeros after the end of each."""
    outside = torch.arange(x.shape[2], device=x.device) >= lengths.unsqueeze(1)
    return x.masked_fill(outside.unsqueeze(1), 0)
