"""Websocket `/v1/stream/{model}`: a live session, in JSON. See docs/serving.md for its messages."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from elman.errors import NotFinite
from elman.serve.answers import ApiError, answer_error, as_error, encode
from elman.serve.bodies import parsed_object
from elman.serve.guard import chosen_protocol
from elman.serve.limits import Limits
from elman.serve.session import Session
from elman.serve.traffic import Traffic

AHEAD_MESSAGES: Final = 2  # of a client that are read before the one before them is answered
MAX_MISTAKES: Final = 10  # in a row, after which a session is closed
# Codes with which a websocket is closed.
POLICY, TOO_BIG, FAILED, RESTART, LATER = 1008, 1009, 1011, 1012, 1013


async def stream(websocket: WebSocket) -> None:
    """Hold a session until the client leaves."""
    try:
        entry = websocket.app.state.shelf[websocket.path_params["model"]]
        loaded = await entry.loaded()
        session = Session(entry, loaded, websocket.app.state.limits)
    except Exception as error:
        await websocket.send_denial_response(answer_error(error))
        return
    await websocket.accept(chosen_protocol(websocket))
    await Conversation(websocket, session).run()


class Conversation:
    """The messages of a client and the answers to them, in their order."""

    def __init__(self, websocket: WebSocket, session: Session) -> None:
        self._websocket, self._session = websocket, session
        self._limits: Limits = websocket.app.state.limits
        self._messages: asyncio.Queue[str | bytes] = asyncio.Queue(AHEAD_MESSAGES)
        self._is_answering, self._mistakes = False, 0

    async def run(self) -> None:
        """Answer until the client leaves or has to; then free the session's row at once."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._answer_all())]
        warning = asyncio.create_task(self._warn())
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks.append(warning)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._session.close()
        for task in done:
            with suppress(WebSocketDisconnect, asyncio.CancelledError):
                task.result()

    async def _warn(self) -> None:
        """Tell the client when the server is ending, so that it can save the session."""
        traffic: Traffic = self._websocket.app.state.traffic
        await traffic.ending.wait()
        await self._send({"ending": {"seconds": traffic.seconds_left}})

    async def _read(self) -> None:
        """Take what the client sends; it can send no more while the session is behind."""
        while True:
            try:
                async with asyncio.timeout(self._limits.idle):
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
            if self._session.is_writing and isinstance(content, str) and "stop" in content:
                # at once, and not after what is being written
                with suppress(ApiError):
                    if "stop" in parsed_object(content):
                        self._session.stop()
                        continue
            await self._messages.put(content)

    async def _answer_all(self) -> None:
        while self._mistakes < MAX_MISTAKES:
            content = await self._messages.get()
            self._is_answering = True
            try:
                await self._answer(content)
            except NotFinite as error:
                await self._end(error, FAILED)
                return
            self._is_answering = False
        await self._end(ApiError(422, f"{MAX_MISTAKES} messages in a row were wrong"), POLICY)

    async def _answer(self, content: str | bytes) -> None:
        """Answer a message, also one that is wrong."""
        mark: dict[str, Any] = {}
        try:
            if len(content) > self._limits.message_bytes:
                raise ApiError(413, f"a message has more than {self._limits.message_bytes} bytes")
            if isinstance(content, bytes):
                message: dict[str, Any] = {"push": content}
            else:
                message = parsed_object(content)
                mark = {"id": message.pop("id")} if "id" in message else {}
            async for reply in self._session.answers(message):
                await self._send(reply | mark)
        except (NotFinite, WebSocketDisconnect):
            raise
        except Exception as error:
            self._mistakes += 1
            await self._send({"error": as_error(error).body()} | mark)
        else:
            self._mistakes = 0

    async def _send(self, reply: dict[str, Any]) -> None:
        async with asyncio.timeout(self._limits.idle):  # of a client that does not read
            await self._websocket.send_text(encode(reply).decode())

    async def _end(self, error: Exception, code: int) -> None:
        """Tell the client why, and close."""
        if self._websocket.application_state == WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect, TimeoutError):
                await self._send({"error": as_error(error).body()})
                await self._websocket.close(code)


ROUTES: list[BaseRoute] = [WebSocketRoute("/v1/stream/{model}", stream)]
