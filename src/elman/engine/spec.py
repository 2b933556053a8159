"""What one scan of the compiled engine is told, in the forms that autograd and PyTorch's operators want."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from torch import Tensor

from elman.cells import Cell


class Spec(NamedTuple):
    """What a scan is told beside its tensors."""

    cell: Cell
    hidden: int
    reverse: bool
    zoneout: tuple[float, ...] | None  # constant shares
    counts: tuple[int, int]  # states, weights of units
    every: bool
    int8: bool = False


class Tensors(NamedTuple):
    """What a scan reads, in the order in which autograd sees it; only x, ih and `rest` are always there."""

    lengths: Tensor | None
    clear: Tensor | None
    mask: Tensor | None
    x: Tensor
    ih: Tensor
    hh: Tensor | None
    b_ih: Tensor | None
    b_hh: Tensor | None
    gain_ih: Tensor | None
    gain_hh: Tensor | None
    rest: tuple[Tensor, ...]  # states, weights of units, zoneout's masks

    def flat(self) -> tuple[Tensor | None, ...]:
        """All of them side by side, as `read` takes them."""
        return (*self[:-1], *self.rest)


# How many stand before `rest`.
HEAD: Final = len(Tensors._fields) - 1


def read(tensors: Sequence[Any]) -> Tensors:
    """The tensors of a scan by name."""
    lengths, clear, mask, x, ih, hh, b_ih, b_hh, gain_ih, gain_hh, *rest = tensors
    return Tensors(lengths, clear, mask, x, ih, hh, b_ih, b_hh, gain_ih, gain_hh, tuple(rest))
