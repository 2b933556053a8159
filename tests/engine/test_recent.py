"""Calls of the latest requests."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

from elman.engine.recent import MAX_SHAPES, Recent


def test_the_latest_are_kept() -> None:
    calls: Recent[int] = Recent()
    for k in range(MAX_SHAPES + 3):
        assert calls.add(k, -k) == -k
    assert list(calls) == list(range(3, MAX_SHAPES + 3))


def test_copies_start_empty() -> None:
    calls: Recent[int] = Recent()
    calls.add(1, 1)
    assert not copy.deepcopy(calls) and not pickle.loads(pickle.dumps(calls))


def test_threads_may_add_and_clear() -> None:
    calls: Recent[int] = Recent()

    def work(first: int) -> None:
        for k in range(first, first + 500):
            calls.add(k, k)
            if k % 7 == 0:
                calls.clear()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, 1000 * k) for k in range(4)]:
            done.result()
    assert len(calls) <= MAX_SHAPES
