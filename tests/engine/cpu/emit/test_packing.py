"""Panels of weights against PyTorch's reshaping; checksums and samples that notice changes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elman.engine.cpu import build, host
from elman.engine.cpu.emit.product import WIDE
from elman.engine.cpu.weights import reader

DTYPES = st.sampled_from([torch.float32, torch.float64])


quick = settings(deadline=None, max_examples=60)


def addresses(rows: Tensor) -> Any:
    return np.array([row.data_ptr() for row in rows], np.int64)


def columns(dtype: torch.dtype) -> int:
    return WIDE * host.vector(dtype).lanes


def panels_of(weight: Tensor) -> Tensor:
    """(N, K) → (N / C, K, C), by PyTorch."""
    return weight.unflatten(0, (-1, columns(weight.dtype))).transpose(1, 2).contiguous()


@quick
@given(DTYPES, st.integers(1, 5), st.integers(1, 70))
def test_rows_are_packed_across(dtype: torch.dtype, count: int, depth: int) -> None:
    weight = torch.randn(count * columns(dtype), depth, dtype=dtype)
    to = torch.full((count, depth, columns(dtype)), torch.nan, dtype=dtype)
    rows = addresses(weight)
    build.packing_entry(host.vector(dtype))["across"](rows.ctypes.data, to.data_ptr(), count, depth)
    assert torch.equal(to, panels_of(weight))


@quick
@given(DTYPES, st.integers(1, 80), st.integers(1, 20))
def test_rows_are_packed_along_with_zeros_behind(dtype: torch.dtype, wide: int, depth: int) -> None:
    rows, size = torch.randn(depth, wide, dtype=dtype), columns(dtype)
    count = -(-wide // size)
    to = torch.full((count, depth, size), torch.nan, dtype=dtype)
    places = addresses(rows)
    build.packing_entry(host.vector(dtype))["along"](places.ctypes.data, to.data_ptr(), depth, wide)
    whole = torch.nn.functional.pad(rows, (0, count * size - wide))
    assert torch.equal(to, panels_of(whole.T.contiguous()))


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "slightly": lambda t: t.mul_(1 + 1e-6),
    "in their first quarter": lambda t: t.view(-1)[: t.numel() // 4].mul_(1.001),
    "in their last quarter": lambda t: t.view(-1)[-(t.numel() // 4) :].mul_(1.001),
    "doubled": lambda t: t.mul_(2),
    "of the other sign": lambda t: t.neg_(),
}


@pytest.mark.parametrize("whole", [True, False], ids=["checksum", "sample"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_most_numbers_are_noticed(change: str, dtype: torch.dtype, whole: bool) -> None:
    tensors = [torch.randn(40, 30, dtype=dtype), torch.randn(40, dtype=dtype), torch.randn(96, dtype=dtype)]
    read = reader(host.vector(dtype), tensors, whole)
    before = read()
    assert read() == before
    for k, tensor in enumerate(tensors):
        kept = tensor.clone()
        CHANGES[change](tensor)
        assert read() != before, k
        tensor.copy_(kept)
        assert read() == before


def flipped(tensor: Tensor, bits: int) -> None:
    """Flip these bits of one number."""
    number = tensor.view(torch.int32 if tensor.dtype == torch.float32 else torch.int64)
    number.bitwise_xor_(bits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("count", [1, 7, 63, 64, 65, 128, 1000])
def test_the_checksum_notices_a_change_of_any_one_number(count: int, dtype: torch.dtype) -> None:
    """Also of its last bit, of its sign, and of both halves of a double."""
    tensors = [torch.randn(count, dtype=dtype), torch.randn(3, dtype=dtype)]
    read = reader(host.vector(dtype), tensors, whole=True)
    before = read()
    for bits in (1, 1 << 30, -1):
        for k in range(count):
            flipped(tensors[0][k : k + 1], bits)
            assert read() != before, (k, bits)
            flipped(tensors[0][k : k + 1], bits)
    assert read() == before


STRUCTURED: dict[str, Callable[[Tensor], Any]] = {
    "two rows change places": lambda t: t.copy_(t[[1, 0, *range(2, len(t))]]),
    "two numbers change places": lambda t: t.copy_(t.flatten().roll(1).view_as(t)),
    "a block of gates changes places": lambda t: t.copy_(t.roll(len(t) // 2, 0)),
    "all signs": lambda t: t.neg_(),
    "doubled": lambda t: t.mul_(2),
    "zeroed": lambda t: t.zero_(),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("change", STRUCTURED)
@pytest.mark.parametrize("shape", [(256, 64), (1024, 256), (512, 1), (2048,)])
def test_the_checksum_notices_changes_with_a_structure(
    shape: tuple[int, ...], change: str, dtype: torch.dtype
) -> None:
    tensor = torch.randn(shape, dtype=dtype)
    read = reader(host.vector(dtype), [tensor], whole=True)
    before = read()
    STRUCTURED[change](tensor)
    assert read() != before
