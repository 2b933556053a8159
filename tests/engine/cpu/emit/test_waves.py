"""sin and cos against the truth, of angles of every size."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from vector_functions import DTYPES, assert_accurate, run, sizes

INF, NAN = math.inf, math.nan
# A float64 of more is over half a radian from the next.
LARGEST = {torch.float32: 3.4e38, torch.float64: 2.0**51}


def truth(name: str, x: Tensor) -> Tensor:
    """In the 64 bits of x86's longest numbers, where there are those."""
    wide = x.double().numpy().astype(np.longdouble)
    return torch.from_numpy(getattr(np, name)(wide).astype(np.float64))


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_relative_precision_of_angles_of_every_size(name: str, dtype: torch.dtype) -> None:
    x = sizes(torch.finfo(dtype).tiny, LARGEST[dtype])
    turns = torch.arange(-20_000, 20_000, dtype=torch.float64) * (math.pi / 2)  # next to every zero
    given = torch.cat([x, -x, torch.linspace(-20, 20, 40_001, dtype=torch.float64), turns]).to(dtype)
    assert_accurate(name, given, truth(name, given))


def test_every_float32_next_to_a_multiple_of_a_quarter_turn() -> None:
    """Those among which the angle cancels most: of each power of two the nearest of 4,000 multiples."""
    draw, given = np.random.default_rng(0), []
    for exponent in range(3, 127):
        n = np.floor(2.0**exponent * (1 + draw.random(4000)) / (math.pi / 2))
        x = (n * (math.pi / 2)).astype(np.float32)
        given.append(x[np.argsort(np.abs(np.sin(2 * x.astype(np.float64))))[:20]])
    x = torch.from_numpy(np.concatenate(given))
    for name in ("sin", "cos"):
        assert_accurate(name, x, truth(name, x))


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
def test_special_angles(dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).tiny
    given = torch.tensor([0.0, tiny, -tiny / 8, INF, -INF, NAN], dtype=dtype)
    sine, cosine = run("sin", given), run("cos", given)
    assert torch.equal(sine[:3], given[:3]) and sine[3:].isnan().all()
    assert torch.equal(cosine[:3], torch.ones(3, dtype=dtype)) and cosine[3:].isnan().all()


def test_a_float64_without_an_angle_is_nan() -> None:
    far = torch.tensor([2.0**51, -(2.0**60), 1e300], dtype=torch.float64)
    assert run("sin", far).isnan().all() and run("cos", far).isnan().all()
