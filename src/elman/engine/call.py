"""What goes into a scan and what comes out of it, the same for every engine.

T steps, B sequences, I inputs, H units, G gates, P outputs (P = H without a projection), L layers, D
directions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from elman.cells import Cell

State = tuple[Tensor, ...]


class Weights(NamedTuple):
    """One layer in one direction."""

    ih: Tensor  # (G*H, I)
    hh: Tensor | None  # (G*H, P), None for a cell without a recurrent matrix
    b_ih: Tensor | None  # (G*H)
    b_hh: Tensor | None  # (G*H)
    hr: Tensor | None  # (P, H) projects h to the output
    units: tuple[Tensor, ...]  # (H) each, in the order of cell.weights
    gain_ih: Tensor | None  # (G*H), with layer normalisation only
    gain_hh: Tensor | None  # (G*H)
    hidden: int

    @property
    def width(self) -> int:
        """Size P of the output."""
        return self.hidden if self.hr is None else self.hr.shape[0]


class Stack(NamedTuple):
    """L layers in D directions of one cell, and the noise in them; see `elman.Recurrent` for the shares."""

    cell: Cell
    weights: tuple[Weights, ...]  # L*D, a layer's directions side by side
    directions: int
    training: bool
    dropout: float
    recurrent_dropout: float
    weight_dropout: float
    zoneout: float
    recompute: bool = False
    int8: bool = False


class Call(NamedTuple):
    """One call's data beside x (T, B, I) and the state.

    With `batch_sizes`, x is the data (N, I) of a PackedSequence, and so is the output; without lengths then.
    """

    lengths: Tensor | None = None  # (B) int64 on x's device; steps at or beyond them are not taken
    reset: Tensor | None = None  # (T, B) bool: a new sequence starts here
    batch_sizes: Tensor | None = None  # (T) int64 on the CPU
    every_state: bool = False


class Noise(NamedTuple):
    """The random masks of one layer in one direction, drawn before its first step."""

    recurrent: Tensor | None = None  # (B, P), multiplies h before U at every step
    zoneout: tuple[Tensor | float, ...] | None = None  # per state (T, B, ·): 1 = keep; or the share kept


class Result(NamedTuple):
    """Outputs (T, B, D*P), zero beyond a sequence's length; final state; on request every state (T, ...).

    A stack's states are (L*D, B, ·), those of one layer in one direction (B, ·).
    """

    output: Tensor
    state: State
    every: State | None = None


def taken(lengths: Tensor, steps: int) -> Tensor:
    """Which of T steps each of B sequences takes, (T, B) bool."""
    return torch.arange(steps, device=lengths.device).unsqueeze(1) < lengths
