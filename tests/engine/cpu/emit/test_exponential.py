"""exp, log and their kin against the truth: near and far, and where no formula holds."""

import math

import pytest
import torch
from torch import Tensor

from elman.engine.ops import OPS
from vector_functions import DTYPES, assert_accurate, run, sizes

# Where a function is compared with the truth: up to which size, so that its value is a normal number.
RANGES = {
    torch.float32: {"exp": 87.0, "sigmoid": 87.0, "softplus": 87.0, "silu": 87.0, "tanh": 1e30},
    torch.float64: {"exp": 708.0, "sigmoid": 708.0, "softplus": 708.0, "silu": 708.0, "tanh": 1e300},
}
INF, NAN = math.inf, math.nan


def truth(name: str, x: Tensor) -> Tensor:
    """In float64, which PyTorch's softplus leaves early."""
    x = x.double()
    if name == "softplus":
        return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))
    if name == "silu":
        return x * torch.sigmoid(x)
    value: Tensor = OPS[name].value(x)
    return value


def assert_close(name: str, x: Tensor) -> None:
    assert_accurate(name, x, truth(name, x))


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("name", ["exp", "sigmoid", "softplus", "silu", "tanh"])
def test_relative_precision_far_and_near(name: str, dtype: torch.dtype) -> None:
    far = RANGES[dtype][name]
    x = sizes(torch.finfo(dtype).tiny, far)
    even = torch.linspace(-min(far, 20), min(far, 20), 40_001, dtype=torch.float64)
    wide = torch.linspace(-min(far, 700), min(far, 700), 40_001, dtype=torch.float64)
    assert_close(name, torch.cat([x, -x, even, wide, even / 7]).to(dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
def test_precision_of_log_from_denormals_to_the_greatest_and_around_1(dtype: torch.dtype) -> None:
    info = torch.finfo(dtype)
    near = 1 + torch.cat([sizes(info.eps, 0.5), -sizes(info.eps, 0.5)])
    assert_close("log", torch.cat([sizes(info.smallest_normal, info.max / 2), near]).to(dtype))
    assert_close("log", sizes(info.eps * info.tiny * 4, info.tiny, 2000).to(dtype))
    assert_close("sqrt", sizes(info.tiny, info.max / 2).to(dtype))


# What follows from no formula: an argument and its value.
SPECIAL: dict[str, list[tuple[float, float]]] = {
    "sigmoid": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0)],
    "tanh": [(0.0, 0.0), (INF, 1.0), (-INF, -1.0), (40.0, 1.0), (-40.0, -1.0)],
    "exp": [(0.0, 1.0), (INF, INF), (-INF, 0.0), (1000.0, INF), (-1000.0, 0.0)],
    "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-1e-40, NAN), (-INF, NAN)],
    "silu": [(0.0, 0.0), (INF, INF), (-INF, NAN), (-1000.0, 0.0), (1e30, 1e30)],
    "softsign": [(0.0, 0.0), (1.0, 0.5), (-3.0, -0.75), (1e30, 1.0), (INF, NAN), (-INF, NAN)],
    "softplus": [(INF, INF), (-INF, 0.0), (1e30, 1e30), (50.0, 50.0)],
    "sqrt": [(0.0, 0.0), (4.0, 2.0), (INF, INF), (-1.0, NAN)],
    "relu": [(0.0, 0.0), (-0.0, 0.0), (INF, INF), (-INF, 0.0), (3.5, 3.5), (-3.5, 0.0)],
    "abs": [(0.0, 0.0), (-0.0, 0.0), (INF, INF), (-INF, INF), (-3.5, 3.5)],
    "neg": [(0.0, -0.0), (INF, -INF), (-3.5, 3.5)],
}


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("name", SPECIAL)
def test_special_arguments_are_exact_and_nan_stays_nan(name: str, dtype: torch.dtype) -> None:
    given = torch.tensor([*(a for a, _ in SPECIAL[name]), NAN], dtype=dtype)
    expected = torch.tensor([*(b for _, b in SPECIAL[name]), NAN], dtype=dtype)
    actual = run(name, given)
    # softplus(-inf) is e to the least exponent instead of 0
    assert torch.allclose(actual, expected, rtol=0, atol=torch.finfo(dtype).tiny * 2, equal_nan=True)
    assert torch.equal(actual == 0, expected == 0) or name in ("sigmoid", "softplus")


def test_small_values_of_saturating_functions_are_not_zero() -> None:
    x = torch.tensor([-80.0, -20.0])
    assert_close("sigmoid", x)
    assert_close("softplus", x)
    tiny = torch.tensor([1e-6, -1e-6, 1e-30, -2e-38])
    assert_close("tanh", tiny)
    assert torch.equal(run("tanh", tiny).sign(), tiny.sign())
    assert torch.equal(run("tanh", torch.tensor([-0.0])).signbit(), torch.tensor([True]))


def test_monotone_functions_are_monotone_across_their_seams() -> None:
    """Where the exponent of two changes, and where a branch is left."""
    x = torch.linspace(-9, 9, 200_001)
    for name in ("exp", "sigmoid", "tanh", "softplus"):
        y = run(name, x)
        steps = y.diff()
        assert (steps >= -4 * torch.finfo(torch.float32).eps * y[1:].abs()).all(), name
