"""The count of rows that still run, compiled and called."""

import ctypes

import numpy as np
import pytest

from elman.engine.cpu import build
from elman.engine.cpu.emit.loops import ACTIVE

WRAPPER = """
define i64 @run(ptr %a) nounwind {
  %rows.at = getelementptr ptr, ptr %a, i64 3
  %lengths.at = getelementptr ptr, ptr %a, i64 4
  %first = load i64, ptr %a
  %last.at = getelementptr i64, ptr %a, i64 1
  %last = load i64, ptr %last.at
  %t.at = getelementptr i64, ptr %a, i64 2
  %t = load i64, ptr %t.at
  %rows = load ptr, ptr %rows.at
  %lengths = load ptr, ptr %lengths.at
  %count = call i64 @active(i64 %first, i64 %last, i64 %t, ptr %rows, ptr %lengths)
  ret i64 %count
}
"""


@pytest.mark.parametrize("t", range(6))
def test_rows_that_still_run(t: int) -> None:
    lengths = np.array([2, 0, 5, 3], np.int64)
    rows = np.array([2, 3, 0, 1], np.int64)  # by falling length
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(
        build._linked(build.compiled(ACTIVE + WRAPPER))["run"]
    )
    for first in range(4):
        block = np.array([first, 4, t, rows.ctypes.data, lengths.ctypes.data], np.int64)
        assert function(block.ctypes.data) == (lengths[rows[first:]] > t).sum()
