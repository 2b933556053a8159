"""Server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from elman.errors import UsageError
from elman.serve.events import EventStream


def sent(events: AsyncIterator[dict[str, Any] | str], fail_after: int = 100) -> bytes:
    """Return what is sent to a client, which goes away after some parts."""
    parts: list[bytes] = []

    async def send(message: Any) -> None:
        if len(parts) == fail_after:
            raise ConnectionError
        parts.append(message.get("body", b""))

    asyncio.run(EventStream(events).stream_response(send))
    return b"".join(parts)


def test_values_and_words_are_lines() -> None:
    async def events() -> AsyncIterator[dict[str, Any] | str]:
        yield {"a": "é\n"}
        yield "[DONE]"

    assert sent(events()) == 'data: {"a": "é\\n"}\n\ndata: [DONE]\n\n'.encode()


def test_an_error_on_the_way_is_an_event() -> None:
    async def events() -> AsyncIterator[dict[str, Any] | str]:
        yield {"a": 1}
        raise UsageError("wrong")

    assert sent(events()).endswith(
        b'data: {"error": {"message": "wrong", "type": "invalid_request_error", "param": null, '
        b'"code": "invalid_value"}}\n\n'
    )


def test_the_events_are_closed_when_the_client_goes_away() -> None:
    closed = []

    async def events() -> AsyncIterator[dict[str, Any] | str]:
        try:
            while True:
                yield {"a": 1}
        finally:
            closed.append(True)

    with pytest.raises(ConnectionError):
        sent(events(), fail_after=3)
    assert closed
