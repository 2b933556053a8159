"""The tracer: it reads what a cell computes, and names by line what it can't read."""

import cProfile
import inspect
import math
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import exp, maximum, sigmoid, where
from torch.nn.functional import gelu, softplus

from elman.cells import CELLS, cell
from elman.engine.derive import derive
from elman.engine.trace import CellError, trace


def test_tracing_minds_no_profiler() -> None:
    profiler = cProfile.Profile()
    trace.cache_clear()
    profiler.runcall(trace, CELLS["lstm"])
    assert profiler.getstats()


REFUSED: list[tuple[Callable[[Any, Any], Any], str]] = [
    (lambda x, s: torch.sinh(x.a), "sinh is not a primitive; an equation may use"),
    (lambda x, s: torch.add(x.a, s.h, alpha=2), "add with alpha= is not a primitive"),
    (lambda x, s: torch.div(x.a, s.h, rounding_mode="floor"), "div with rounding_mode= is not a primitive"),
    (lambda x, s: softplus(x.a, 2.0), "softplus takes 1 values here, not 2"),
    (lambda x, s: gelu(x.a, approximate="erf"), "gelu with approximate= is not a primitive"),
    (lambda x, s: x.a**s.h, r"a power needs a number; write torch.exp\(b \* torch.log\(a\)\)"),
    (lambda x, s: x.a**0, "a power of 0 has one value only"),
    (lambda x, s: x.a ** float("nan"), "a power of nan has one value only"),
    (lambda x, s: (-2) ** x.a, r"-2 \*\* x has a value only where x is a whole number"),
    (lambda x, s: x.a.clamp(), "clamp needs a bound"),
    (lambda x, s: torch.clamp(x.a, 1, "2"), r"clamp\(\) received an invalid combination of arguments"),
    (lambda x, s: x.a @ s.h, "@ is not a primitive"),
    (lambda x, s: x.a // 2, "// is not a primitive"),
    (lambda x, s: where(x.a == 0, x.a, s.h), "== is not a primitive"),
    (lambda x, s: where(x.a >= s.h, x.a, s.h), ">= is not a primitive"),
    (lambda x, s: where(x.a, x.a, s.h), "only the first argument of where"),
    (lambda x, s: x.a * (x.a > 0), "only the first argument of where"),
    (lambda x, s: x.a.maximum(1), "maximum takes no numbers"),
    (lambda x, s: maximum(x.a, 1), r"maximum\(\): argument 'other' \(position 2\) must be Tensor, not int"),
    (lambda x, s: x.a + exp(2.0), r"exp\(\): argument 'input' \(position 1\) must be Tensor, not float"),
    (lambda x, s: x.a + torch.stack([x.a, s.h]), "stack is not a primitive"),
    (lambda x, s: sum(range(x.a)) + s.h, "'Symbol' object cannot be interpreted as an integer"),
    (lambda x, s: x.a[0], r"\[\] is not a primitive"),
    (lambda x, s: float(x.a) + s.h, "float is not a primitive"),
    (lambda x, s: x.a.cosh(), r"\.cosh is not a primitive"),
    (lambda x, s: x.a.where(x.a > 0, s.h), r"\.where is not a primitive"),
    (lambda x, s: x.a if x.a > 0 else s.h, r"no values yet to decide an `if`; use where\(a, b, c\)"),
    (lambda x, s: max(x.a, s.h), "no values yet to decide an `if`"),
    (lambda x, s: x.z + s.h, "there is no x.z; cell Refused has x.a"),
    (lambda x, s: x.a + s.c, "there is no s.c; cell Refused has s.h"),
    (lambda x, s: math.tanh(x.a), "float is not a primitive"),
    (lambda x, s: np.where(x.a > 0, x.a, s.h), "setting an array element with a sequence"),
    (lambda x, s: x.a * 1j, "mul takes named values and numbers, not a complex"),
    (lambda x, s: x.a * 10**400, "OverflowError: int too large to convert to float"),
    (lambda x, s: x.a / (1 / 0), "ZeroDivisionError: division by zero"),
    (lambda x, s: nothing_of_this_name, "NameError: name 'nothing_of_this_name' is not defined"),  # noqa: F821
    (lambda x, s: sys.exit("enough"), "SystemExit: enough"),
    (lambda x, s: f"{x.a:.2f}", r"unsupported format string passed to Symbol.__format__"),
    (lambda x, s: x.a + "1", "add takes named values and numbers, not a str"),
]


@pytest.mark.parametrize(("equation", "sentence"), REFUSED, ids=lambda v: "")
def test_what_cannot_be_read_is_named_with_file_and_line(equation: Any, sentence: str) -> None:
    @cell(gates="a", state="h")
    def Refused(x, s):
        return equation(x, s)

    line = inspect.getsourcelines(equation)[1]
    with pytest.raises(CellError, match=rf"^{re.escape(__file__)}, line {line}: .*{sentence}"):
        trace(Refused)


@pytest.mark.parametrize("result", [0.0, None, [1], "h"])
def test_a_state_must_be_computed(result: Any) -> None:
    @cell(gates="a", state="h")
    def Constant(x, s):
        return result

    with pytest.raises(CellError, match="cell Constant must compute every state"):
        trace(Constant)


def test_methods_mean_what_the_functions_mean() -> None:
    @cell(gates="a", state="h")
    def Methods(x, s):
        return x.a.sigmoid().mul(s.h).maximum(x.a)

    @cell(gates="a", state="h")
    def Functions(x, s):
        return maximum(torch.mul(sigmoid(x.a), s.h), x.a)

    assert trace(Methods).nodes == trace(Functions).nodes


def endless(x: Any, s: Any) -> Any:
    while True:
        s.h + x.a


def growing(x: Any, s: Any) -> Any:
    h = s.h
    while True:
        h = h + x.a


def calling_itself(x: Any, s: Any) -> Any:
    return calling_itself(x, s)


ENDLESS = [
    (endless, "over 10000 operations a step: has a loop no end"),
    (growing, "over 10000 operations a step: has a loop no end"),
    (calling_itself, "cell calling_itself calls itself without end"),
]


@pytest.mark.parametrize(("equations", "sentence"), ENDLESS, ids=lambda v: "")
def test_equations_without_an_end(equations: Any, sentence: str) -> None:
    with pytest.raises(CellError, match=rf"^{re.escape(__file__)}, line \d+: {sentence}"):
        trace(cell(gates="a", state="h")(equations))


def test_a_chain_of_operations_may_be_longer_than_pythons_stack() -> None:
    @cell(gates="a", state="h")
    def Deep(x, s):
        h = s.h
        for _ in range(600):
            h = torch.tanh(h + x.a)
        return h

    program = trace(Deep)
    assert len(program.nodes) == 1202
    assert max(map(len, str(program).splitlines())) < 1000  # cut into equations of a readable size
    assert program.latex().count("tanh") == 600
    assert len(derive(Deep).backward.nodes) > 1200


def test_numbers_of_numpy_are_constants() -> None:
    @cell(gates="a", state="h")
    def Scaled(x, s):
        return x.a * np.float64(0.5) + np.float32(0.25) * s.h + np.tanh(x.a) * np.int64(2)

    assert str(trace(Scaled)).splitlines()[1] == "  h = x.a * 0.5 + 0.25 * s.h + tanh(x.a) * 2"


def test_ctrl_c_within_equations_is_no_error_of_the_cell() -> None:
    @cell(gates="a", state="h")
    def Interrupted(x, s):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trace(Interrupted)
