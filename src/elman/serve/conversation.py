"""The message loop of a websocket, whatever its protocol."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from elman.errors import NotFinite
from elman.serve.answers import ApiError, as_error, encode
from elman.serve.limits import Limits
from elman.serve.time_limit import TimeLimit
from elman.serve.traffic import Traffic

AHEAD_MESSAGES: Final = 2  # of a client that are read before the one before them is answered
MAX_MISTAKES: Final = 10  # in a row, after which a session is closed
# Codes with which a websocket is closed.
DONE, POLICY, FAILED = 1000, 1008, 1011
Reply = dict[str, Any]


class Talk(Protocol):
    """Handles the messages of one websocket in one protocol."""

    @property
    def is_over(self) -> bool:
        """Whether the last message has ended the session."""

    def greeting(self) -> Reply | None:
        """Return the first message to the client, if the protocol has one."""

    def replies(self, content: str | bytes) -> AsyncIterator[Reply]:
        """Handle a message and yield the replies. Raises ApiError for an invalid message, the errors of the
        stream, and TimeoutError."""

    def refusal(self, error: ApiError) -> Reply:
        """Return the reply to an invalid message."""

    def ending(self, seconds: float) -> Reply | None:
        """Return the message that announces that the server shuts down in so many seconds."""

    def interrupts(self, content: str | bytes) -> bool:
        """Handle a message at once if it may overtake the one before it. Return whether it was handled."""

    def close(self) -> None:
        """Free the session's row."""


class Conversation:
    """Reads messages, passes them to a `Talk` and sends its replies, in order."""

    def __init__(self, websocket: WebSocket, talk: Talk) -> None:
        self._websocket, self._talk = websocket, talk
        self._limits: Limits = websocket.app.state.limits
        self._messages: asyncio.Queue[str | bytes] = asyncio.Queue(AHEAD_MESSAGES)
        self._is_answering, self._mistakes = False, 0

    async def run(self) -> None:
        """Run until the connection closes; then free the session's row at once."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._answer_all())]
        warning = asyncio.create_task(self._warn())
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks.append(warning)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._talk.close()
        for task in done:
            with suppress(WebSocketDisconnect, asyncio.CancelledError):
                task.result()

    async def _warn(self) -> None:
        """Tell the client when the server shuts down."""
        traffic: Traffic = self._websocket.app.state.traffic
        await traffic.ending.wait()
        if (reply := self._talk.ending(traffic.seconds_left)) is not None:
            await self._send(reply)

    async def _read(self) -> None:
        """Queue incoming messages. A full queue stops reading, which holds back the client."""
        while True:
            try:
                with TimeLimit(self._limits.idle):
                    message = await self._websocket.receive()
            except TimeoutError:
                if self._is_answering:
                    continue
                idle = ApiError(422, f"nothing came for {self._limits.idle:g} seconds", code="idle")
                await self._end(idle, POLICY)
                return
            if message["type"] == "websocket.disconnect":
                return
            content = message.get("text")
            content = message.get("bytes") if content is None else content
            assert isinstance(content, str | bytes)
            if not self._talk.interrupts(content):
                await self._messages.put(content)

    async def _answer_all(self) -> None:
        if (greeting := self._talk.greeting()) is not None:
            await self._send(greeting)
        while self._mistakes < MAX_MISTAKES:
            content = await self._messages.get()
            self._is_answering = True
            try:
                await self._answer(content)
            except NotFinite as error:
                await self._end(error, FAILED)
                return
            self._is_answering = False
            if self._talk.is_over:
                await self._close(DONE)
                return
        await self._end(ApiError(422, f"{MAX_MISTAKES} messages in a row were wrong"), POLICY)

    async def _answer(self, content: str | bytes) -> None:
        """Reply to a message, or refuse it if it is invalid."""
        try:
            if len(content) > self._limits.message_bytes:
                raise ApiError(413, f"a message has more than {self._limits.message_bytes} bytes")
            async for reply in self._talk.replies(content):
                await self._send(reply)
        except (NotFinite, WebSocketDisconnect):
            raise
        except Exception as error:
            self._mistakes += 1
            await self._send(self._talk.refusal(as_error(error)))
        else:
            self._mistakes = 0

    async def _send(self, reply: Reply) -> None:
        with TimeLimit(self._limits.idle):  # of a client that does not read
            await self._websocket.send_text(encode(reply).decode())

    async def _end(self, error: Exception, code: int) -> None:
        """Send an error and close the websocket."""
        with suppress(WebSocketDisconnect, TimeoutError):
            if self._websocket.application_state == WebSocketState.CONNECTED:
                await self._send(self._talk.refusal(as_error(error)))
            await self._close(code)

    async def _close(self, code: int) -> None:
        with suppress(WebSocketDisconnect, TimeoutError):
            if self._websocket.application_state == WebSocketState.CONNECTED:
                with TimeLimit(self._limits.idle):
                    await self._websocket.close(code)
