"""Server-sent events."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Send

from elman.serve.answers import as_error, encode


class EventStream(StreamingResponse):
    """A response of server-sent events: JSON values, or words as they are.

    An error on the way is told as an event, and ends the stream. When the client goes away, the events are
    closed at once.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[dict[str, Any] | str]) -> None:
        self._events = events
        super().__init__(self._lines(), headers={"cache-control": "no-store", "x-accel-buffering": "no"})

    async def _lines(self) -> AsyncIterator[bytes]:
        try:
            async for event in self._events:
                yield b"data: " + (event.encode() if isinstance(event, str) else encode(event)) + b"\n\n"
        except Exception as error:
            yield b"data: " + encode({"error": as_error(error).body()}) + b"\n\n"

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            await self._events.aclose()  # type: ignore[attr-defined]
