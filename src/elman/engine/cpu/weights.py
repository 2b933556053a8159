"""Weights as the kernels read them: in panels, by slot, and padded to whole panels of units.

G gates, S slots, H units, Hp units of whole panels, K what a product sums over, C columns of a panel.
"""

import functools
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from elman.engine.call import Weights
from elman.engine.cpu import build
from elman.engine.cpu.emit.plan import Plan, plan_for
from elman.engine.cpu.emit.product import WIDE


class Packed(NamedTuple):
    """What a forward kernel reads of one layer in one direction."""

    W: Tensor  # (x and a slots * Hp / C, I, C)
    U: Tensor | None  # (a and u slots * Hp / C, H, C)
    bias: Tensor  # (S, Hp)
    units: Tensor | None  # (weights, Hp)
    gain: Tensor | None = None  # (S, Hp), with layer normalisation
    W_scales: Tensor | None = None  # for 8-bit weights, one a column
    U_scales: Tensor | None = None


@functools.cache
def padded(hidden: int, plan: Plan) -> int:
    """Hp: so many units fill whole panels."""
    columns = WIDE * plan.vector.lanes
    return -(-hidden // columns) * columns


@functools.cache
def gates(plan: Plan, letters: str) -> tuple[int, ...]:
    """The gates of the slots of these letters, by their place in the cell."""
    return tuple(plan.cell.gates.index(g) for letter, g in plan.slots if letter in letters)


def chosen(by_gate: Tensor, plan: Plan, letters: str) -> Tensor:
    """The gates of these slots, of a tensor (G, ...)."""
    places = gates(plan, letters)
    return by_gate if places == tuple(range(by_gate.shape[0])) else by_gate[list(places)]


def filled(tensor: Tensor, hp: int, axis: int) -> Tensor:
    """Zeros behind an axis of units, up to Hp of them."""
    missing = hp - tensor.shape[axis]
    return F.pad(tensor, [0, 0] * (tensor.dim() - 1 - axis) + [0, missing]) if missing else tensor


@functools.cache
def zeros(count: int, dtype: torch.dtype) -> Tensor:
    """For rows of units that don't exist, and states before a sequence."""
    return torch.zeros(count, dtype=dtype)


def pack(plan: Plan, w: Weights) -> Packed:
    """For the forward kernel."""
    hp = padded(w.hidden, plan)
    if plan.int8:
        return _rounded(plan, w)
    U = None if w.hh is None else _across(w.hh, plan, "au", w.hidden)
    units = filled(torch.stack(w.units), hp, 1) if w.units else None
    bias = _by_slot(plan, w.b_ih, w.b_hh, w)
    return Packed(_across(w.ih, plan, "xa", w.hidden), U, bias, units, gain(plan, w))


def _rounded(plan: Plan, w: Weights) -> Packed:
    """With 8-bit weights: every row of W and U by its own scale, so that its largest number is 127."""
    full = pack(plan_for(plan.cell, plan.vector, norm=plan.norm), w)
    W, W_scales = to_bytes(full.W)
    U, U_scales = (None, None) if full.U is None else to_bytes(full.U)
    return full._replace(W=W, U=U, W_scales=W_scales, U_scales=U_scales)


def to_bytes(panels: Tensor) -> tuple[Tensor, Tensor]:
    """Panels (N / C, K, C) as int8, and the scales of their columns (N)."""
    scales = panels.abs().amax(1, keepdim=True).clamp(min=torch.finfo(panels.dtype).tiny) / 127
    return (panels / scales).round().to(torch.int8), scales.flatten()


def pack_backward(plan: Plan, hh: Tensor, hidden: int) -> Tensor:
    """U (G*H, H) for the backward kernel: (Hp / C, slots * Hp, C)."""
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
    """Where a matrix stands, bytes of a row, and where so many zeros stand."""
    nothing = zeros(weight.shape[1], weight.dtype)
    return weight.data_ptr(), weight.shape[1] * weight.element_size(), nothing.data_ptr()


@functools.lru_cache(256)
def _addresses(plan: Plan, letters: str, hidden: int, base: int, row: int, nothing: int) -> Any:
    """Of the rows of all units of these slots, int64 (S*Hp)."""
    unit = np.arange(padded(hidden, plan))
    parts = [np.where(unit < hidden, base + (g * hidden + unit) * row, nothing) for g in gates(plan, letters)]
    return np.concatenate(parts).astype(np.int64)


def gain(plan: Plan, w: Weights) -> Tensor | None:
    """What every slot's normalised sum is multiplied with."""
    return _by_slot(plan, w.gain_ih, w.gain_hh, w) if plan.norm else None


def _by_slot(plan: Plan, ih: Tensor | None, hh: Tensor | None, w: Weights) -> Tensor:
    """The biases, or gains, of both products (G*H) for every slot's units; for slots "a" their sum."""
    hp = padded(w.hidden, plan)
    if ih is None:
        return zeros(len(plan.slots) * hp, w.ih.dtype)
    if hh is None:
        every = torch.cat((ih, zeros(1, w.ih.dtype)))
    else:
        both = ih + hh
        if hp == w.hidden and gates(plan, "a") == tuple(range(len(plan.cell.gates))):
            return both
        every = torch.cat((ih, hh, both, zeros(1, w.ih.dtype)))
    return every.index_select(0, _slot_places(plan, w.hidden, hh is not None))


@functools.lru_cache(256)
def _slot_places(plan: Plan, hidden: int, recurrent: bool) -> Tensor:
    """Where the number of every slot's units stands in (ih, hh, their sum, 0)."""
    total = len(plan.cell.gates) * hidden
    part = {"x": 0, "u": total, "a": 2 * total}
    last = 3 * total if recurrent else total
    unit = torch.arange(padded(hidden, plan))
    rows = [
        torch.where(unit < hidden, part[letter] + plan.cell.gates.index(g) * hidden + unit, last)
        for letter, g in plan.slots
    ]
    return torch.cat(rows)


# Packed weights of layers that are used without gradients, by their first matrix.
_KNOWN: Final[Any] = WeakIdKeyDictionary()


def remembered(plan: Plan, w: Weights) -> Packed:
    """The same as `pack`, packed once as long as the weights stay what they are.

    PyTorch counts changes of a tensor, but not those through `.data`: a sample of the numbers tells those.
    """
    tensors = [t for t in (w.ih, w.hh, w.b_ih, w.b_hh, *w.units, w.gain_ih, w.gain_hh) if t is not None]
    if any(t.is_inference() for t in tensors):  # PyTorch doesn't count these tensors' changes
        return pack(plan, w)
    key = (plan, *[t._version for t in tensors], *[t.data_ptr() for t in tensors])
    key = (*key, sampler(plan, tensors)())
    known = _KNOWN.get(w.ih)
    if known is None or known[0] != key:
        known = _KNOWN[w.ih] = (key, pack(plan, w))
    packed: Packed = known[1]
    return packed


def sampler(plan: Plan, tensors: list[Tensor]) -> Callable[[], int]:
    """A function that reads some numbers of each tensor and mixes them into one."""
    places = np.array([t.data_ptr() for t in tensors])
    counts = np.array([t.numel() for t in tensors])
    function = build.packing_entry(plan.vector)["sample"]
    given = (places.ctypes.data, counts.ctypes.data, len(places))

    def sample(_alive: Any = (places, counts)) -> int:
        return function(*given)

    return sample
