"""Waits that take too long, against `asyncio.timeout`."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from elman.serve.time_limit import TimeLimit

SECONDS = 0.05


async def elapsed(wait: Callable[[], Awaitable[None]]) -> float:
    start = asyncio.get_running_loop().time()
    await wait()
    return asyncio.get_running_loop().time() - start


def test_what_takes_too_long_is_cancelled() -> None:
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def main() -> None:
        async def limited() -> None:
            with pytest.raises(TimeoutError), TimeLimit(SECONDS):
                await work()

        for _ in range(2):
            assert SECONDS <= await elapsed(limited) < 2
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0

    asyncio.run(main())
    assert cancelled == [True, True]


def test_waits_share_a_timer_and_each_has_its_own_end() -> None:
    async def main() -> None:
        async def limited(delay: float) -> float:
            await asyncio.sleep(delay)
            try:
                with TimeLimit(SECONDS):
                    return await elapsed(lambda: asyncio.sleep(10))
            except TimeoutError:
                return asyncio.get_running_loop().time() - start

        async def short() -> None:
            for _ in range(50):
                with TimeLimit(SECONDS):
                    await asyncio.sleep(0.001)

        start = asyncio.get_running_loop().time()
        delays = [0.0, 0.02, 0.03, 0.2]
        ends, _ = await asyncio.gather(asyncio.gather(*map(limited, delays)), short())
        for delay, end in zip(delays, ends, strict=True):
            assert delay + SECONDS <= end < delay + 2

    asyncio.run(main())


def test_a_wait_in_another() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError), TimeLimit(SECONDS), TimeLimit(10):
            await asyncio.sleep(5)
        with TimeLimit(10):
            with pytest.raises(TimeoutError), TimeLimit(SECONDS):
                await asyncio.sleep(5)
            await asyncio.sleep(0)

    asyncio.run(main())


def test_a_task_that_somebody_cancels_is_cancelled() -> None:
    async def work() -> None:
        with TimeLimit(SECONDS):
            await asyncio.sleep(10)

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def stubborn() -> None:
            """Be cancelled by somebody while the limit's own cancellation is on its way."""
            with TimeLimit(SECONDS):
                try:
                    await asyncio.sleep(10)
                finally:
                    mine = asyncio.current_task()
                    assert mine is not None
                    mine.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(stubborn())

    asyncio.run(main())


def test_other_errors_pass() -> None:
    async def main() -> None:
        with pytest.raises(KeyError), TimeLimit(SECONDS):
            raise KeyError
        with TimeLimit(SECONDS):
            pass
        await asyncio.sleep(2 * SECONDS)  # and nothing is broken off afterwards

    asyncio.run(main())
