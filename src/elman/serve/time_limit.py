"""`asyncio.timeout` for many short waits: a timer of the event loop for each would cost as much as the wait.

All waits of the same length share one timer, which looks after the oldest of them.
"""

import asyncio
from types import TracebackType
from weakref import WeakKeyDictionary


class TimeLimit:
    """Raises TimeoutError in a `with` block that takes longer than so many seconds, and cancels what it waits
    for, as `asyncio.timeout` does."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling, self._is_over = task, task.cancelling(), False
        self._waits = _waits(self._seconds)
        self._waits.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._waits.end(self)
        # unless somebody else has cancelled the task as well
        if self._is_over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """Break off the wait."""
        self._is_over = True
        self._task.cancel()


class _Waits:
    """The waits of one length, with their ends: the oldest first, as they are in a dict."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[TimeLimit, float] = {}
        self._has_timer = False

    def begin(self, wait: TimeLimit) -> None:
        self._ends[wait] = asyncio.get_running_loop().time() + self._seconds
        if not self._has_timer:
            self._look()

    def end(self, wait: TimeLimit) -> None:
        self._ends.pop(wait, None)

    def _look(self) -> None:
        """Break off what is too old, and look again when the next may be."""
        now = asyncio.get_running_loop().time()
        for wait in [wait for wait, end in self._ends.items() if end <= now]:
            self.end(wait)
            wait.expire()
        self._has_timer = bool(self._ends)
        if self._has_timer:
            asyncio.get_running_loop().call_at(next(iter(self._ends.values())), self._look)


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, _Waits]] = WeakKeyDictionary()


def _waits(seconds: float) -> _Waits:
    by_length = _BY_LOOP.setdefault(asyncio.get_running_loop(), {})
    if seconds not in by_length:
        by_length[seconds] = _Waits(seconds)
    return by_length[seconds]
