"""What one scan of the compiled engine is told, in the forms that autograd and PyTorch's operators want."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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
    """What a scan reads, in the order in which autograd sees it; the first eight may be absent."""

    lengths: Tensor | None
    clear: Tensor | None
    mask: Tensor | None
    x: Tensor
    ih: Tensor
    hh: Tensor | None
    b_ih: Tensor | None
    b_hh: Tensor | None
    rest: tuple[Tensor, ...]  # states, weights of units, zoneout's masks


def read(tensors: Sequence[Any]) -> Tensors:
    """The tensors of a scan by name."""
    lengths, clear, mask, x, ih, hh, b_ih, b_hh, *rest = tensors
    return Tensors(lengths, clear, mask, x, ih, hh, b_ih, b_hh, tuple(rest))
