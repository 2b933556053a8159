"""The application: routes and middleware."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute

from elman.errors import ElmanError
from elman.serve import (
    health,
    live,
    models,
    openai_text,
    openapi,
    predict,
    realtime,
    static,
    studio,
    transcriptions,
    vosk,
)
from elman.serve.answers import ApiError, on_error
from elman.serve.guard import Guard
from elman.serve.headers import Headers
from elman.serve.limits import Limits
from elman.serve.shelf import Shelf
from elman.serve.traffic import Counted, Traffic

MODULES: Final = (
    health,
    openapi,
    models,
    openai_text,
    predict,
    transcriptions,
    live,
    vosk,
    realtime,
    studio,
)
ROUTES: Final[list[BaseRoute]] = [route for module in MODULES for route in module.ROUTES]
PAGE: Final = "page"  # the route of its files in numbers and the log
ERRORS: Final = (ApiError, ElmanError, HTTPException, TimeoutError, ClientDisconnect)
ASKED_HEADERS: Final = ("authorization", "content-type", "x-api-key")  # that pages of other servers may set


def make_app(shelf: Shelf, limits: Limits, key: str | None = None, origins: Sequence[str] = ()) -> Starlette:
    """Return the application that serves the models of a shelf.

    Args:
        key: what clients have to send; without one, they have to be on this machine.
        origins: addresses of other servers whose pages may ask.
    """
    traffic, routes = Traffic(), [*ROUTES, *static.ROUTES]
    pages: list[Any] = static.ROUTES
    names = {route.endpoint: PAGE if route in pages else route.path for route in [*routes]}  # type: ignore[attr-defined]
    public = ["/health", "/ready", "/openapi.json", *(route.path for route in pages)]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # PyTorch loads slowly: not only when somebody waits for it
        warming = asyncio.create_task(asyncio.to_thread(import_module, "elman.tasks.task"))
        yield
        await warming
        for entry in shelf:
            entry.close()

    # before the key is asked for, which browsers do not send when they ask whether they may
    sharing = Middleware(
        CORSMiddleware, allow_origins=origins, allow_methods=("GET", "POST"), allow_headers=ASKED_HEADERS
    )
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Headers),
            Middleware(Counted, traffic=traffic, routes=names, models=shelf),
            *([sharing] if origins else []),
            Middleware(Guard, key=key, public=public, origins=origins),
        ],
        exception_handlers=dict.fromkeys(ERRORS, on_error),
        lifespan=lifespan,
    )
    app.state.shelf, app.state.limits, app.state.traffic = shelf, limits, traffic
    return app
