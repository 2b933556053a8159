"""The normal distribution function and gelu against 30 digits, deep into the tail."""

import math

import mpmath
import pytest
import torch
from torch import Tensor

from vector_functions import DTYPES, assert_accurate, run, sizes

INF, NAN = math.inf, math.nan
# Up to where the values are normal numbers.
DEEPEST = {torch.float32: -12.8, torch.float64: -37.0}
DEEPEST_TANH = {torch.float32: -9.5, torch.float64: -20.0}


def points(dtype: torch.dtype, deepest: float) -> Tensor:
    small = sizes(torch.finfo(dtype).tiny, 1.0, 300)
    large = sizes(1.0, torch.finfo(dtype).max / 4, 300)
    even = torch.linspace(deepest, 8, 2001, dtype=torch.float64)
    return torch.cat([small, -small, large, even]).to(dtype)


def exact(name: str, x: float) -> float:
    with mpmath.workdps(40):
        a = mpmath.mpf(x)
        if name == "gelu_tanh":
            u = 2 * mpmath.sqrt(2 / mpmath.pi) * (a + mpmath.mpf("0.044715") * a**3)
            return float(a / (1 + mpmath.exp(-u)))
        share = mpmath.erfc(-a / mpmath.sqrt(2)) / 2
        return float(share if name == "ndtr" else a * share)


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("name", ["ndtr", "gelu", "gelu_tanh"])
def test_relative_precision_into_the_tail(name: str, dtype: torch.dtype) -> None:
    x = points(dtype, (DEEPEST_TANH if name == "gelu_tanh" else DEEPEST)[dtype])
    assert_accurate(name, x, torch.tensor([exact(name, a) for a in x.tolist()], dtype=torch.float64))


SPECIAL = {
    "ndtr": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-100.0, 0.0), (1e30, 1.0)],
    "gelu": [(0.0, 0.0), (INF, INF), (-INF, NAN), (-100.0, 0.0), (1e30, 1e30)],
    "gelu_tanh": [(0.0, 0.0), (INF, INF), (-INF, NAN), (-100.0, 0.0), (1e30, 1e30)],
}


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("name", SPECIAL)
def test_special_arguments_are_pytorchs_and_nan_stays_nan(name: str, dtype: torch.dtype) -> None:
    given = torch.tensor([*(a for a, _ in SPECIAL[name]), NAN], dtype=dtype)
    expected = torch.tensor([*(b for _, b in SPECIAL[name]), NAN], dtype=dtype)
    assert torch.allclose(run(name, given), expected, rtol=0, atol=0, equal_nan=True)
