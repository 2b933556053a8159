"""Weights in the layout of the kernels: in panels, by slot, and padded to whole panels of units.

G gates, S slots, H units, Hp units of whole panels, K what a product sums over, C columns of a panel.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from elman.cells import Cell
from elman.engine.call import Stack, Weights, flatten
from elman.engine.cpu import build, host
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.plan import Packing, Plan, plan_for
from elman.engine.cpu.emit.product import WIDE
from elman.engine.cpu.rounding import rounded
from elman.engine.heads import dense
from elman.engine.memory import CPU, are_marked, find, mark, own
from elman.engine.slots import by_slot, gates, pad_units


class Packed(NamedTuple):
    """The weights that a forward kernel reads for one layer in one direction."""

    W: Tensor  # (x and a slots * Hp / C, I, C)
    U: Tensor | None  # (a and u slots * Hp / C, H, C)
    bias: Tensor  # (S, Hp)
    units: Tensor | None  # (weights, Hp)
    gain: Tensor | None = None  # (S, Hp), with layer normalisation
    W_scales: Tensor | None = None  # for 8-bit weights, one a column
    U_scales: Tensor | None = None


def hidden_size(cell: Cell, w: Weights[Tensor]) -> int:
    """Return H."""
    return w.weight_ih.shape[0] // len(cell.gates)


@functools.cache
def padded(hidden: int, plan: Plan) -> int:
    """Return Hp: H rounded up to whole panels."""
    columns = WIDE * plan.vector.lanes
    return -(-hidden // columns) * columns


@functools.cache
def zeros(count: int, dtype: torch.dtype) -> Tensor:
    """Return zeros for rows of units beyond H, and for states before a sequence."""
    return torch.zeros(count, dtype=dtype, device=CPU)


def forward_plan(stack: Stack, dtype: torch.dtype) -> Plan:
    """Return the kernel of a stack's calls without gradients in which all rows take all steps."""
    vector, packing, w = host.vector(dtype), host.packing(dtype, stack.int8, stack.bf16), stack.weights[0]
    heads = heads_of(stack.heads, hidden_size(stack.cell, w), vector, packing)
    return plan_for(stack.cell, vector, packing=packing, norm=w.gain_ih is not None, heads=heads)


def pack(plan: Plan, w: Weights[Tensor], heads: int = 1) -> Packed:
    """Lay weights out for the forward kernel; U is that of N heads."""
    if plan.packing != "float":
        return _rounded(plan, w, heads)
    hidden = hidden_size(plan.cell, w)
    W = _across(w.weight_ih, plan, "xa", hidden)
    U = None if w.weight_hh is None else _across(_matrix(w.weight_hh, plan, heads), plan, "au", hidden)
    units = pad_units(torch.stack(w.units), padded(hidden, plan), 1) if w.units else None
    return Packed(W, U, _by_slot(plan, w.bias_ih, w.bias_hh, w), units, gain(plan, w))


def _rounded(plan: Plan, w: Weights[Tensor], heads: int) -> Packed:
    """Lay out W and U with fewer bits."""
    full = pack(plan_for(plan.cell, plan.vector, norm=plan.norm), w, heads)  # the dense matrix
    W, W_scales = rounded(full.W, plan)
    U, U_scales = (None, None) if full.U is None else rounded(full.U, plan)
    return full._replace(W=W, U=U, W_scales=W_scales, U_scales=U_scales)


