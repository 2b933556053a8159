"""The product with rounded operands against PyTorch's on operands rounded by the formulas."""

import ctypes
import re
from typing import Any, Literal, NamedTuple

import llvmlite.binding as llvm
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elman.cells import CELLS
from elman.engine.cpu import build, host
from elman.engine.cpu.emit.grouped import DEPTH, ROWS, grouped
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.plan import Packing, plan_for
from elman.engine.cpu.emit.product import WIDE
from elman.engine.cpu.rounding import rounded

Grouped = Literal["int8 groups", "bf16 groups"]
GROUPED: tuple[Grouped, ...] = ("int8 groups", "bf16 groups")
quick = settings(deadline=None, max_examples=60)
EPS = torch.finfo(torch.float32).eps


def lanes() -> int:
    return host.vector(torch.float32).lanes


def addresses(rows: Tensor) -> Any:
    return np.array([row.data_ptr() for row in rows], np.int64)


def packed(weight: Tensor, packing: Packing) -> tuple[Tensor, Tensor | None]:
    """(N, K) in groups, and the scales of its columns."""
    panels = weight.unflatten(0, (-1, WIDE * lanes())).transpose(1, 2).contiguous()
    return rounded(panels, plan_for(CELLS["elman"], host.vector(torch.float32), packing=packing))


class Case(NamedTuple):
    """Rows (m, K), what stands in their destinations (m, N), weights (N, K), and a range of panels."""

    packing: Grouped
    native: bool
    source: Tensor
    to: Tensor
    weight: Tensor
    first: int
    last: int

    def into(self, to: Tensor, rows: slice, first: int, last: int, *more: int) -> None:
        """Run the product of some rows and panels; `more` are turns, stride, and panels without weights."""
        panels, scales = packed(self.weight, self.packing)
        entry = build.product_entry(host.vector(torch.float32), self.packing, self.native)
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 11)(entry)
        sources, places = addresses(self.source[rows]), addresses(to[rows])
        where = 0 if scales is None else scales.data_ptr()
        numbers = panels.data_ptr(), where, first, last, self.source.shape[1], *(more or (1, 0, 0))
        function(sources.ctypes.data, places.ctypes.data, len(places), *numbers)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    packing = draw(st.sampled_from(GROUPED))
    native = host.has_dot(packing) and draw(st.booleans())
    m, count = draw(st.integers(0, 20) | st.sampled_from([ROWS, ROWS + 1, 2 * ROWS + 3])), draw(st.integers(1, 5))
    whole = DEPTH * (4 if packing == "int8 groups" else 2)
    depth = draw(st.integers(1, 70) | st.sampled_from([whole - 1, whole, whole + 1, 2 * whole + 5]))
    torch.manual_seed(draw(st.integers(0, 99)))
    wide = count * WIDE * lanes()
    sizes = 10.0 ** draw(st.integers(-6, 6)) * torch.rand(m, 1) ** 4
    source, to = torch.randn(m, depth) * sizes, torch.randn(m, wide)
    first = draw(st.integers(0, count))
    weight = torch.randn(wide, depth)
    return Case(packing, native, source, to, weight, first, draw(st.integers(first, count)))


