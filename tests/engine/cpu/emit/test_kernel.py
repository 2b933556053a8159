"""Whole kernels: every combination of options is a valid module, for the vectors of every processor."""

import itertools

import llvmlite.binding as llvm
import pytest

from elman.cells import CELLS
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.kernel import kernel
from elman.engine.cpu.emit.plan import plan_for

VECTORS = {"avx512": Vector("float", 16), "avx2": Vector("double", 4), "neon": Vector("float", 4)}


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("level", VECTORS)
def test_every_combination_of_options_is_a_valid_module(level: str, backward: bool) -> None:
    for resets, zoneout, masked, norm in itertools.product((False, True), repeat=4):
        options = {"resets": resets, "zoneout": zoneout, "masked": masked, "norm": norm}
        text = kernel(plan_for(CELLS["peephole-lstm"], VECTORS[level], backward=backward, **options))
        module = llvm.parse_assembly(text)
        module.verify()
        assert module.get_function("run").linkage == llvm.Linkage.external


def test_a_name_is_all_that_a_cell_adds_to_its_equations() -> None:
    """The same equations are the same kernel."""
    twin = type(CELLS["gru"])(**(vars(CELLS["gru"]) | {"name": "Twin"}))
    plans = [plan_for(cell, VECTORS["avx2"], keep=True) for cell in (CELLS["gru"], twin)]
    assert kernel(plans[0]) == kernel(plans[1])
