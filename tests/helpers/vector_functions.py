"""Compiled primitives, one by one, on tensors; and how near the truth they are."""

import ctypes
import functools
import math

import numpy as np
import torch
from torch import Tensor

from elman.engine.cpu import build, host
from elman.engine.cpu.emit import ir
from elman.engine.cpu.emit.functions import EMIT
from elman.engine.ops import OPS

DTYPES = [torch.float32, torch.float64]
# Largest relative error of a normal number, in units of 2^-23 and 2^-52; 2.97 was seen in millions of points.
ULPS = 3.3
COMPARISONS = ("gt", "lt")


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
    body = f.define("run", "ptr %a", linkage="external")
    text = ir.declarations(vector, body) + body
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


def assert_accurate(name: str, x: Tensor, expected: Tensor) -> None:
    """Compare name(x) with the truth, in float64: in relative terms where that is a normal number."""
    actual = run(name, x).double()
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
