"""What one kernel computes, whatever its device: the sums that it reads and the values that it keeps."""

import functools
from dataclasses import dataclass
from typing import Any, Final

import torch

from elman.cells import Cell
from elman.engine.call import Arguments, Form, Spec, Trace
from elman.engine.derive import Pair, derive

EPSILON: Final = 1e-5  # of layer normalisation, PyTorch's own


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
    heads: int = 1  # blocks of U that the kernel multiplies one by one; 1: all of U, whatever it stands for

    @property
    def grouped(self) -> bool:
        """Return whether the operands of products are rounded and multiplied in groups."""
        return False

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


def options_of(spec: Spec, arguments: Arguments[Any]) -> dict[str, bool]:
    """Return the options of a Plan that a request determines, for every target: heads are its own choice."""
    return {
        "resets": arguments.clear is not None,
        "zoneout": bool(spec.shares or arguments.zoneout),
        "masked": arguments.mask is not None,
        "norm": arguments.weights.gain_ih is not None,
    }


def trace_forms(plan: Plan, spec: Spec, x: Any, width: int, others: torch.dtype | None = None) -> Any:
    """Return a Trace of what a forward pass on x (T, B, I) keeps for the backward pass, as Forms, None for
    what it doesn't keep.

    Args:
        width: of a row of units: H, or Hp of whole panels.
        others: precision of all states but the first, if not that of x.
    """
    (steps, batch), states = x.shape[:2], len(spec.cell.state)
    per_step = (1, 1) if spec.shares else (steps, batch)

    def form(*shape: int) -> Form:
        return Form(shape, x.dtype)

    slots = (steps + 1, batch, width)
    forms: Any = Trace
    return forms(
        states=(form(*slots), *[Form(slots, others or x.dtype)] * (states - 1)),
        kept=form(steps, batch, plan.places, width),
        units=form(len(spec.cell.weights), width) if spec.cell.weights else None,
        zoneout=form(states, *per_step, width) if plan.zoneout else None,
        mask=form(batch, width) if plan.masked else None,
    )
