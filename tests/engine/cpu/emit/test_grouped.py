"""The product with rounded operands against PyTorch's on operands rounded by the formulas."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elman.engine.cpu import host
from elman.engine.cpu.emit.grouped import DEPTH, ROWS, Instructions
from grouped_products import GROUPED, Case, Grouped, columns
from product_bits import assert_parts_are_the_whole

# What this processor has, too.
BEST: dict[str, list[Instructions]] = {"generic": [], "native": ["native"], "tiles": ["native", "tiles"]}
quick = settings(deadline=None, max_examples=60)
EPS = torch.finfo(torch.float32).eps


@st.composite
def cases(draw: st.DrawFn) -> Case:
    packing = draw(st.sampled_from(GROUPED))
    instructions = draw(st.sampled_from(["generic", "emulated tiles", *BEST[host.instructions(packing)]]))
    m, count = (
        draw(st.integers(0, 20) | st.sampled_from([ROWS, ROWS + 1, 2 * ROWS + 3])),
        draw(st.integers(1, 5)),
    )
    whole = DEPTH * (4 if packing == "int8 groups" else 2)
    depth = draw(st.integers(1, 70) | st.sampled_from([whole - 1, whole, whole + 1, 2 * whole + 5]))
    torch.manual_seed(draw(st.integers(0, 99)))
    wide = count * columns()
    sizes = 10.0 ** draw(st.integers(-6, 6)) * torch.rand(m, 1) ** 4
    source, to = torch.randn(m, depth) * sizes, torch.randn(m, wide)
    first = draw(st.integers(0, count))
    weight = torch.randn(wide, depth)
    return Case(packing, instructions, source, to, weight, first, draw(st.integers(first, count)))


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
    low, high = case.first * columns(), case.last * columns()
    result, bound = expected(case)
    actual = case.to.clone()
    case.into(actual, slice(None), case.first, case.last)
    assert torch.equal(actual[:, :low], case.to[:, :low]) and torch.equal(actual[:, high:], case.to[:, high:])
    assert ((actual.double() - result).abs() <= bound)[:, low:high].all()


@quick
@given(cases(), st.data())
def test_a_number_does_not_depend_on_what_is_computed_with_it(case: Case, data: st.DataObject) -> None:
    assert_parts_are_the_whole(case, data)


@pytest.mark.parametrize("instructions", ["generic", "emulated tiles"])
@pytest.mark.parametrize("packing", GROUPED)
def test_turns_are_ranges_a_stride_apart_and_weights_may_begin_later(
    packing: Grouped, instructions: Instructions
) -> None:
    weight, source = torch.randn(6 * columns(), 21), torch.randn(3, 21)
    once = Case(packing, instructions, source, torch.zeros(3, 6 * columns()), weight, 0, 6)
    whole, to = once.to.clone(), torch.zeros(3, 8 * columns())
    once.into(whole, slice(None), 0, 6)
    # panels 1 and 2 of each of two times three, two panels further on
    once._replace(to=to).into(to, slice(None), 3, 5, 2, 3, 2)
    parts = to.unflatten(1, (8, columns()))
    assert torch.equal(parts[:, [3, 4, 6, 7]], whole.unflatten(1, (6, columns()))[:, [1, 2, 4, 5]])
    assert not parts[:, [0, 1, 2, 5]].any()
