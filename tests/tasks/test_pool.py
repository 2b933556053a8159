"""Pools of a stream that adds numbers up: what is asked together, and what happens to whom."""

from collections.abc import Sequence
from typing import Any

import pytest

from elman.errors import NotFinite, UsageError
from elman.tasks.pool import Pool, Steps, stepwise


class Doubling:
    """A network that doubles numbers, and notes how many at once."""

    def __init__(self) -> None:
        self.asked: list[list[Any]] = []

    def answer(self, requests: Sequence[Any]) -> list[Any]:
        self.asked.append(list(requests))
        return [NotFinite() if request == 13 else 2 * request for request in requests]


class Adding:
    def __init__(self, network: Doubling, start: int = 0) -> None:
        self.network, self.total, self._start = network, start, start

    def reset(self) -> None:
        self.total = self._start

    @stepwise
    def push(self, number: int) -> Steps[int]:
        """Add twice a number, in as many steps as it is."""
        if number < 0:
            raise UsageError("number must be 0 or more")
        if number == 13:
            yield 13
        if number == 14:
            self.total += yield 1
            raise KeyError("a mistake of elman")
        for _ in range(number):
            self.total += yield 1
        return self.total

    @stepwise
    def result(self) -> Steps[int]:
        return self.total
        yield

    def writing(self, count: int) -> Steps[None]:
        if count < 0:
            raise UsageError("count must be 0 or more")
        return self._written(count)

    def _written(self, count: int) -> Steps[None]:
        for k in range(count):
            yield str((yield k))


def pool_of(capacity: Any = 4) -> tuple[Pool[Adding], Doubling]:
    network = Doubling()
    return Pool(network, lambda start=0: Adding(network, start), capacity), network


def test_a_stream_alone() -> None:
    stream = Adding(Doubling())
    assert stream.push(3) == 6 and stream.push(1) == 8 == stream.result()
    assert [len(requests) for requests in stream.network.asked] == [1] * 4


def test_requests_of_all_streams_are_asked_together() -> None:
    pool, network = pool_of()
    a, b, c = pool.open(), pool.open(start=10), pool.open()
    answers = pool.push({a: 3, b: 1, c: 0})
    assert answers.done == {a: 6, b: 12, c: 0} and not answers.failed
    assert [len(requests) for requests in network.asked] == [2, 1, 1]
    assert pool.result([b, a]).done == {b: 12, a: 6}


def test_errors_are_of_one_stream_alone() -> None:
    pool, _ = pool_of()
    a, b, c = pool.open(), pool.open(start=5), pool.open()
    pool.push({a: 1, b: 1})
    answers = pool.push({a: -1, b: 13, c: 2})
    assert answers.done == {c: 4}
    assert str(answers.failed[a]) == "number must be 0 or more"
    assert isinstance(answers.failed[b], NotFinite) and "begins anew" in str(answers.failed[b])
    assert pool.result([a, b]).done == {a: 2, b: 5}
    answers = pool.push({a: 1, b: 14})
    assert answers.done == {a: 4} and isinstance(answers.failed[b], KeyError)
    assert pool.result([b]).done == {b: 5}
    alone = Adding(Doubling(), 5)
    alone.push(1)
    with pytest.raises(NotFinite):
        alone.push(13)
    assert alone.result() == 5


def test_streams_come_and_go() -> None:
    pool, _ = pool_of(2)
    a, b = pool.open(), pool.open()
    assert len(pool) == 2 and a in pool and set(pool) == {a, b}
    with pytest.raises(UsageError, match="all 2 streams of the pool are open: close one"):
        pool.open()
    pool.close(a)
    assert len(pool) == 1 and a not in pool
    with pytest.raises(UsageError, match="this Adding is not open in the pool"):
        pool.push({b: 1, a: 1})
    assert b.total == 0  # nothing has advanced
    with pytest.raises(UsageError, match="this Adding is not open"):
        pool.close(a)
    with pytest.raises(UsageError, match="this int is not open"):
        pool.result([3])  # type: ignore[list-item]
    assert pool.open() in pool


def test_pieces_of_those_that_write() -> None:
    pool, network = pool_of()
    a, b, c = pool.open(), pool.open(), pool.open()
    pool.write(a, count=2)
    pool.write(b, count=1)
    assert pool.pieces().done == {a: "0", b: "0"}
    pool.write(c, count=0)
    assert pool.pieces().done == {a: "2", b: "", c: ""}
    assert pool.pieces().done == {a: ""}
    assert pool.pieces() == ({}, {})
    assert [len(requests) for requests in network.asked] == [2, 1]
    pool.write(a, count=5)
    pool.close(a)
    assert pool.pieces() == ({}, {})


def test_pieces_of_some_and_writing_that_is_stopped() -> None:
    pool, _ = pool_of()
    a, b = pool.open(), pool.open()
    pool.write(a, count=5)
    pool.write(b, count=5)
    assert pool.pieces([a]).done == {a: "0"}
    assert pool.pieces([a, b]).done == {a: "2", b: "0"}
    pool.stop(a)
    pool.stop(a)
    assert pool.pieces().done == {b: "2"} and pool.pieces([a]) == ({}, {})
    pool.close(a)
    for call in (pool.stop, lambda stream: pool.pieces([stream])):
        with pytest.raises(UsageError, match="is not open"):
            call(a)


def test_mistakes_are_sentences() -> None:
    for capacity in (0, -1, 1.5, "3", True):
        with pytest.raises(UsageError, match="capacity must be a whole number from 1"):
            pool_of(capacity)
    pool, _ = pool_of()
    stream = pool.open()
    with pytest.raises(UsageError, match="push takes a dict of items by stream, not list"):
        pool.push([stream])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="these streams have no finish"):
        pool.finish([stream])
    with pytest.raises(UsageError, match="count must be 0 or more"):
        pool.write(stream, count=-1)
    assert pool.push({}) == ({}, {})
