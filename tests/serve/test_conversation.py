"""Order, mistakes and the end of a conversation, whatever is said."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.websockets import WebSocket

from elman.errors import NotFinite
from elman.serve.answers import ApiError
from elman.serve.conversation import Conversation
from elman.serve.limits import Limits
from elman.serve.traffic import Traffic


class Echo:
    """Says what it hears, and knows a few words."""

    is_over = is_closed = False

    def greeting(self) -> dict[str, Any]:
        return {"hello": 1}

    async def replies(self, content: str | bytes) -> AsyncIterator[dict[str, Any]]:
        if content == "wrong":
            raise ApiError(422, "that is wrong")
        if content == "broken":
            raise NotFinite
        self.is_over = content == "bye"
        yield {"heard": content}

    def refusal(self, error: ApiError) -> dict[str, Any]:
        return {"error": error.message}

    def ending(self, seconds: float) -> dict[str, Any]:
        return {"ending": seconds}

    def interrupts(self, content: str | bytes) -> bool:
        return content == "ignored"

    def close(self) -> None:
        self.is_closed = True


def conversation(messages: list[str], **limits: Any) -> tuple[list[str], int | None]:
    """Return what a client hears that says these messages, and the code with which it is closed."""
    heard, codes, traffic, talk = list[str](), list[int](), Traffic(), Echo()
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        message = next(waiting, None)
        if message is None:
            await asyncio.sleep(5)
        if message == "SIGTERM":
            traffic.end(3)
            await asyncio.sleep(0.05)
        return {"type": "websocket.receive", "text": message}

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            heard.append(message["text"])
        elif message["type"] == "websocket.close":
            codes.append(message["code"])

    async def talked() -> None:
        state = SimpleNamespace(limits=Limits(**limits), traffic=traffic)
        scope = {"type": "websocket", "app": SimpleNamespace(state=state)}
        connecting = iter([{"type": "websocket.connect"}])

        async def first_connect() -> Any:
            return next(connecting, None) or await receive()

        websocket = WebSocket(scope, first_connect, send)
        await websocket.accept()
        await Conversation(websocket, talk).run()

    asyncio.run(talked())
    assert talk.is_closed
    return heard, codes[0] if codes else None


def test_answers_come_in_order_until_the_session_is_over() -> None:
    heard, code = conversation(["a", "ignored", "wrong", "b", "bye", "c"])
    assert heard == [
        *('{"hello": 1}', '{"heard": "a"}', '{"error": "that is wrong"}', '{"heard": "b"}'),
        '{"heard": "bye"}',
    ]
    assert code == 1000


def test_ten_mistakes_in_a_row_end_it() -> None:
    heard, code = conversation([*["wrong"] * 9, "a", *["wrong"] * 10, "a"])
    assert heard[-1] == '{"error": "10 messages in a row were wrong"}' and code == 1008
    assert len(heard) == 1 + 9 + 1 + 10 + 1


def test_silence_ends_it() -> None:
    heard, code = conversation(["a"], idle=0.05)
    assert heard[-1] == '{"error": "nothing came for 0.05 seconds"}' and code == 1008


def test_a_state_that_is_not_finite_ends_it() -> None:
    heard, code = conversation(["broken", "a"])
    assert len(heard) == 2 and "error" in heard[1] and code == 1011


def test_a_message_that_is_too_long() -> None:
    heard, _ = conversation(["x" * 1025, "bye"], message_bytes=1024)
    assert heard[1:] == ['{"error": "a message has more than 1024 bytes"}', '{"heard": "bye"}']


@pytest.mark.parametrize("seconds", [3])
def test_the_end_of_the_server_is_announced(seconds: float) -> None:
    heard, _ = conversation(["a", "SIGTERM", "bye"])
    assert f'{{"ending": {seconds}}}' in heard
