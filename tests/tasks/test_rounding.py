"""Weights of a saved model in fewer bits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from elman.errors import UsageError
from elman.tasks.rounding import SCALES, rounded, widened

SHAPES = st.lists(st.integers(1, 20), min_size=2, max_size=3).map(tuple)


def nearest(matrix: Tensor) -> Tensor:
    """Round each row to the nearest of 255 numbers, one row after the other."""
    rows = []
    for row in matrix:
        step = float(row.abs().max()) / 127
        rows.append([round(float(value) / step) * step if step else 0.0 for value in row])
    return torch.tensor(rows)


def test_32_bits_are_the_tensors_themselves() -> None:
    tensors = {"weight": torch.randn(3, 4), "ids": torch.arange(3)}
    assert rounded(tensors, 32) == tensors
    assert widened(tensors) == tensors


def test_16_bits() -> None:
    tensors = {
        "weight": torch.randn(3, 4),
        "exact": torch.randn(3, dtype=torch.float64),
        "ids": torch.arange(3),
    }
    small = rounded(tensors, 16)
    assert {key: tensor.dtype for key, tensor in small.items()} == {
        "weight": torch.float16,
        "exact": torch.float64,
        "ids": torch.int64,
    }
    wide = widened(small)
    torch.testing.assert_close(wide["weight"], tensors["weight"].half().float(), rtol=0, atol=0)
    assert torch.equal(wide["exact"], tensors["exact"])


def test_8_bits_with_a_scale_for_each_row() -> None:
    matrix = torch.randn(5, 40) * torch.tensor([1e-6, 1.0, 1e3, 0.0, 1e6]).unsqueeze(1)
    small = rounded({"weight": matrix, "bias": torch.randn(40), "ids": torch.arange(3)}, 8)
    assert {key: (tensor.dtype, tuple(tensor.shape)) for key, tensor in small.items()} == {
        "weight": (torch.int8, (5, 40)),
        "weight" + SCALES: (torch.float32, (5, 1)),
        "bias": (torch.float16, (40,)),
        "ids": (torch.int64, (3,)),
    }
    wide = widened(small)
    assert wide.keys() == {"weight", "bias", "ids"}
    torch.testing.assert_close(wide["weight"], nearest(matrix), rtol=1e-5, atol=0)


def test_8_bits_of_short_rows_have_a_scale_for_each_column() -> None:
    matrix = torch.randn(1000, 3) * torch.tensor([1e-3, 1.0, 1e3])
    small = rounded({"weight": matrix}, 8)
    assert small["weight" + SCALES].shape == (1, 3)
    torch.testing.assert_close(widened(small)["weight"], nearest(matrix.T).T, rtol=1e-5, atol=0)


@given(shape=SHAPES, seed=st.integers(0, 99))
def test_8_bits_are_near_and_stay_the_same_when_saved_again(shape: tuple[int, ...], seed: int) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    small = rounded({"weight": weight}, 8)
    wide = widened(small)["weight"]
    assert wide.shape == weight.shape
    assert float((wide - weight).abs().max()) <= float(small["weight" + SCALES].max()) * 0.501
    again = rounded({"weight": wide}, 8)
    assert torch.equal(again["weight"], small["weight"])


def test_what_8_bits_can_not_hold_keeps_16() -> None:
    tensors = {"nan": torch.tensor([[1.0, torch.nan]]), "none": torch.zeros(0, 3)}
    small = rounded(tensors, 8)
    assert [tensor.dtype for tensor in small.values()] == [torch.float16] * 2
    torch.testing.assert_close(widened(small), tensors, equal_nan=True)


@pytest.mark.parametrize("bits", [16, 8])
def test_weights_too_large_are_refused(bits: int) -> None:
    with pytest.raises(
        UsageError, match=rf"^the weights bias are too large for bits={bits}: save without it"
    ):
        rounded({"bias": torch.tensor([1e5])}, bits)


@pytest.mark.parametrize("bits", [0, 64, 4, True, "8", None, [8], torch.nan])
def test_other_bits_are_refused(bits: object) -> None:
    with pytest.raises(UsageError, match=r"^bits is .*; it must be 32, 16 or 8"):
        rounded({"weight": torch.zeros(2, 2)}, bits)  # type: ignore[arg-type]


@pytest.mark.parametrize("scales", [torch.ones(2), torch.ones(3, 1), torch.ones(2, 1, 1), torch.ones(1, 0)])
def test_scales_of_another_shape_are_refused(scales: Tensor) -> None:
    whole = torch.ones(2, 3, dtype=torch.int8)
    with pytest.raises(ValueError, match="the scales of weight are of another shape"):
        widened({"weight": whole, "weight" + SCALES: scales})


def test_missing_or_foreign_scales_are_refused() -> None:
    whole = torch.ones(2, 3, dtype=torch.int8)
    with pytest.raises(ValueError, match="with their scales"):
        widened({"weight": whole})
    with pytest.raises(ValueError, match="the scales of weight must be float32"):
        widened({"weight": whole, "weight" + SCALES: torch.ones(2, 1, dtype=torch.int64)})
    alone = {"weight" + SCALES: torch.ones(2, 1)}
    assert widened(alone) == alone  # and the task, which knows no such part, refuses it
