"""What goes into a scan and what comes out of it, the same for every engine."""

from dataclasses import dataclass

from torch import Tensor

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class Weights:
    """One layer in one direction: I inputs, H units, G gates, P outputs (P = H without a projection)."""

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


@dataclass(frozen=True)
class Call:
    """The options of one scan over T steps and B sequences."""

    lengths: Tensor | None = None  # (B) int64 on x's device; steps at or beyond them are not taken
    reset: Tensor | None = None  # (T, B) bool: a new sequence starts here
    reverse: bool = False
    recurrent_mask: Tensor | None = None  # (B, P), multiplies h before U at every step
    zoneout: tuple[Tensor | float, ...] | None = (
        None  # per state: (T, B, width) with 1 = keep, or the share kept
    )
    every_state: bool = False


@dataclass(frozen=True)
class Result:
    """Outputs (T, B, P), zero beyond a sequence's length; final state; on request every state (T, B, ·)."""

    output: Tensor
    state: State
    every: State | None = None
