"""Server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from elman.serve.answers import as_error, encode


class EventStream(StreamingResponse):
    """A response of server-sent events: JSON values, or words as they are.

    An error on the way is told as an event, and ends the stream. When the client goes away, the events are
    closed at once, and their sources, which are open even if no event was asked for.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[dict[str, Any] | str, None], *sources: AsyncGenerator[Any, None]
    ) -> None:
        self._open: list[AsyncGenerator[Any, None]] = [events, *sources]
        self._events = events
        super().__init__(self._lines(), headers={"cache-control": "no-store", "x-accel-buffering": "no"})

    async def _lines(self) -> AsyncIterator[bytes]:
        try:
            async for event in self._events:
                yield b"data: " + (event.encode() if isinstance(event, str) else encode(event)) + b"\n\n"
        except Exception as error:
            yield b"data: " + encode({"error": as_error(error).body()}) + b"\n\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            for one in self._open:
                await one.aclose()
