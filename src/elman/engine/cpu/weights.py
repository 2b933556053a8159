"""Weights in the layout of the kernels: in panels, by slot, and padded to whole panels of units.

G gates, S slots, H units, Hp units of whole panels, K what a product sums over, C columns of a panel.
"""

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from elman.cells import Cell
from elman.engine.call import Weights, flatten
from elman.engine.cpu import build
from elman.engine.cpu.emit.plan import Plan, plan_for
from elman.engine.cpu.emit.product import WIDE


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
def gates(plan: Plan, letters: str) -> tuple[int, ...]:
    """Return the gates of the slots of these letters, by their index in the cell."""
    return tuple(plan.cell.gates.index(g) for letter, g in plan.slots if letter in letters)


def by_slot(by_gate: Tensor, plan: Plan, letters: str) -> Tensor:
    """Select the gates of these slots from a tensor (G, ...)."""
    indices = gates(plan, letters)
    return by_gate if indices == tuple(range(by_gate.shape[0])) else by_gate[list(indices)]


def pad_units(tensor: Tensor, hp: int, axis: int) -> Tensor:
    """Pad an axis of units with zeros up to Hp."""
    missing = hp - tensor.shape[axis]
    return F.pad(tensor, [0, 0] * (tensor.dim() - 1 - axis) + [0, missing]) if missing else tensor


@functools.cache
def zeros(count: int, dtype: torch.dtype) -> Tensor:
    """Return zeros for rows of units beyond H, and for states before a sequence."""
    return torch.zeros(count, dtype=dtype)


def pack(plan: Plan, w: Weights[Tensor]) -> Packed:
    """Lay weights out for the forward kernel."""
    if plan.int8:
        return _rounded(plan, w)
    hidden = hidden_size(plan.cell, w)
    W = _across(w.weight_ih, plan, "xa", hidden)
    U = None if w.weight_hh is None else _across(w.weight_hh, plan, "au", hidden)
    units = pad_units(torch.stack(w.units), padded(hidden, plan), 1) if w.units else None
    return Packed(W, U, _by_slot(plan, w.bias_ih, w.bias_hh, w), units, gain(plan, w))


def _rounded(plan: Plan, w: Weights[Tensor]) -> Packed:
    """Round W and U to 8 bits, every row by its own scale, so that its largest number is 127."""
    full = pack(plan_for(plan.cell, plan.vector, norm=plan.norm), w)
    W, W_scales = to_bytes(full.W)
    U, U_scales = (None, None) if full.U is None else to_bytes(full.U)
    return full._replace(W=W, U=U, W_scales=W_scales, U_scales=U_scales)


def to_bytes(panels: Tensor) -> tuple[Tensor, Tensor]:
    """Round panels (N / C, K, C) to int8; return them and the scales of their columns (N)."""
    scales = panels.abs().amax(1, keepdim=True).clamp(min=torch.finfo(panels.dtype).tiny) / 127
    return (panels / scales).round().to(torch.int8), scales.flatten()


def pack_backward(plan: Plan, hh: Tensor, hidden: int) -> Tensor:
    """Lay U (G*H, H) out for the backward kernel: (Hp / C, slots * Hp, C)."""
    hh, hp = hh.contiguous(), padded(hidden, plan)
    rows = _addresses(plan, "au", hidden, *_rows(hh))
    columns = WIDE * plan.vector.lanes
    panels = hh.new_empty(hp // columns, len(rows), columns)
    build.packing_entry(plan.vector)["along"](rows.ctypes.data, panels.data_ptr(), len(rows), hidden)
    return panels


def _across(weight: Tensor, plan: Plan, letters: str, hidden: int) -> Tensor:
    """(G*H, K) → (S*Hp / C, K, C)."""
    weight = weight.contiguous()
    rows = _addresses(plan, letters, hidden, *_rows(weight))
    columns, count = WIDE * plan.vector.lanes, weight.shape[1]
    panels = weight.new_empty(len(rows) // columns, count, columns)
    build.packing_entry(plan.vector)["across"](rows.ctypes.data, panels.data_ptr(), len(panels), count)
    return panels


def _rows(weight: Tensor) -> tuple[int, int, int]:
    """Return the address of a matrix, the bytes of a row, and the address of a row of zeros."""
    zero = zeros(weight.shape[1], weight.dtype)
    return weight.data_ptr(), weight.shape[1] * weight.element_size(), zero.data_ptr()


@functools.lru_cache(256)
def _addresses(plan: Plan, letters: str, hidden: int, base: int, row: int, zero: int) -> Any:
    """Return the addresses of the rows of all units of these slots, int64 (S*Hp)."""
    unit = np.arange(padded(hidden, plan))
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
    unit = torch.arange(padded(hidden, plan))
    rows = [
        torch.where(unit < hidden, part[letter] + plan.cell.gates.index(g) * hidden + unit, last)
        for letter, g in plan.slots
    ]
    return torch.cat(rows)


class Snapshot:
    """Notices whether tensors have been replaced or changed since.

    PyTorch counts the changes of a tensor, except those made through `.data`: a sample of the numbers reveals
    these.
    """

    def __init__(self, plan: Plan, tensors: Sequence[Tensor]) -> None:
        # weak: a snapshot may be the value under a tensor that must die with its layer
        self._marks = [(weakref.ref(t), t._version, t.data_ptr()) for t in tensors]
        self._sample = sampler(plan, tensors)
        self._sampled = self._sample()

    def holds(self, tensors: Sequence[Tensor]) -> bool:
        """Return whether these are the same tensors with the same numbers."""
        if len(tensors) != len(self._marks):
            return False
        for t, (reference, version, address) in zip(tensors, self._marks, strict=True):
            if reference() is not t or t._version != version or t.data_ptr() != address:
                return False
        return self._sample() == self._sampled


def sampler(plan: Plan, tensors: Sequence[Tensor]) -> Callable[[], int]:
    """Return a function that reads some numbers of each tensor and mixes them into one."""
    addresses = np.array([t.data_ptr() for t in tensors])
    counts = np.array([t.numel() for t in tensors])
    function = build.packing_entry(plan.vector)["sample"]
    arguments = (addresses.ctypes.data, counts.ctypes.data, len(tensors))

    def sample(_alive: Any = (addresses, counts)) -> int:
        return function(*arguments)

    return sample


# Packed weights of layers that are used without gradients, by their first matrix.
_PACKED: Final[Any] = WeakIdKeyDictionary()


def remembered(plan: Plan, w: Weights[Tensor]) -> Packed:
    """Do the same as `pack`, but only once while the weights are unchanged."""
    tensors = [t for t in flatten(w) if t is not None]
    if any(t.is_inference() for t in tensors):  # PyTorch doesn't count these tensors' changes
        return pack(plan, w)
    entry = _PACKED.get(w.weight_ih)
    if entry is None or entry[0] is not plan or not entry[1].holds(tensors):
        entry = _PACKED[w.weight_ih] = (plan, Snapshot(plan, tensors), pack(plan, w))
    packed: Packed = entry[2]
    return packed