def pack_backward(plan: Plan, hh: Tensor, hidden: int, heads: int) -> Tensor:
    """Lay U of N heads out for the backward kernel: (Hp / C, slots * Hp, C), or (slots * Hp / C, D, C) where
    it multiplies them one by one."""
    # detached: its memory stays if another thread assigns hh.data
    hh, hp = _matrix(hh.detach(), plan, heads), padded(hidden, plan)
    columns = WIDE * plan.vector.lanes
    if plan.heads > 1:
        size = hh.shape[1]
        blocks = hh.view(-1, plan.heads, size, size // columns, columns)
        return by_slot(blocks, plan, "au").transpose(2, 3).contiguous()
    rows = _addresses(plan, "au", hidden, *_rows(hh))
    panels = hh.new_empty(hp // columns, len(rows), columns)
    build.packing_entry(plan.vector)["along"](rows.ctypes.data, own(panels), len(rows), hidden)
    return rounded(panels, plan)[0] if plan.grouped else panels


def heads_of(heads: int, hidden: int, vector: Vector, packing: Packing) -> int:
    """Return the heads of a kernel: 1 where it takes them as one dense matrix, because they fill no whole
    panels or because rows of h are rounded as a whole."""
    return heads if packing == "float" and hidden // heads % (WIDE * vector.lanes) == 0 else 1


def _matrix(hh: Tensor, plan: Plan, heads: int) -> Tensor:
    """Return U of N heads as the kernel takes it: (G*H, H), or (G*H, D) of heads."""
    return hh if plan.heads > 1 else dense(hh, heads)


def _across(weight: Tensor, plan: Plan, letters: str, hidden: int) -> Tensor:
    """(G*H, K) → (S*Hp / C, K, C)."""
    weight = weight.detach()  # whose memory stays if another thread assigns weight.data
    rows = _addresses(plan, letters, hidden, *_rows(weight))
    columns, count = WIDE * plan.vector.lanes, weight.shape[1]
    panels = weight.new_empty(len(rows) // columns, count, columns)
    build.packing_entry(plan.vector)["across"](rows.ctypes.data, own(panels), len(panels), count)
    return panels


def _rows(weight: Tensor) -> tuple[int, int, int]:
    """Return the address of a matrix, the bytes of a row, and the address of a row of zeros."""
    zero = zeros(weight.shape[1], weight.dtype)
    return own(weight), weight.shape[1] * weight.element_size(), own(zero)


@functools.lru_cache(256)
def _addresses(plan: Plan, letters: str, hidden: int, base: int, row: int, zero: int) -> Any:
    """Return the addresses of the rows of all units of these slots, int64 (S*Hp)."""
    unit = np.arange(padded(hidden, plan), dtype=np.int64)
    parts = [np.where(unit < hidden, base + (g * hidden + unit) * row, zero) for g in gates(plan, letters)]
    return np.concatenate(parts).astype(np.int64)


def gain(plan: Plan, w: Weights[Tensor]) -> Tensor | None:
    """Return the factor of every slot's normalised sum."""
    return _by_slot(plan, w.gain_ih, w.gain_hh, w) if plan.norm else None


def _by_slot(plan: Plan, ih: Tensor | None, hh: Tensor | None, w: Weights[Tensor]) -> Tensor:
    """Arrange biases, or gains, of both products (G*H) by slot; slots "a" get their sum."""
    hidden, dtype = hidden_size(plan.cell, w), w.weight_ih.dtype
    hp = padded(hidden, plan)
    if ih is None:
        return zeros(len(plan.slots) * hp, dtype)
    if hh is None:
        every = torch.cat((ih, zeros(1, dtype)))
    else:
        both = ih + hh
        if hp == hidden and gates(plan, "a") == tuple(range(len(plan.cell.gates))):
            return both
        every = torch.cat((ih, hh, both, zeros(1, dtype)))
    return every.index_select(0, _slot_places(plan, hidden, hh is not None))


@functools.lru_cache(256)
def _slot_places(plan: Plan, hidden: int, recurrent: bool) -> Tensor:
    """Return the index of every slot's units in (ih, hh, their sum, 0)."""
    total = len(plan.cell.gates) * hidden
    part = {"x": 0, "u": total, "a": 2 * total}
    last = 3 * total if recurrent else total
    unit = torch.arange(padded(hidden, plan), device=CPU)
    rows = [
        torch.where(unit < hidden, part[letter] + plan.cell.gates.index(g) * hidden + unit, last)
        for letter, g in plan.slots
    ]
    return torch.cat(rows)


class Snapshot:
    """Notices whether tensors have been replaced or changed since.

    PyTorch counts the changes of a tensor, except those made in place through `.data`. A checksum of all
    numbers reveals these: for certain if they change one number, otherwise but for a chance of 2^-32. A
    sample, which is quicker, reveals what changes most numbers.
    """

    def __init__(self, vector: Vector, tensors: Sequence[Tensor]) -> None:
        """Look at contiguous tensors."""
        self._marks, self._shapes = [mark(t) for t in tensors], [t.shape for t in tensors]
        self._readers = {whole: reader(vector, tensors, whole) for whole in (False, True)}
        self._numbers = {whole: read() for whole, read in self._readers.items()}

    def holds(self, tensors: Sequence[Tensor], whole: bool) -> bool:
        """Return whether these are the same tensors with the same numbers, of which `whole` reads all."""
        if len(tensors) != len(self._marks) or not are_marked(tensors, self._marks):
            return False
        if whole and not all(t.is_contiguous() for t in tensors):
            return False
        if whole and [t.shape for t in tensors] != self._shapes:
            return False
        return self._readers[whole]() == self._numbers[whole]


def is_countable(tensors: Sequence[Tensor], dtype: torch.dtype) -> bool:
    """Return whether a Snapshot can be made: their memory can be read, and PyTorch counts their changes."""
    for t in tensors:
        address = find(t, t.shape, dtype)
        # a checksum reads words of 32 bits
        if not address or address % 4 or t.nbytes % 4 or t.is_inference():
            return False
    return True


def reader(vector: Vector, tensors: Sequence[Tensor], whole: bool) -> Callable[[], int]:
    """Return a function that mixes all numbers of contiguous tensors, or a sample of them, into one."""
    addresses = np.array([own(t) for t in tensors], np.int64)
    counts = np.array([t.nbytes // vector.size for t in tensors], np.int64)
    function = build.packing_entry(vector)["checksum" if whole else "sample"]
    arguments = (addresses.ctypes.data, counts.ctypes.data, len(tensors))

    def read(_alive: Any = (addresses, counts)) -> int:
        return function(*arguments)

    return read


# Packed weights of layers that are used without gradients, by their first matrix.
_PACKED: Final[Any] = WeakIdKeyDictionary()


def remembered(plan: Plan, w: Weights[Tensor], heads: int = 1) -> Packed:
    """Do the same as `pack`, but only once while the weights are unchanged."""
    tensors = [t for t in flatten(w) if t is not None]
    if not is_countable(tensors, w.weight_ih.dtype):
        return pack(plan, w, heads)
    entry = _PACKED.get(w.weight_ih)
    if entry is None or entry[0] is not plan or not entry[1].holds(tensors, whole=True):
        entry = _PACKED[w.weight_ih] = (plan, Snapshot(plan.vector, tensors), pack(plan, w, heads))
    packed: Packed = entry[2]
    return packed
