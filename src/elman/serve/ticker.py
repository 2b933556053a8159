"""Many live sessions, one kernel call: what arrives within a tick is computed together, in one thread.

A session has at most one call in a tick, and a long text is pushed in parts: a client which sends much waits
behind itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from elman.errors import ElmanError
from elman.serve.answers import ApiError
from elman.serve.log import failed

if TYPE_CHECKING:
    from elman.tasks.pool import Pool

PART_CHARACTERS: Final = 4096  # of a text that is pushed, read in one tick: others wait for it
AHEAD_PIECES: Final = 16  # that a stream may write before its client has taken them
WITH_ITEMS: Final = ("push", "tell")
TOGETHER: Final = (*WITH_ITEMS, "result", "finish")  # methods of a pool for many streams


@dataclass(eq=False)
class Call:
    """A call of the pool.

    Attributes:
        name: a method of the pool, or "run" for a function.
        stream: None for `open` and functions of no stream.
        item: of `push`, or the function.
        options: keywords.
        done: set to the value or the error.
    """

    name: str
    stream: Any
    item: Any
    options: dict[str, Any]
    done: asyncio.Future[Any]


@dataclass(eq=False)
class Writer:
    """A stream that generates text, and the pieces that the client has not taken yet; None ends them."""

    pieces: asyncio.Queue[str | Exception | None] = field(default_factory=asyncio.Queue)


@dataclass
class Tally:
    """What the pools of a model have done, its older versions included.

    Attributes:
        sessions: that are open.
        ticks, rows: calls, and the sessions in them.
    """

    sessions: int = 0
    ticks: int = 0
    rows: int = 0


Outcomes = list[tuple[Call, Any]]


class Ticker:
    """Runs a pool in a thread of its own; its methods are called in the event loop."""

    def __init__(self, pool: "Pool[Any]", seconds: float, tally: Tally | None = None) -> None:
        """`seconds`: how long arrivals are gathered for one call."""
        self._pool, self._seconds = pool, seconds
        self._tally = tally or Tally()
        self._thread = ThreadPoolExecutor(1, "elman-pool")
        self._waiting: list[Call] = []
        self._writers: dict[Any, Writer] = {}
        self._timer: asyncio.Handle | None = None
        self._is_running = False
        self._open = 0  # with those that are being opened

    def __len__(self) -> int:
        """Return the number of open sessions."""
        return self._open

    async def open(self, **options: Any) -> Any:
        """Begin a stream, with the options of the model's `stream`, whose errors it raises. Raises ApiError
        if there is no room."""
        if self._open >= self._pool.capacity:
            raise ApiError(503, f"all {self._pool.capacity} sessions of this model are open", code="sessions")
        self._open += 1
        self._tally.sessions += 1
        call = self._ask("open", None, None, options)
        try:
            # shielded, so that the outcome is not lost with the wait for it
            return await asyncio.shield(call.done)
        except asyncio.CancelledError:
            call.done.add_done_callback(self._close_unwanted)
            raise
        except BaseException:
            self._closed()
            raise

    def _close_unwanted(self, opened: asyncio.Future[Any]) -> None:
        """Close a stream that nobody waited for until it was open."""
        if opened.exception() is None:
            self.close(opened.result())
        else:
            self._closed()

    def close(self, stream: Any) -> None:
        """Close a stream and cancel its calls."""
        self._writers.pop(stream, None)
        for call in self._waiting:
            if call.stream is stream:
                call.done.cancel()
        self._ask("close", stream, None, {}).done.add_done_callback(lambda _: self._closed())

    def _closed(self) -> None:
        self._open -= 1
        self._tally.sessions -= 1

    async def call(self, stream: Any, name: str, item: Any = None, **options: Any) -> Any:
        """Return what a method of the stream returns: "push" or "tell" an item, "result" or "finish". Raises
        its errors; after a NotFinite the stream has begun anew."""
        return await self._ask(name, stream, item, options).done

    async def push_text(self, stream: Any, text: str) -> list[Any] | None:
        """Push a text in parts and return what the stream's `push` returns, a list or None. Raises its
        errors; the parts before the one that failed were read."""
        parts = [text[start : start + PART_CHARACTERS] for start in range(0, len(text), PART_CHARACTERS)]
        pushed = [await self.call(stream, "push", part) for part in parts or [text]]
        return None if pushed[0] is None else [*chain.from_iterable(pushed)]

    async def run(self, function: Callable[[], Any], stream: Any = None) -> Any:
        """Return what a function returns that uses a stream or the network; nothing else runs beside it."""
        return await self._ask("run", stream, function, {}).done

    async def write(self, stream: Any, **options: Any) -> AsyncIterator[str]:
        """Yield the pieces that a stream writes, with the options of a pool's `write`. If the iteration is
        broken off, so is the writing. Raises the errors of `write`."""
        try:
            await self._ask("write", stream, None, options).done
        except asyncio.CancelledError:  # when it may have begun already
            self._ask("stop", stream, None, {})
            raise
        writer = self._writers[stream] = Writer()
        self._schedule()
        try:
            while (piece := await writer.pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                self._schedule()  # there may be room for the next piece now
        finally:
            if self._writers.get(stream) is writer:
                del self._writers[stream]
                self._ask("stop", stream, None, {})

    def close_all(self) -> None:
        """Accept no more calls; for shutdown."""
        self._thread.shutdown(wait=False)

    def _ask(self, name: str, stream: Any, item: Any, options: dict[str, Any]) -> Call:
        call = Call(name, stream, item, options, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._schedule()
        return call

    def _schedule(self) -> None:
        """Schedule the next tick, after a delay in which other calls can join."""
        if self._timer is None and not self._is_running and (self._waiting or self._ready()):
            loop = asyncio.get_running_loop()
            alone = self._open <= 1 or not self._waiting
            self._timer = loop.call_later(0 if alone else self._seconds, self._begin)

    def _ready(self) -> list[Any]:
        """Return the streams that write and whose clients take the pieces."""
        return [one for one, writer in self._writers.items() if writer.pieces.qsize() < AHEAD_PIECES]

    def _begin(self) -> None:
        self._timer = None
        calls, streams = self._taken(), self._ready()
        if not calls and not streams:
            return
        self._is_running = True
        self._tally.ticks += 1
        self._tally.rows += len(calls) + len(streams)
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._work, calls, streams)
        work.add_done_callback(self._finished)

    def _taken(self) -> list[Call]:
        """Take the first call of every stream, and leave the others for the next tick."""
        taken, left, busy = list[Call](), list[Call](), set[int]()
        for call in self._waiting:
            if call.done.cancelled() and call.name != "close":
                continue
            if call.stream is not None and id(call.stream) in busy:
                left.append(call)
                continue
            busy.add(id(call.stream))
            taken.append(call)
        self._waiting = left
        return taken

    def _work(self, calls: list[Call], writers: list[Any]) -> tuple[Outcomes, Outcomes]:
        """Run the calls, in the pool's thread. Return their outcomes and the next pieces of the writers; an
        exception is an outcome, too."""
        outcomes: Outcomes = []
        together: dict[Any, list[Call]] = {}
        for call in calls:
            if call.name in TOGETHER:
                together.setdefault((call.name, repr(sorted(call.options.items()))), []).append(call)
            else:
                outcomes.append((call, self._one(call)))
        for (name, _), group in together.items():
            outcomes += self._many(name, group)
        pieces = self._answers(lambda: self._pool.pieces([one for one in writers if one in self._pool]))
        return outcomes, [(stream, pieces(stream)) for stream in writers]

    def _one(self, call: Call) -> Any:
        try:
            if call.name == "run":
                return call.item()
            if call.name == "open":
                return self._pool.open(**call.options)
            return getattr(self._pool, call.name)(call.stream, **call.options)
        except Exception as error:
            return error

    def _many(self, name: str, group: list[Call]) -> Outcomes:
        streams = {call.stream: call.item for call in group}
        options = group[0].options
        if name in WITH_ITEMS:
            answers = self._answers(lambda: getattr(self._pool, name)(streams))
        else:
            answers = self._answers(lambda: getattr(self._pool, name)(streams, **options))
        return [(call, answers(call.stream)) for call in group]

    def _answers(self, ask: Callable[[], Any]) -> Callable[[Any], Any]:
        """Return the outcome by stream of a call to the pool; all have the error that the call itself has."""
        try:
            answers = ask()
        except Exception as error:
            problem = error
            return lambda _: problem
        outcomes: dict[Any, Any] = answers.failed | answers.done
        return outcomes.get

    def _finished(self, work: asyncio.Future[tuple[Outcomes, Outcomes]]) -> None:
        self._is_running = False
        outcomes, pieces = work.result()
        for call, value in outcomes:
            _settle(call.done, value)
        for stream, piece in pieces:
            if (writer := self._writers.get(stream)) is not None:
                ended = piece == "" or piece is None or isinstance(piece, Exception)
                if ended:
                    del self._writers[stream]
                writer.pieces.put_nowait(piece or None)
        self._schedule()


def _settle(done: asyncio.Future[Any], value: Any) -> None:
    if done.cancelled():
        return
    if isinstance(value, Exception):
        if not isinstance(value, ElmanError | ApiError):
            failed(value)
        done.set_exception(value)
        with suppress(Exception):
            done.exception()  # looked at, where nobody waits any more
    else:
        done.set_result(value)
