"""What one compiled kernel computes, and the layout of its numbers in memory.

T steps, B rows (sequences), I inputs, H units, J states; Hp is H rounded up to whole panels. A kernel runs
rows through all steps; the argument block and a thread's number in the team determine which rows, and which
units of them, the thread computes.
"""

import functools
from dataclasses import dataclass
from typing import Final

from elman.cells import Cell
from elman.engine.cpu.emit.ir import Vector
from elman.engine.derive import Pair, derive

# The fields of the argument blocks, 64 bits each, in this order, followed by those of every state c.
# Buffers are contiguous: s.c (T + 1, B, Hp), kept (T, B, places, Hp), carry (B, J, Hp), units (weights, Hp),
# zoneout (J, T or 1, B or 1, Hp), mask (B, Hp), sums (slices, plan.sums, Hp); with layer normalisation gain
# (slots, Hp).
COMMON: Final = (
    *("product", "barrier", "thread_num", "num_threads", "split", "slices", "begins", "rows", "lengths"),
    *("T", "B", "H", "Hp", "reverse", "clear", "zero", "U", "units", "kept", "mask"),
    *("zoneout", "z_state", "z_step", "z_row", "scratch", "pointers", "room"),
)
FORWARD: Final = (*COMMON, "I", "x", "x_step", "x_row", "chunk", "W", "bias", "W.scales", "U.scales")
BACKWARD: Final = (*COMMON, "up", "up_step", "up_row", "carry", "sums")


@dataclass(frozen=True, eq=False)
class Plan:
    """A kernel: a cell and its options, forward or backward. Made by `plan_for`."""

    cell: Cell
    vector: Vector
    backward: bool = False
    keep: bool = False  # forward: keep what the backward pass needs
    resets: bool = False
    zoneout: bool = False
    masked: bool = False  # recurrent dropout: U reads h times a mask
    int8: bool = False  # forward: weights are 8-bit integers with a scale a column
    every: bool = False  # backward: all states at all steps have gradients
    noted: bool = False  # backward, with `every`: what reaches a state by all ways replaces its gradient
    norm: bool = False  # layer normalisation of both products, each over all gates

    @functools.cached_property
    def pair(self) -> Pair:
        return derive(self.cell, self.zoneout, joined=not self.norm, noted=self.noted)

    @functools.cached_property
    def fields(self) -> tuple[str, ...]:
        each = ("s", "stride", "up") if self.every else ("s", "stride")
        states = [f"{what}.{c}" for c in self.cell.state for what in each]
        gain = ("gain",) if self.norm else ()
        return (*(BACKWARD if self.backward else FORWARD), *gain, *states)

    @functools.cached_property
    def slots(self) -> tuple[tuple[str, str], ...]:
        """Return the sums of a row: x.g, then a.g, then u.g; backward, the gradients of those.

        W feeds slots x and a, U feeds a and u; each set is contiguous. Layer normalisation needs all gates,
        including those that the equations don't read.
        """
        if self.norm:
            letters = "xu" if self.cell.recurrent else "x"
            return tuple((letter, g) for letter in letters for g in self.cell.gates)
        slots = tuple((letter, g) for letter in "xau" for g in self.pair.inputs(letter))
        return tuple(slot for slot in slots if slot in self.pair.gradients) if self.backward else slots

    @functools.cached_property
    def places(self) -> int:
        """Return the places of a (step, row) in `kept`: of forward values, then of the slots' gradients.

        With layer normalisation the slots' gradients replace the centred sums, in places before the others.
        """
        pair = self.pair
        if self.norm:
            return self.first_kept + len(pair.kept)
        return max(len(pair.kept), sum(leaf[0] in "xau" for leaf in pair.gradients))

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

    @functools.cached_property
    def sums(self) -> int:
        """Return the count of gradients summed over steps and rows: of the slots' biases, weights, gains."""
        return len(self.slots) * (1 + self.norm) + len(self.cell.weights)

    @functools.cached_property
    def multiplications(self) -> tuple[int, int]:
        """Return how many slots W feeds, and U."""
        ranges = self.range("xa"), self.range("au")
        return ranges[0][1] - ranges[0][0], ranges[1][1] - ranges[1][0]

    def range(self, letters: str) -> tuple[int, int]:
        """Return first and last + 1 of the slots of these letters, which are contiguous."""
        indices = [k for k, (letter, _) in enumerate(self.slots) if letter in letters]
        return (indices[0], indices[-1] + 1) if indices else (0, 0)

    @functools.cached_property
    def recurrent(self) -> bool:
        """Return whether there is a product with U."""
        return self.range("au")[1] > 0


@functools.cache
def plan_for(cell: Cell, vector: Vector, **options: bool) -> Plan:
    """Return the one Plan with these options: plans are compared by identity, which is fast."""
    return Plan(cell, vector, **options)
