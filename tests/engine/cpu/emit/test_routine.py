"""The functions that a routine may call, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.engine.cpu import build
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.routine import Routine, Word

KINDS = {np.float32: Vector("float", 8), np.float64: Vector("double", 4)}


def performed(vector: Vector, name: str, *arguments: Word, table: tuple[Word, ...] = ()) -> None:
    routine = Routine(vector, ())
    words = (routine.table(table),) if table else ()
    routine.call(build.routine_addresses(vector)[name], *arguments, *words)
    routine.finish(())
    routine.run()


@pytest.mark.parametrize("kind", KINDS)
def test_copies_zeros_and_sums(kind: type) -> None:
    vector, a, b = KINDS[kind], np.arange(16, dtype=kind), np.full(16, 2, kind)
    to = np.full(17, 7, kind)
    performed(vector, "copy", to.ctypes.data, a.ctypes.data, 3)
    assert to.tolist() == [0, 1, 2, *[7] * 14]
    performed(vector, "add", to.ctypes.data, a.ctypes.data, b.ctypes.data, 16)
    assert to.tolist() == [*range(2, 18), 7]
    performed(vector, "clear", to.ctypes.data, 16)
    assert to.tolist() == [*[0] * 16, 7]


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.integers(1, 4)] * 3),
    st.permutations(range(3)),
    st.tuples(*[st.booleans()] * 3),
)
def test_any_strides_are_gathered(shape: tuple[int, ...], order: list[int], spread: tuple[bool, ...]) -> None:
    """Axes in any order, or with the same numbers all along."""
    whole = np.random.default_rng(0).normal(size=[shape[k] for k in order]).astype(np.float32)
    source = whole.transpose(np.argsort(order))
    source = np.broadcast_to(source[tuple(slice(0, 1 if s else None) for s in spread)], shape)
    to, strides = np.empty(shape, np.float32), [stride // 4 for stride in source.strides]
    performed(KINDS[np.float32], "gather", to.ctypes.data, source.ctypes.data, table=(*shape, *strides))
    assert np.array_equal(to, source)
