"""Deadlines of requests, and whether their clients are still connected."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request


@asynccontextmanager
async def within_deadline(request: Request) -> AsyncIterator[None]:
    """Raise TimeoutError if the block takes longer than the deadline."""
    async with asyncio.timeout(request.app.state.limits.deadline):
        yield


async def require_client(request: Request) -> None:
    """Raise ClientDisconnect if the client has disconnected, so that the rest need not be computed."""
    if await request.is_disconnected():
        raise ClientDisconnect
