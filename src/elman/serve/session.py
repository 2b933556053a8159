"""A live session: a stream in a model's pool, and the commands that a client gives it."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from elman.serve.answers import ApiError, encode
from elman.serve.bodies import parsed_object
from elman.serve.limits import Limits
from elman.serve.loaded import Loaded
from elman.serve.options import OPEN, RESULT, WRITE, checked
from elman.serve.pcm import samples_of
from elman.serve.records import plain_value
from elman.serve.shelf import Entry
from elman.serve.ticker import PART_CHARACTERS
from elman.serve.time_limit import TimeLimit
from elman.settings import is_number

Reply = dict[str, Any]
LINE: Final = b"\n"  # between the options of a saved session and its state
MARGIN: Final = 100  # bytes of a message around the state
IN_PARTS: Final = ("classify", "generate")  # tasks whose streams read a text in parts as they read it whole
MAX_COVARIATES: Final = 1000  # of a step that is pushed


class Session:
    """A stream of a model that a client holds. It begins with "open", or with the first other command."""

    def __init__(self, entry: Entry, loaded: Loaded, limits: Limits) -> None:
        """Raises ApiError for a model that can't stream."""
        self._name, self._task, self._loaded, self._limits = entry.name, entry.task, loaded, limits
        self._ticker = loaded.ticker
        self._stream: Any = None
        self._options: dict[str, Any] = {}  # with which it was opened
        self._stopping = asyncio.Event()
        self._beside_pool: asyncio.Future[Any] | None = None
        self.is_writing = False
        self._commands: dict[str, Callable[[Any], AsyncIterator[Reply]]] = {
            "open": self._open,
            "push": self._push,
            "result": self._result,
            "write": self._write,
            "stop": self._stop,
            "why": self._why,
            "finish": self._finish,
            "reset": self._reset,
            "save": self._save,
            "load": self._load,
        }

    def close(self) -> None:
        """Free the row."""
        if self._stream is not None:
            self._ticker.close(self._stream)
            self._stream = None

    def stop(self) -> None:
        """Stop the generation."""
        self._stopping.set()

    async def answers(self, message: dict[str, Any]) -> AsyncIterator[Reply]:
        """Handle a message and yield the replies. Raises ApiError for an invalid message, the errors of the
        stream, and TimeoutError."""
        if len(message) != 1 or (name := next(iter(message))) not in self._commands:
            listed = ", ".join(self._commands)
            raise ApiError(422, f"a message is an object with one of {listed}, beside an id")
        if self._beside_pool is not None:  # it is still at work on the stream, if it took too long
            with TimeLimit(self._limits.deadline):
                await asyncio.wait([self._beside_pool])
            self._beside_pool = None
        if name not in ("open", "load") and self._stream is None:
            await self._begin({})
        async for reply in self._commands[name](message[name]):
            yield reply

    async def _begin(self, options: dict[str, Any]) -> None:
        with TimeLimit(self._limits.deadline):
            self._stream = await self._ticker.open(**options)
        self._options = options

    async def _open(self, options: Any) -> AsyncIterator[Reply]:
        chosen = checked(options, self._task, OPEN)
        self.close()
        await self._begin(chosen)
        yield {"opened": {"model": self._name, "task": self._task}}

    async def _push(self, item: Any) -> AsyncIterator[Reply]:
        checked_item = _item(self._task, item)
        if self._task in IN_PARTS:
            with TimeLimit(self._limits.deadline):
                pushed = await self._ticker.push_text(self._stream, checked_item)
        elif self._task == "chat" and len(checked_item) > PART_CHARACTERS:
            pushed = await self._beside(self._stream.push, checked_item)
        else:
            pushed = await self._call("push", checked_item)
        yield {"pushed": self._heard(pushed) if self._task == "transcribe" else plain_value(pushed)}

    async def _finish(self, options: Any) -> AsyncIterator[Reply]:
        checked(options, self._task, {})
        if self._task != "transcribe":
            raise ApiError(422, f"the streams of a {self._task!r} model have no end: use result", "finish")
        yield {"finished": self._heard(await self._call("finish"))}

    def _heard(self, words: Any) -> Reply:
        """Return the reply to a push of speech."""
        stream = self._stream
        return {
            "words": plain_value(words),
            "tentative": stream.tentative,
            "utterance": stream.utterances,
        }

    async def _result(self, options: Any) -> AsyncIterator[Reply]:
        result = await self._call("result", **checked(options, self._task, RESULT))
        yield {"result": plain_value(result)}

    async def _write(self, options: Any) -> AsyncIterator[Reply]:
        if self._task not in WRITE:
            raise ApiError(422, f"the streams of a {self._task!r} model write no text: use result", "write")
        chosen = checked(options, self._task, WRITE)
        self._stopping.clear()
        self.is_writing, reason = True, "end"
        pieces = self._ticker.write(self._stream, **chosen)
        try:
            while True:
                with TimeLimit(self._limits.deadline):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                yield {"piece": piece}
                if self._stopping.is_set():
                    reason = "stopped"
                    break
        finally:
            self.is_writing = False
            await pieces.aclose()  # type: ignore[attr-defined]
        yield {"written": {"reason": reason}}

    async def _stop(self, _: Any) -> AsyncIterator[Reply]:
        """Reply to a stop after the generation has ended."""
        yield {"written": {"reason": "stopped"}}

    async def _why(self, options: Any) -> AsyncIterator[Reply]:
        checked(options, self._task, {})
        if self._task != "chat":
            raise ApiError(422, f"why is for chat: use /v1/look for a {self._task!r} model", "why")
        yield {"why": plain_value(await self._run(self._stream.why))}

    async def _reset(self, options: Any) -> AsyncIterator[Reply]:
        checked(options, self._task, {})
        await self._run(self._stream.reset)
        yield {"reset": None}

    async def _save(self, options: Any) -> AsyncIterator[Reply]:
        checked(options, self._task, {})
        state = await self._run(self._stream.to_bytes)
        text = b64encode(encode(self._options) + LINE + state).decode()
        if len(text) + MARGIN > self._limits.message_bytes:
            raise ApiError(413, f"the state has {len(text)} bytes, too many to load in one message", "save")
        yield {"saved": text}

    async def _load(self, text: Any) -> AsyncIterator[Reply]:
        """Continue a saved session. The present one is kept until the state has been validated."""
        options, state = self._opened_and_state(text)
        with TimeLimit(self._limits.deadline):
            stream = await self._ticker.open(**options)
            try:
                await self._loaded.run(stream.from_bytes, state)
            except BaseException:
                self._ticker.close(stream)
                raise
        self.close()
        self._stream, self._options = stream, options
        yield {"loaded": {"model": self._name, "task": self._task}}

    def _opened_and_state(self, text: Any) -> tuple[dict[str, Any], bytes]:
        """Return the options and the state of a saved session."""
        try:
            options, line, state = b64decode(text, validate=True).partition(LINE)
        except (ValueError, TypeError):
            line = b""
        if not line:
            raise ApiError(422, "load takes what save has answered, in base64", "load")
        return checked(parsed_object(options), self._task, OPEN), state

    async def _call(self, name: str, item: Any = None, **options: Any) -> Any:
        with TimeLimit(self._limits.deadline):
            return await self._ticker.call(self._stream, name, item, **options)

    async def _beside(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call what takes long in the thread for whole requests, while other sessions go on."""
        self._beside_pool = asyncio.ensure_future(self._loaded.run(function, *args))
        with TimeLimit(self._limits.deadline):
            return await asyncio.shield(self._beside_pool)

    async def _run(self, function: Callable[[], Any]) -> Any:
        with TimeLimit(self._limits.deadline):
            return await self._ticker.run(function, self._stream)


def _item(task: str, item: Any) -> Any:
    """Return what a stream's `push` takes. Raises ApiError for another kind of value."""
    if task == "transcribe":
        return samples_of(item)
    if task == "forecast":
        if item is None or is_number(item):
            return item
        if isinstance(item, dict) and "value" in item and len(item) <= MAX_COVARIATES:
            return item
        raise ApiError(422, "push takes a number, null, or an object with a value and more by name", "push")
    if not isinstance(item, str):
        raise ApiError(422, f"push takes a text, not {type(item).__name__}", "push")
    return item
