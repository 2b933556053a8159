"""The compiled primitives against PyTorch's, function by function."""

import ctypes
import functools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from elman.engine.cpu import build, host
from elman.engine.cpu.emit import ir
from elman.engine.cpu.emit.functions import EMIT
from elman.engine.ops import OPS

DTYPES = [torch.float32, torch.float64]
# Largest relative error of a normal number, in units of 2^-23 and 2^-52; 2.97 was seen in millions of points.
ULPS = 3.3
# Where a function is compared with the truth: up to which size, so that its value is a normal number.
RANGES = {
    torch.float32: {"exp": 87.0, "sigmoid": 87.0, "softplus": 87.0, "tanh": 1e30},
    torch.float64: {"exp": 708.0, "sigmoid": 708.0, "softplus": 708.0, "tanh": 1e300},
}
COMPARISONS = ("gt", "lt")
INF, NAN = math.inf, math.nan


@functools.cache
def address(name: str, dtype: torch.dtype) -> int:
    """A compiled function over vectors: to[k] = name(a[k], b[k], c[k])."""
    vector = host.vector(dtype)
    f = ir.Function(vector, ("n", "a", "b", "c", "to"))
    f.load_arguments()
    zero, one = vector.constant(0.0), vector.constant(1.0)
    with f.loop(f.arg("n"), step=vector.lanes) as loop:
        values = [f.load(f.pointer(p), loop.index) for p in ("a", "b", "c")[: OPS[name].operands]]
        if name == "where":
            values[0] = f.test("one", values[0], zero)
        result = EMIT[name](f, *values)
        if name in COMPARISONS:
            result = f.select(result, one, zero)
        f.store(result, f.pointer("to"), loop.index)
    text = ir.declarations(vector) + f.define("run", "ptr %a", linkage="external")
    return build._linked(build.compiled(text))["run"]


def run(name: str, *operands: Tensor) -> Tensor:
    first, vector = operands[0], host.vector(operands[0].dtype)
    room = -(-first.numel() // vector.lanes) * vector.lanes
    padded = [torch.nn.functional.pad(o, (0, room - o.numel())).contiguous() for o in operands]
    to = torch.empty(room, dtype=first.dtype)
    addresses = [p.data_ptr() for p in padded] + [0] * (3 - len(padded))
    block = np.array([room, *addresses, to.data_ptr()], np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address(name, first.dtype))(block.ctypes.data)
    return to[: first.numel()]


def truth(name: str, x: Tensor) -> Tensor:
    """In float64, which PyTorch's softplus leaves early."""
    x = x.double()
    if name == "softplus":
        return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))
    return OPS[name].value(x)


def assert_close(name: str, x: Tensor) -> None:
    expected, actual = truth(name, x), run(name, x).double()
    normal = expected.abs() >= torch.finfo(x.dtype).tiny
    assert normal.float().mean() > 0.9, "a test that looks at nothing"
    error = ((actual - expected).abs() / expected.abs())[normal]
    # not "error > ...", which a NaN would pass
    assert error.max() <= ULPS * torch.finfo(x.dtype).eps, f"{name} at {x[normal][error.argmax()].item()}"
    beyond = (actual - expected).abs()[~normal]
    assert (beyond <= torch.finfo(x.dtype).tiny).all()


def sizes(low: float, high: float, count: int = 20_000) -> Tensor:
    """Evenly over the orders of magnitude."""
    return torch.logspace(math.log10(low), math.log10(high), count, dtype=torch.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("name", ["exp", "sigmoid", "softplus", "tanh"])
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


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("name", [name for name in OPS if OPS[name].operands > 1])
def test_operations_of_several_operands_are_torchs(name: str, dtype: torch.dtype) -> None:
    """Bit for bit, with every pair of special values among the operands."""
    values = torch.tensor([0.0, -0.0, 1.0, -2.5, 3e-39, INF, -INF, NAN, 1e30, 0.1], dtype=dtype)
    operands = list(torch.cartesian_prod(*[values] * OPS[name].operands).T)
    given = [operands[0] != 0, *operands[1:]] if name == "where" else operands
    expected = OPS[name].value(*given).to(dtype)
    if name == "where":
        operands[0] = torch.where(operands[0].isnan(), 1.0, operands[0])  # not a comparison's result
    actual = run(name, *operands)
    assert torch.equal(actual.isnan(), expected.isnan())
    assert torch.equal(actual.nan_to_num(7), expected.nan_to_num(7))


def test_comparisons_with_nan_are_false() -> None:
    for name in COMPARISONS:
        assert run(name, torch.tensor([NAN, 1.0, NAN]), torch.tensor([1.0, NAN, NAN])).tolist() == [0, 0, 0]


def test_monotone_functions_are_monotone_across_their_seams() -> None:
    """Where the exponent of two changes, and where a branch is left."""
    x = torch.linspace(-9, 9, 200_001)
    for name in ("exp", "sigmoid", "tanh", "softplus"):
        y = run(name, x)
        steps = y.diff()
        assert (steps >= -4 * torch.finfo(torch.float32).eps * y[1:].abs()).all(), name


def test_every_primitive_has_its_row_in_each_table() -> None:
    assert set(EMIT) == set(OPS)
