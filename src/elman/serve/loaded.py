"""A model in memory, with the threads that run it."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from elman.errors import UsageError
from elman.serve.answers import ApiError
from elman.serve.limits import Limits
from elman.serve.ticker import Tally, Ticker

R = TypeVar("R")


class Loaded:
    """A model in memory. Live sessions run in the thread of its ticker, whole requests in a thread of their
    own, so that a large one does not hold up the sessions.

    Attributes:
        model: the `elman.tasks.task.Task`.
        seconds: that loading took.
    """

    def __init__(self, folder: Path, limits: Limits, tally: Tally | None = None) -> None:
        """Load a model, whose sessions are counted. Raises the errors of `elman.load`."""
        start = time.monotonic()
        from elman.tasks import load  # brings PyTorch

        self.model: Any = load(folder)
        self._limits, self._waiting = limits, 0
        self._thread = ThreadPoolExecutor(1, f"elman-{folder.name}")
        self._ticker: Ticker | None = None
        self._no_stream = ""
        try:
            pool = self.model.pool(limits.sessions)
        except UsageError as error:  # such as a network that reads both ways
            self._no_stream = str(error)
        else:
            self._ticker = Ticker(pool, limits.tick / 1000, tally)
        self.seconds = time.monotonic() - start

    @property
    def ticker(self) -> Ticker:
        """What runs live sessions. Raises ApiError for a model that has none."""
        if self._ticker is None:
            raise ApiError(422, self._no_stream, "model", "no_stream")
        return self._ticker

    @property
    def sessions(self) -> int:
        return 0 if self._ticker is None else len(self._ticker)

    @property
    def waiting(self) -> int:
        """How many whole requests wait or are answered."""
        return self._waiting

    async def run(self, function: Callable[..., R], *args: Any) -> R:
        """Call a function in the thread for whole requests. Raises ApiError if too many wait for it."""
        if self._waiting >= self._limits.queue:
            raise ApiError(429, f"{self._waiting} requests wait for this model already: try again later")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Take no more work, at the end of the server. The threads of a model that was replaced end when
        nobody holds it any more."""
        self._thread.shutdown(wait=False)
        if self._ticker is not None:
            self._ticker.close_all()
