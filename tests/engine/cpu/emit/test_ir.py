"""The builder of LLVM text: loops, conditions and vectors, compiled and run."""

import ctypes

import numpy as np
import pytest

from elman.engine.cpu import build, host
from elman.engine.cpu.emit.ir import Function, Vector, declarations


def run(f: Function, *numbers: int) -> None:
    """Compile the body and run it on an argument block of these numbers."""
    text = declarations(f.vector) + f.define("run", "ptr %a", linkage="external")
    block = np.array(numbers, np.int64)
    address = build._linked(build.compiled(text))["run"]
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(block.ctypes.data)


@pytest.fixture
def f() -> Function:
    lanes = host.target().width // 8
    f = Function(Vector("double", lanes), ("n", "to"))
    f.load_arguments()
    return f


def test_loops_and_conditions(f: Function) -> None:
    with f.loop(f.arg("n"), start=1, step=2) as outer, f.loop(outer.index) as inner:
        second = f.compare("eq", inner.index, 2)
        with f.when(second):
            f.write(outer.index, f.pointer("to"), outer.index)
    to = np.zeros(10, np.int64)
    run(f, 10, to.ctypes.data)
    assert to.tolist() == [0, 0, 0, 3, 0, 5, 0, 7, 0, 9]


def test_carried_values_pass_from_turn_to_turn(f: Function) -> None:
    one = f.vector.constant(1.5)
    with f.loop(f.arg("n"), carried=[f.vector.constant(0.25)]) as loop:
        loop.following[0] = f.binary("fadd", loop.values[0], one)
    f.store(loop.values[0], f.pointer("to"))
    to = np.zeros(f.vector.lanes)
    run(f, 4, to.ctypes.data)
    assert to.tolist() == [6.25] * f.vector.lanes


def test_sums_over_lanes(f: Function) -> None:
    to = np.arange(f.vector.lanes, dtype=np.float64)
    f.store(f.total(f.load(f.pointer("to"))), f.pointer("to"))
    expected = to.sum()
    run(f, 0, to.ctypes.data)
    assert to.tolist() == [expected] * f.vector.lanes


def test_constants_are_rounded_to_their_precision() -> None:
    assert Vector("double", 2).constant(0.1) == "splat (double 0x3FB999999999999A)"
    assert Vector("float", 2).constant(0.1) == "splat (float 0x3FB99999A0000000)"
