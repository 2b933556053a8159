"""The primitives of a cell's equations on vectors of units: what the compiler makes of each."""

from collections.abc import Callable
from typing import Final

from elman.engine.cpu.emit.exponential import at_least, exp, log, sigmoid, silu, softplus, tanh
from elman.engine.cpu.emit.gaussian import gelu, gelu_tanh, ndtr
from elman.engine.cpu.emit.ir import Function
from elman.engine.cpu.emit.waves import cos, sin


def softsign(f: Function, x: str) -> str:
    one = f.vector.constant(1.0)
    return f.binary("fdiv", x, f.binary("fadd", one, f.intrinsic("fabs", x)))


def _plain(op: str) -> Callable[..., str]:
    return lambda f, a, b: f.binary(op, a, b)


def _intrinsic(name: str) -> Callable[..., str]:
    return lambda f, *values: f.intrinsic(name, *values)


# The rows have the names of `elman.engine.ops`.
EMIT: Final[dict[str, Callable[..., str]]] = {
    "add": _plain("fadd"),
    "sub": _plain("fsub"),
    "mul": _plain("fmul"),
    "div": _plain("fdiv"),
    "neg": lambda f, a: f.new(f"fneg {f.vector.type} {a}"),
    "gt": lambda f, a, b: f.test("ogt", a, b),
    "lt": lambda f, a, b: f.test("olt", a, b),
    "sigmoid": sigmoid,
    "tanh": tanh,
    "exp": exp,
    "log": log,
    "sqrt": _intrinsic("sqrt"),
    "relu": lambda f, a: at_least(f, a, 0.0),
    "softplus": softplus,
    "abs": _intrinsic("fabs"),
    "minimum": _intrinsic("minimum"),
    "maximum": _intrinsic("maximum"),
    "clamp_min": _intrinsic("maximum"),
    "clamp_max": _intrinsic("minimum"),
    "sin": sin,
    "cos": cos,
    "silu": silu,
    "softsign": softsign,
    "ndtr": ndtr,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "where": lambda f, c, a, b: f.select(c, a, b),
}
