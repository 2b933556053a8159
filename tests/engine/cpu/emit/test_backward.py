"""The backward kernel's text: no product but that with U, and a store for every gradient."""

import pytest

from elman.cells import CELLS
from elman.engine.cpu.emit.backward import Backward
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.plan import plan_for

VECTOR = Vector("double", 4)


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_every_gradient_is_stored(kind: str, every: bool) -> None:
    cell = CELLS[kind]
    plan = plan_for(cell, VECTOR, backward=True, every=every)
    text = Backward(plan).text()
    learned = sum(("w", name) in plan.pair.gradients for name in cell.weights)
    # the slots' gradients, and their sums; what the step before gets; sums of the cell's own weights
    expected = 2 * len(plan.slots) + len(cell.state) + learned
    assert text.count(f"store {VECTOR.type}") == expected


@pytest.mark.parametrize("kind", CELLS)
def test_only_a_recurrent_matrix_needs_a_product(kind: str) -> None:
    text = Backward(plan_for(CELLS[kind], VECTOR, backward=True)).text()
    assert ("ptr null, i64" in text) == CELLS[kind].recurrent  # the product's scales, for 8-bit weights only
