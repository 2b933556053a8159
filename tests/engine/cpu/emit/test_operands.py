"""Rounding of rows, and the instructions that multiply groups."""

import re

import pytest
import torch

from elman.engine.cpu.emit.grouped import grouped
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.product import WIDE
from grouped_products import GROUPED, Case, Grouped, assembled, columns


@pytest.mark.parametrize("packing", GROUPED)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_so_in_its_row_alone(packing: Grouped, bad: float) -> None:
    source = torch.randn(3, 40)
    source[1, 17] = bad
    case = Case(packing, "generic", source, torch.zeros(3, columns()), torch.randn(columns(), 40), 0, 1)
    case.into(case.to, slice(None), 0, 1)
    assert case.to[[0, 2]].isfinite().all() and not case.to[1].isfinite().any()


def test_rows_of_zeros_and_tiny_numbers_add_nothing() -> None:
    source = torch.stack([torch.zeros(9), torch.full((9,), 1e-42), torch.full((9,), 1e-33)])
    case = Case("int8 groups", "generic", source, torch.zeros(3, columns()), torch.randn(columns(), 9), 0, 1)
    case.into(case.to, slice(None), 0, 1)
    assert (case.to.abs() < 1e-30).all()


@pytest.mark.parametrize(
    ("packing", "instruction"), [("int8 groups", "vpdpbusd"), ("bf16 groups", "vdpbf16ps")]
)
@pytest.mark.parametrize(("vector", "width"), [(Vector("float", 16), "zmm"), (Vector("float", 8), "ymm")])
def test_processors_that_have_the_instruction_get_it(
    packing: Grouped, instruction: str, vector: Vector, width: str
) -> None:
    """For every sum of a tile one instruction, whose operands are registers: no sum goes through memory."""
    registers = 2 * vector.lanes
    assembly = assembled(grouped(vector, registers, packing == "int8 groups", "native"))
    tiles = re.findall(r"^(tile(\d+)\.(\d+)):\n(.*?)^\.Lfunc_end", assembly, re.DOTALL | re.MULTILINE)
    assert len(tiles) > 8
    for name, rows, panels, text in tiles:
        dots = re.findall(rf"{instruction}\s.*", text)
        assert len(dots) == int(rows) * int(panels) * WIDE, name
        assert all(width in line and "rsp" not in line for line in dots), name
