"""The application: all routes, and what surrounds them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute

from elman.errors import ElmanError
from elman.serve import live, models, openai_text, predict, static, studio, transcriptions
from elman.serve.answers import ApiError, on_error
from elman.serve.headers import Headers
from elman.serve.limits import Limits
from elman.serve.shelf import Shelf

ROUTES: Final[list[BaseRoute]] = [
    *models.ROUTES,
    *openai_text.ROUTES,
    *predict.ROUTES,
    *transcriptions.ROUTES,
    *live.ROUTES,
    *studio.ROUTES,
    *static.ROUTES,
]


def make_app(shelf: Shelf, limits: Limits) -> Starlette:
    """Return the application that serves the models of a shelf."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        for entry in shelf:
            entry.close()

    errors = (ApiError, ElmanError, HTTPException, TimeoutError, ClientDisconnect, Exception)
    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(Headers)],
        exception_handlers=dict.fromkeys(errors, on_error),
        lifespan=lifespan,
    )
    app.state.shelf, app.state.limits = shelf, limits
    return app
