"""What one compiled kernel computes, and the layout of its numbers in memory.

T steps, B rows (sequences), I inputs, H units, J states; Hp is H rounded up to whole panels. A kernel runs
rows through all steps; the argument block and a thread's number in the team determine which rows, and which
units of them, the thread computes.
"""

import functools
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from elman.cells import Cell
from elman.engine import plan
from elman.engine.cpu.emit.ir import Vector

# The fields of the argument blocks, 64 bits each, in this order, followed by those of every state c.
# Buffers are contiguous: s.c (T + 1, B, Hp), kept (T, B, places, Hp), carry (B, J, Hp), units (weights, Hp),
# zoneout (J, T or 1, B or 1, Hp), mask (B, Hp), sums (slices, plan.sums, Hp); with layer normalisation gain
# (slots, Hp). With heads, D is the units of one, which fill whole panels.
COMMON: Final = (
    *("product", "barrier", "thread_num", "num_threads", "split", "slices", "begins", "rows", "lengths"),
    *("T", "B", "H", "Hp", "reverse", "clear", "zero", "U", "units", "kept", "mask"),
    *("zoneout", "z_state", "z_step", "z_row", "scratch", "pointers", "room"),
)
FORWARD: Final = (*COMMON, "I", "x", "x_step", "x_row", "chunk", "W", "bias", "W.scales", "U.scales")
BACKWARD: Final = (*COMMON, "up", "up_step", "up_row", "carry", "sums")

# How weights are packed: as the numbers that they are; as 8-bit integers with a scale for each column, which
# the product widens (`product`); or as those or bfloat16 numbers in groups (`grouped`).
Packing = Literal["float", "int8", "int8 groups", "bf16 groups"]


@dataclass(frozen=True, eq=False)
class Plan(plan.Plan):
    """A kernel of this processor. Made by `plan_for`."""

    vector: Vector = field(kw_only=True)
    packing: Packing = field(default="float", kw_only=True)

    @property
    def grouped(self) -> bool:
        return self.packing.endswith("groups")

    @functools.cached_property
    def fields(self) -> tuple[str, ...]:
        each = ("s", "stride", "up") if self.every else ("s", "stride")
        states = [f"{what}.{c}" for c in self.cell.state for what in each]
        more = (*(("gain",) if self.norm else ()), *(("D",) if self.heads > 1 else ()))
        return (*(BACKWARD if self.backward else FORWARD), *more, *states)

    @functools.cached_property
    def places(self) -> int:
        """Return the places of a (step, row) in `kept`: with layer normalisation the slots' gradients replace
        the centred sums, in places before the others."""
        return self.first_kept + len(self.pair.kept) if self.norm else super().places

    @property
    def first_kept(self) -> int:
        """Return the place in `kept` of the first value that the Programs name."""
        return len(self.slots) if self.norm else 0

    @functools.cached_property
    def width(self) -> int:
        """Return the places of a row in a thread's own memory.

        Forward, the slots and one for h times its mask. Backward, the gradient of h; with a mask one more for
        its part through U; with layer normalisation the gradients of the slots.
        """
        if not self.backward:
            return len(self.slots) + self.masked
        return 1 + self.masked + (len(self.slots) if self.norm else 0)


@functools.cache
def plan_for(cell: Cell, vector: Vector, **options: Any) -> Plan:
    """Return the one Plan with these options: plans are compared by identity, which is fast."""
    return Plan(cell, vector=vector, **options)
