"""The forward kernel's text: one product with W, one with U where there is a U, and what it keeps."""

import re

import pytest

from elman.cells import CELLS
from elman.engine.cpu.emit.forward import Forward
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.plan import Plan, plan_for

VECTOR = Vector("double", 4)


def calls(plan: Plan) -> int:
    """Calls of the matrix product, the only function with eight arguments."""
    return len(re.findall(r"call void %\w+\((?:[^,()]+, ){7}[^,()]+\)", Forward(plan).text()))


@pytest.mark.parametrize("kind", CELLS)
def test_products(kind: str) -> None:
    assert calls(plan_for(CELLS[kind], VECTOR)) == 1 + CELLS[kind].recurrent
    assert calls(plan_for(CELLS[kind], VECTOR, keep=True, norm=True)) == 1 + CELLS[kind].recurrent


def test_heads_have_a_product_for_each_slot() -> None:
    """In a loop over heads, whose units fill whole panels."""
    assert calls(plan_for(CELLS["gru"], VECTOR, heads=2)) == 1 + 3
    text = Forward(plan_for(CELLS["gru"], VECTOR, heads=2)).text()
    assert text == Forward(plan_for(CELLS["gru"], VECTOR, heads=4)).text()


@pytest.mark.parametrize("kind", CELLS)
def test_a_kept_value_is_one_more_store(kind: str) -> None:
    plain, keeping = plan_for(CELLS[kind], VECTOR), plan_for(CELLS[kind], VECTOR, keep=True)
    stores = [Forward(plan).text().count(f"store {VECTOR.type}") for plan in (plain, keeping)]
    assert stores[1] - stores[0] == len(keeping.pair.kept)
    assert stores[0] == len(CELLS[kind].state)
