"""What one kernel computes, whatever its device: the sums that it reads and the values that it keeps."""

import functools
from dataclasses import dataclass

from elman.cells import Cell
from elman.engine.derive import Pair, derive


@dataclass(frozen=True, eq=False)
class Plan:
    """A kernel: a cell and its options, forward or backward. A target adds its own and makes them."""

    cell: Cell
    backward: bool = False
    keep: bool = False  # forward: keep what the backward pass needs
    resets: bool = False
    zoneout: bool = False
    masked: bool = False  # recurrent dropout: U reads h times a mask
    every: bool = False  # backward: all states at all steps have gradients
    noted: bool = False  # backward, with `every`: what reaches a state by all ways replaces its gradient
    norm: bool = False  # layer normalisation of both products, each over all gates

    @functools.cached_property
    def pair(self) -> Pair:
        return derive(self.cell, self.zoneout, joined=not self.norm, noted=self.noted)

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
        """Return the places of a (step, row) in `kept`: of forward values, then of the slots' gradients."""
        return max(len(self.pair.kept), sum(leaf[0] in "xau" for leaf in self.pair.gradients))

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
