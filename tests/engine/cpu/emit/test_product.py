"""The matrix product against PyTorch."""

import ctypes
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elman.engine.cpu import build, host
from elman.engine.cpu.emit.product import DEPTH, WIDE
from product_bits import assert_parts_are_the_whole

DTYPES = st.sampled_from([torch.float32, torch.float64])


quick = settings(deadline=None, max_examples=60)


def addresses(rows: Tensor) -> Any:
    return np.array([row.data_ptr() for row in rows], np.int64)


def columns(dtype: torch.dtype) -> int:
    return WIDE * host.vector(dtype).lanes


def panels_of(weight: Tensor) -> Tensor:
    """(N, K) → (N / C, K, C), by PyTorch."""
    return weight.unflatten(0, (-1, columns(weight.dtype))).transpose(1, 2).contiguous()


def call(rows: Any, to: Any, panels: Tensor, scales: Tensor, first: int, last: int) -> None:
    """The compiled product of rows and destinations by their addresses."""
    entry = build.product_entry(host.vector(scales.dtype), "int8" if panels.dtype == torch.int8 else "float")
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 8)(entry)
    given, where = panels.data_ptr(), scales.data_ptr()
    function(rows.ctypes.data, to.ctypes.data, len(to), given, where, first, last, panels.shape[1])


class Case(NamedTuple):
    """Rows (m, K), what stands in their destinations (m, N), weights (N, K), and a range of panels."""

    source: Tensor
    to: Tensor
    weight: Tensor
    panels: Tensor
    scales: Tensor  # (N), read with 8-bit weights only
    first: int
    last: int

    def into(self, to: Tensor, rows: slice, first: int, last: int) -> None:
        places = addresses(self.source[rows]), addresses(to[rows])
        call(*places, self.panels, self.scales, first, last)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    dtype, count, int8 = draw(DTYPES), draw(st.integers(1, 9)), draw(st.booleans())
    m = draw(st.integers(0, 40))
    depth = draw(st.integers(0, 70) | st.sampled_from([DEPTH - 1, DEPTH, DEPTH + 1, 3 * DEPTH + 5]))
    torch.manual_seed(draw(st.integers(0, 99)))
    wide = count * columns(dtype)
    source, to = torch.randn(m, depth, dtype=dtype), torch.randn(m, wide, dtype=dtype)
    weight, scales = torch.randn(wide, depth, dtype=dtype), torch.rand(wide, dtype=dtype)
    panels = panels_of(weight)
    if int8:
        bytes_ = torch.randint(-127, 128, (wide, depth), dtype=torch.int8)
        panels = bytes_.unflatten(0, (-1, columns(dtype))).transpose(1, 2).contiguous()
        weight = bytes_.double() * scales.double().unsqueeze(1)
    first = draw(st.integers(0, count))
    return Case(source, to, weight, panels, scales, first, draw(st.integers(first, count)))


@quick
@given(cases())
def test_product_is_torchs_and_touches_nothing_else(case: Case) -> None:
    source, to, weight, *_, first, last = case
    low, high = first * columns(to.dtype), last * columns(to.dtype)
    expected = to.double().clone()
    expected[:, low:high] += source.double() @ weight.double().T[:, low:high]
    actual = to.clone()
    case.into(actual, slice(None), first, last)
    assert torch.equal(actual[:, :low], to[:, :low]) and torch.equal(actual[:, high:], to[:, high:])
    # each of K + 2 terms is rounded once, relative to the sum of their sizes
    size = to.double().abs() + source.double().abs() @ weight.double().abs().T
    bound = (source.shape[1] + 2) * torch.finfo(to.dtype).eps * size
    assert ((actual.double() - expected).abs() <= bound).all()


@quick
@given(cases(), st.data())
def test_a_number_does_not_depend_on_what_is_computed_with_it(case: Case, data: st.DataObject) -> None:
    assert_parts_are_the_whole(case, data)


def test_rows_come_by_address_in_any_order_and_more_than_once() -> None:
    source, weight = torch.randn(4, 11), torch.randn(columns(torch.float32), 11)
    order, none = [2, 0, 2, 3, 1, 1, 0], torch.empty(0)
    mixed, plain = torch.zeros(7, len(weight)), torch.zeros(7, len(weight))
    call(addresses(source)[order], addresses(mixed), panels_of(weight), none, 0, 1)
    ordered = source[order]
    call(addresses(ordered), addresses(plain), panels_of(weight), none, 0, 1)
    assert torch.equal(mixed, plain) and torch.equal(mixed[0], mixed[2])