def integers(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Every row's largest number becomes 127; returns integers and scales (rows, 1)."""
    largest = rows.abs().amax(1, keepdim=True)
    return (rows.double() * (127 / largest).double()).round(), largest / 127


def expected(case: Case) -> tuple[Tensor, Tensor]:
    """The whole product, and how far each number of the true one may be from it."""
    source, weight, to = case.source, case.weight, case.to.double()
    if case.packing == "int8 groups":
        (a, a_scale), (b, b_scale) = integers(source), integers(weight)
        b = (weight / b_scale).round().double()
        scales = a_scale.double() * b_scale.double().T
        result = to + a @ b.T * scales
        # the sums are exact; each chunk is scaled and added with four roundings
        return result, 4 * 3 * EPS * (to.abs() + a.abs() @ b.abs().T * scales)
    a, b = source.bfloat16().double(), weight.bfloat16().double()
    return to + a @ b.T, (source.shape[1] + 2) * EPS * (to.abs() + a.abs() @ b.abs().T)


@quick
@given(cases())
def test_product_is_that_of_rounded_operands_and_touches_nothing_else(case: Case) -> None:
    low, high = case.first * WIDE * lanes(), case.last * WIDE * lanes()
    result, bound = expected(case)
    actual = case.to.clone()
    case.into(actual, slice(None), case.first, case.last)
    assert torch.equal(actual[:, :low], case.to[:, :low]) and torch.equal(actual[:, high:], case.to[:, high:])
    assert ((actual.double() - result).abs() <= bound)[:, low:high].all()


@quick
@given(cases(), st.data())
def test_a_number_does_not_depend_on_what_is_computed_with_it(case: Case, data: st.DataObject) -> None:
    """Every row alone, every panel alone, and any part of both give the very bits of the whole."""
    whole, pieces = case.to.clone(), case.to.clone()
    case.into(whole, slice(None), case.first, case.last)
    cut = data.draw(st.integers(0, len(case.to)))
    case.into(pieces, slice(0, cut), case.first, case.last)
    for row in range(cut, len(case.to)):
        for q in range(case.first, case.last):
            case.into(pieces, slice(row, row + 1), q, q + 1)
    assert torch.equal(whole, pieces)


@pytest.mark.parametrize("packing", GROUPED)
def test_turns_are_ranges_a_stride_apart_and_weights_may_begin_later(packing: Grouped) -> None:
    columns = WIDE * lanes()
    weight, source = torch.randn(6 * columns, 21), torch.randn(3, 21)
    once = Case(packing, False, source, torch.zeros(3, 6 * columns), weight, 0, 6)
    whole, to = once.to.clone(), torch.zeros(3, 8 * columns)
    once.into(whole, slice(None), 0, 6)
    # panels 1 and 2 of each of two times three, two panels further on
    once._replace(to=to).into(to, slice(None), 3, 5, 2, 3, 2)
    parts = to.unflatten(1, (8, columns))
    assert torch.equal(parts[:, [3, 4, 6, 7]], whole.unflatten(1, (6, columns))[:, [1, 2, 4, 5]])
    assert not parts[:, [0, 1, 2, 5]].any()


@pytest.mark.parametrize("packing", GROUPED)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_so_in_its_row_alone(packing: Grouped, bad: float) -> None:
    columns = WIDE * lanes()
    source = torch.randn(3, 40)
    source[1, 17] = bad
    case = Case(packing, False, source, torch.zeros(3, columns), torch.randn(columns, 40), 0, 1)
    case.into(case.to, slice(None), 0, 1)
    assert case.to[[0, 2]].isfinite().all() and not case.to[1].isfinite().any()


def test_rows_of_zeros_and_tiny_numbers_add_nothing() -> None:
    columns = WIDE * lanes()
    source = torch.stack([torch.zeros(9), torch.full((9,), 1e-42), torch.full((9,), 1e-33)])
    case = Case("int8 groups", False, source, torch.zeros(3, columns), torch.randn(columns, 9), 0, 1)
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
    assembly = assembled(grouped(vector, registers, packing == "int8 groups", native=True))
    tiles = re.findall(r"^(tile(\d+)\.(\d+)):\n(.*?)^\.Lfunc_end", assembly, re.DOTALL | re.MULTILINE)
    assert len(tiles) > 8
    for name, rows, panels, text in tiles:
        dots = re.findall(rf"{instruction}\s.*", text)
        assert len(dots) == int(rows) * int(panels) * WIDE, name
        assert all(width in line and "rsp" not in line for line in dots), name


def assembled(text: str) -> str:
    build.compiled("define void @f() { ret void }")  # which starts the compiler
    module = llvm.parse_assembly(text)
    module.verify()
    target = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu="sapphirerapids", opt=2, jit=True)
    return str(machine.emit_assembly(module))
