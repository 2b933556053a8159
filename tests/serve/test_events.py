"""Server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from elman.errors import UsageError
from elman.serve.events import EventStream


def sent(events: AsyncGenerator[dict[str, Any] | str, None], *sources: Any, fail_after: int = 100) -> bytes:
    """Return what is sent to a client, which goes away after some parts."""
    parts: list[bytes] = []
    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}

    async def send(message: Any) -> None:
        if len(parts) == fail_after:
            raise OSError
        parts.append(message.get("body", b""))

    async def receive() -> Any:
        raise AssertionError

    asyncio.run(EventStream(events, *sources)(scope, receive, send))
    return b"".join(parts)


def test_values_and_words_are_lines() -> None:
    async def events() -> AsyncGenerator[dict[str, Any] | str]:
        yield {"a": "é\n"}
        yield "[DONE]"

    assert sent(events()) == 'data: {"a": "é\\n"}\n\ndata: [DONE]\n\n'.encode()


def test_an_error_on_the_way_is_an_event() -> None:
    async def events() -> AsyncGenerator[dict[str, Any] | str]:
        yield {"a": 1}
        raise UsageError("wrong")

    assert sent(events()).endswith(
        b'data: {"error": {"message": "wrong", "type": "invalid_request_error", "param": null, '
        b'"code": "invalid_value"}}\n\n'
    )


def test_the_events_are_closed_when_the_client_goes_away() -> None:
    closed = []

    async def events() -> AsyncGenerator[dict[str, Any] | str]:
        try:
            while True:
                yield {"a": 1}
        finally:
            closed.append(True)

    with pytest.raises(ClientDisconnect):
        sent(events(), fail_after=3)
    assert closed


def test_the_source_is_closed_even_if_nothing_was_sent() -> None:
    closed = []

    async def source() -> AsyncGenerator[str, None]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(True)

    async def answered() -> None:
        pieces = source()
        assert await anext(pieces) == "a"

        async def events() -> AsyncGenerator[dict[str, Any] | str, None]:
            async for piece in pieces:
                yield piece

        async def gone(_: Any) -> None:
            raise ConnectionError

        scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
        with pytest.raises(ClientDisconnect):
            await EventStream(events(), pieces)(scope, gone, gone)  # type: ignore[arg-type]
        assert closed

    asyncio.run(answered())
