"""The product of small matrices as they lie, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.engine.cpu import build
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.multiply import FIELDS
from elman.engine.cpu.routine import Routine

KINDS = {np.float32: Vector("float", 8), np.float64: Vector("double", 4)}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(rows=st.integers(0, 9), vectors=st.integers(0, 5), depth=st.integers(0, 7), transposed=st.booleans())
def test_a_product_is_added(kind: type, rows: int, vectors: int, depth: int, transposed: bool) -> None:
    random, vector = np.random.default_rng(0), KINDS[kind]
    columns, size = vectors * vector.lanes, vector.size
    a, b = (
        random.normal(size=(rows, depth)).astype(kind),
        random.normal(size=(depth, columns + 3)).astype(kind),
    )
    to = random.normal(size=(rows, columns + 5)).astype(kind)
    held, expected = np.asfortranarray(a) if transposed else a, to.copy()
    expected[:, :columns] += a @ b[:, :columns]
    left = (1, rows) if transposed else (depth, 1)
    values = (to.ctypes.data, columns + 5, held.ctypes.data, *left, b.ctypes.data, columns + 3)
    routine = Routine(vector, ())
    table = dict(zip(FIELDS, (*values, rows, columns, depth), strict=True))
    routine.call(build.routine_addresses(vector)["multiply"], routine.table([*table.values()]))
    routine.finish(())
    routine.run()
    np.testing.assert_allclose(to, expected, rtol=0, atol=1e-5 if size == 4 else 1e-13)
    assert np.array_equal(to[:, columns:], expected[:, columns:])
