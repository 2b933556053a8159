"""Lists of native calls: bases, tables, scratch memory, threads."""

import threading

import numpy as np
import pytest

from elman.engine.cpu import build
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.routine import MAX_KEPT, WORKSPACE, Routine, after, aligned

VECTOR = Vector("float", 8)


def moving(count: int) -> Routine:
    """Return a routine that copies numbers by way of its scratch memory, behind eight others."""
    routine, copy = Routine(VECTOR, ("to", "source")), build.routine_addresses(VECTOR)["copy"]
    routine.room(8)
    room = routine.room(4 * count + 32)
    routine.call(copy, after(room, 32), ("source", 0), count)
    routine.call(copy, ("to", 4), after(room, 32), count)
    routine.finish(())
    return routine


def test_calls_are_made_in_order_with_the_bases_of_each_start() -> None:
    routine = moving(3)
    for k in range(3):
        source, to = np.arange(3, dtype=np.float32) + k, np.zeros(4, np.float32)
        routine.run(to.ctypes.data, source.ctypes.data)
        assert to.tolist() == [0, *source.tolist()]


def test_threads_have_scratch_memory_of_their_own() -> None:
    routine, count = moving(50_000), 50_000
    sources = [np.full(count, k, np.float32) for k in range(4)]
    results = [np.zeros(count + 1, np.float32) for _ in sources]

    def run(to: np.ndarray, source: np.ndarray) -> None:
        for _ in range(50):
            routine.run(to.ctypes.data, source.ctypes.data)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(results, sources, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, source in zip(results, sources, strict=True):
        assert np.array_equal(result[1:], source)


def test_memory_is_divided_into_whole_lines() -> None:
    assert [aligned(count) for count in (0, 1, 64, 65)] == [0, 64, 64, 128]


def test_a_list_that_does_not_fit_is_refused() -> None:
    routine = moving(3)
    with pytest.raises(AssertionError):
        routine.run(0)
    with pytest.raises(AssertionError):
        Routine(VECTOR, ()).call(0, 1, 2, 3, 4, 5)


def test_much_scratch_memory_is_given_back() -> None:
    assert WORKSPACE.get(MAX_KEPT + 1).numel() > MAX_KEPT
    assert WORKSPACE.bytes.numel() <= MAX_KEPT + MAX_KEPT // 2
