"""Arrange gates by slots, the sums that a kernel reads, and units in whole panels.

G gates, S slots, H units, Hp units of whole panels.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.engine.plan import Plan


@functools.cache
def gates(plan: Plan, letters: str) -> tuple[int, ...]:
    """Return the gates of the slots of these letters, by their index in the cell."""
    return tuple(plan.cell.gates.index(g) for letter, g in plan.slots if letter in letters)


def by_slot(by_gate: Tensor, plan: Plan, letters: str) -> Tensor:
    """Select the gates of these slots from a tensor (G, ...)."""
    indices = gates(plan, letters)
    if indices == tuple(range(by_gate.shape[0])):
        return by_gate
    # an index from a list would have to be copied to a GPU, which waits for it
    return torch.stack([by_gate[g] for g in indices])


def pad_units(tensor: Tensor, hp: int, axis: int) -> Tensor:
    """Pad an axis of units with zeros up to Hp."""
    missing = hp - tensor.shape[axis]
    return F.pad(tensor, [0, 0] * (tensor.dim() - 1 - axis) + [0, missing]) if missing else tensor
