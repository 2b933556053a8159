"""What one compiled kernel is for, and where its numbers stand in memory.

T steps, B rows (sequences), I inputs, H units, J states; Hp is H rounded up to whole panels. A kernel takes
its rows through all steps; which rows, and which units of them, a thread learns from the argument block and
from its number in the team.
"""

import functools
from dataclasses import dataclass
from typing import Final

from elman.cells import Cell
from elman.engine.cpu.emit.ir import Vector
from elman.engine.derive import Pair, derive

# The argument blocks: one 64-bit field each, in this order, and after them the ones of every state c.
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
    """A kernel: a cell with or without options, in one direction of differentiation. Made by `plan_for`."""

    cell: Cell
    vector: Vector
    backward: bool = False
    keep: bool = False  # forward: keep what the backward pass needs
    resets: bool = False
    zoneout: bool = False
    masked: bool = False  # recurrent dropout: U sees h times a mask
    int8: bool = False  # forward: weights are 8-bit integers with a scale a column
    every: bool = False  # backward: gradients of all states at all steps come in
    norm: bool = False  # both products go through layer normalisation, each over all gates

    @functools.cached_property
    def pair(self) -> Pair:
        return derive(self.cell, self.zoneout, joined=not self.norm)

    @functools.cached_property
    def fields(self) -> tuple[str, ...]:
        each = ("s", "stride", "up") if self.every else ("s", "stride")
        states = [f"{what}.{c}" for c in self.cell.state for what in each]
        gain = ("gain",) if self.norm else ()
        return (*(BACKWARD if self.backward else FORWARD), *gain, *states)

    @functools.cached_property
    def slots(self) -> tuple[tuple[str, str], ...]:
        """Forward, what is summed up for a row: x.g, then a.g, then u.g; backward, the gradients of those.

        W has to do with all but the last kind, U with all but the first: each with one range. Layer
        normalisation takes all gates in, also those that the equations don't read.
        """
        if self.norm:
            letters = "xu" if self.cell.recurrent else "x"
            return tuple((letter, g) for letter in letters for g in self.cell.gates)
        slots = tuple((letter, g) for letter in "xau" for g in self.pair.inputs(letter))
        return tuple(slot for slot in slots if slot in self.pair.gradients) if self.backward else slots

    @functools.cached_property
    def places(self) -> int:
        """Of a (step, row) in `kept`: for values of the forward pass, then for the gradients of the slots.

        Layer normalisation has what the slots' gradients replace, the centred sums, in places of their own
        before the others.
        """
        pair = self.pair
        if self.norm:
            return self.first_kept + len(pair.kept)
        return max(len(pair.kept), sum(leaf[0] in "xau" for leaf in pair.gradients))

    @property
    def first_kept(self) -> int:
        """The place in `kept` of the first value that the Programs name."""
        return len(self.slots) if self.norm else 0

    @functools.cached_property
    def width(self) -> int:
        """Places of a row in a thread's own memory.

        Forward, the slots and one for h times its mask. Backward, the gradient of h; with a mask, what comes
        through U stands apart; with layer normalisation the gradients of the slots.
        """
        if not self.backward:
            return len(self.slots) + self.masked
        return 1 + self.masked + (len(self.slots) if self.norm else 0)

    @functools.cached_property
    def sums(self) -> int:
        """Gradients that are summed over steps and rows: of the slots' biases, of weights, of gains."""
        return len(self.slots) * (1 + self.norm) + len(self.cell.weights)

    @functools.cached_property
    def multiplications(self) -> tuple[int, int]:
        """How many slots W has to do with, and U."""
        ranges = self.range("xa"), self.range("au")
        return ranges[0][1] - ranges[0][0], ranges[1][1] - ranges[1][0]

    def range(self, letters: str) -> tuple[int, int]:
        """First and last + 1 of the slots of these letters, which stand side by side."""
        places = [k for k, (letter, _) in enumerate(self.slots) if letter in letters]
        return (places[0], places[-1] + 1) if places else (0, 0)

    @functools.cached_property
    def recurrent(self) -> bool:
        """Whether there is a product with U."""
        return self.range("au")[1] > 0


@functools.cache
def plan_for(cell: Cell, vector: Vector, **options: bool) -> Plan:
    """The one Plan with these options: plans are compared by identity, which is quick."""
    return Plan(cell, vector, **options)
