"""Calls of many streams in one tick, and what happens to a stream when another fails."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from elman.errors import NotFinite, UsageError
from elman.serve import ticker as ticker_module
from elman.serve.answers import ApiError
from elman.serve.ticker import AHEAD_PIECES, Tally, Ticker
from elman.tasks.pool import Pool, Steps, stepwise


class Doubling:
    """A network that doubles numbers, and notes how many at once."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def answer(self, requests: Sequence[Any]) -> list[Any]:
        self.asked.append(len(requests))
        return [NotFinite() if request == 13 else 2 * request for request in requests]


class Adding:
    def __init__(self, network: Doubling, start: int = 0) -> None:
        if start < 0:
            raise UsageError("start must be 0 or more")
        self.network, self.total, self._start = network, start, start

    def reset(self) -> None:
        self.total = self._start

    @stepwise
    def push(self, number: int) -> Steps[int]:
        if number == -1:
            raise KeyError("a mistake")
        if number == 0:
            raise UsageError("number must not be 0")
        self.total += yield number
        return self.total

    @stepwise
    def result(self, times: int = 1) -> Steps[int]:
        return times * self.total
        yield

    def writing(self, count: int = 3) -> Steps[None]:
        if count < 0:
            raise UsageError("count must be 0 or more")
        return self._written(count)

    def _written(self, count: int) -> Steps[None]:
        for k in range(count):
            yield str((yield k % 10))


def running(use: Any, capacity: int = 4, seconds: float = 0.01, tally: Tally | None = None) -> Any:
    """Run a coroutine of a ticker, its network and the pool."""

    async def run() -> Any:
        network = Doubling()
        pool = Pool(network, lambda start=0: Adding(network, start), capacity)
        ticker = Ticker(pool, seconds, tally)
        try:
            coroutine: Coroutine[Any, Any, Any] = use(ticker, network, pool)
            return await asyncio.wait_for(coroutine, 100)
        finally:
            ticker.close_all()

    return asyncio.run(run())


async def closed(ticker: Ticker, pool: Pool[Adding]) -> None:
    while len(ticker) or len(pool):
        await asyncio.sleep(0.001)


def test_what_arrives_in_a_tick_is_computed_together() -> None:
    async def use(ticker: Ticker, network: Doubling, pool: Pool[Adding]) -> None:
        streams = [await ticker.open(start=k) for k in range(3)]
        calls = [ticker.call(stream, "push", 5) for stream in streams]
        assert await asyncio.gather(*calls) == [10, 11, 12] and network.asked == [3]
        different = [ticker.call(streams[0], "result"), ticker.call(streams[1], "result", times=2)]
        assert await asyncio.gather(*different) == [10, 22]

    running(use)


def test_a_stream_has_one_call_in_a_tick() -> None:
    async def use(ticker: Ticker, network: Doubling, pool: Pool[Adding]) -> None:
        flood, calm = await ticker.open(), await ticker.open()
        calls = [ticker.call(flood, "push", 1) for _ in range(5)]
        tasks = [asyncio.create_task(call) for call in [*calls, ticker.call(calm, "push", 7)]]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert tasks[-1] in done and not set(tasks[1:5]) & done  # it did not wait for the flood
        assert await asyncio.gather(*tasks) == [2, 4, 6, 8, 10, 14]

    running(use)


def test_an_error_is_the_stream_s_alone() -> None:
    async def use(ticker: Ticker, network: Doubling, pool: Pool[Adding]) -> None:
        streams = [await ticker.open() for _ in range(3)]
        calls = [ticker.call(one, "push", item) for one, item in zip(streams, (13, 0, 4), strict=True)]
        nan, wrong, good = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(nan, NotFinite) and isinstance(wrong, UsageError) and good == 8
        with pytest.raises(UsageError, match="start must be 0"):
            await ticker.open(start=-1)
        assert len(ticker) == 3
        with pytest.raises(KeyError):  # a mistake of ours does not stop the ticker
            await ticker.call(streams[0], "push", -1)
        assert await ticker.call(streams[1], "push", 1) == 2

    running(use)


def test_there_is_room_for_so_many() -> None:
    async def use(ticker: Ticker, network: Doubling, pool: Pool[Adding]) -> None:
        streams = [await ticker.open() for _ in range(2)]
        with pytest.raises(ApiError, match="all 2 sessions of this model are open") as refused:
            await ticker.open()
        assert refused.value.status == 503
        for stream in streams:
            ticker.close(stream)
        await closed(ticker, pool)
        await ticker.open()

    running(use, capacity=2)


def test_who_goes_away_leaves_no_row() -> None:
    async def use(ticker: Ticker, network: Doubling, pool: Pool[Adding]) -> None:
        for wait in (0, 0.005, 0.02):  # before the tick, and after it
            opening = asyncio.create_task(ticker.open())
            await asyncio.sleep(wait)
            opening.cancel()
            if not opening.done():
                with pytest.raises(asyncio.CancelledError):
                    await opening
            elif not opening.cancelled():
                ticker.close(opening.result())
        await closed(ticker, pool)
        stream = await ticker.open()
        pushing = asyncio.create_task(ticker.call(stream, "push", 1))
        await asyncio.sleep(0)
        ticker.close(stream)
        with pytest.raises(asyncio.CancelledError):
            await pushing
        await closed(ticker, pool)

    running(use)


def test_writing_waits_for_a_slow_reader_and_ends_when_broken_off() -> None:
    async def use(ticker: Ticker, network: Doubling, pool: Pool[Adding]) -> None:
        slow, fast = await ticker.open(), await ticker.open()
        writing = ticker.write(slow, count=1000)
        assert await anext(writing) == "0"
        assert "".join([piece async for piece in ticker.write(fast, count=50)]) == "".join(
            str(2 * (k % 10)) for k in range(50)
        )
        assert sum(network.asked) < 50 + 2 * AHEAD_PIECES
        await writing.aclose()  # type: ignore[attr-defined]
        assert await ticker.call(slow, "push", 3) == 6
        assert [piece async for piece in ticker.write(slow, count=1)] == ["0"]
        with pytest.raises(UsageError, match="count must be 0"):
            await anext(ticker.write(slow, count=-1))

    running(use)


def test_a_function_has_the_network_for_itself() -> None:
    tally = Tally()

    async def use(ticker: Ticker, network: Doubling, pool: Pool[Adding]) -> None:
        stream = await ticker.open(start=4)
        assert await ticker.run(lambda: stream.total, stream) == 4
        with pytest.raises(ZeroDivisionError):
            await ticker.run(lambda: 1 // 0)
        assert tally.sessions == 1 and tally.ticks >= 3 and tally.rows >= 3

    running(use, tally=tally)


@pytest.mark.parametrize("is_settled", [True, False])
def test_a_stream_that_opened_as_its_client_left_is_closed(
    monkeypatch: pytest.MonkeyPatch, is_settled: bool
) -> None:
    async def use(ticker: Ticker, network: Doubling, pool: Pool[Adding]) -> None:
        settle = ticker_module._settle

        def settle_and_leave(done: Any, value: Any) -> None:
            for step in (settle, leave) if is_settled else (leave, settle):
                step(done, value)

        def leave(*_: Any) -> None:
            opening.cancel()

        monkeypatch.setattr(ticker_module, "_settle", settle_and_leave)
        opening = asyncio.create_task(ticker.open())
        with pytest.raises(asyncio.CancelledError):
            await opening
        await closed(ticker, pool)

    running(use)
