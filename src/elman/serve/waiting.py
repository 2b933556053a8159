"""How long a request may take, and whether anybody still waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request


@asynccontextmanager
async def within_deadline(request: Request) -> AsyncIterator[None]:
    """Break off, with TimeoutError, what takes longer than the deadline."""
    async with asyncio.timeout(request.app.state.limits.deadline):
        yield


async def require_client(request: Request) -> None:
    """Raise ClientDisconnect if the client has gone: nobody needs the rest of the work."""
    if await request.is_disconnected():
        raise ClientDisconnect
