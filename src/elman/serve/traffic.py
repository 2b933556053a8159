"""Count and log requests, and refuse new ones during shutdown."""

import asyncio
import time
import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Mapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from elman.errors import counted
from elman.serve.answers import ApiError, answer_error
from elman.serve.guard import refuse
from elman.serve.log import failed, note

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)  # seconds
ALWAYS: Final = ("/health", "/ready", "/metrics")  # are answered to the end, and not logged
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UPLOAD: Final = "elman.upload"  # in the scope of a request with a large body
OTHER: Final = "other"  # the route of what is not there


class Traffic:
    """Counts of requests and websockets.

    Attributes:
        open: of those that are being answered.
        requests: by route and status.
        uploads: of those whose bodies are larger than a message.
        seconds: by route: how many took at most as long as each of `BUCKETS`, and all; and their sum.
        ending: set when the server takes nothing new.
        seconds_left: that what is open then has.
    """

    def __init__(self) -> None:
        self.open, self.uploads = 0, 0
        self.requests = Counter[tuple[str, int]]()
        self.seconds: dict[str, tuple[list[int], float]] = {}
        self.ending = asyncio.Event()
        self.seconds_left = 0.0

    def end(self, seconds: float) -> None:
        """Accept nothing new; open requests have so many seconds."""
        self.seconds_left = seconds
        self.ending.set()

    def begin_upload(self, scope: Scope, most: int) -> None:
        """Count a request with a large body until it is answered. Raises ApiError if there are too many."""
        if UPLOAD not in scope:
            if self.uploads >= most:
                raise ApiError(429, f"this server takes {counted(most, 'upload')} at a time: try again later")
            self.uploads += 1
            scope[UPLOAD] = True

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self.requests[route, status] += 1
        counts, total = self.seconds.get(route, ([0] * (len(BUCKETS) + 1), 0.0))
        counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds[route] = counts, total + seconds


class Counted:
    """Middleware that counts and logs requests, turns exceptions into responses and refuses new requests
    during shutdown."""

    def __init__(
        self, app: ASGIApp, traffic: Traffic, routes: Mapping[Any, str], models: Container[str]
    ) -> None:
        """`routes` are their names by endpoint, `models` the names that may stand in the log."""
        self._app, self._traffic, self._routes, self._models = app, traffic, routes, models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        name = uuid.uuid4().hex
        status, sent = 0, 0

        async def watched(message: Message) -> None:
            nonlocal status, sent
            match message["type"]:
                case "http.response.start" | "websocket.http.response.start":
                    status = message["status"]
                    MutableHeaders(scope=message)["x-request-id"] = name
                case "websocket.accept":
                    status = 101
                case "websocket.close":
                    status = message.get("code", 1000)
                case "http.response.body":
                    sent += len(message.get("body", b""))
                case "websocket.send":
                    sent += len(message.get("text") or message.get("bytes") or b"")
            await send(message)

        start = time.monotonic()
        self._traffic.open += 1
        try:
            if self._traffic.ending.is_set():
                ending = ApiError(503, "this server is ending: try again later", code="ending")
                await refuse(scope, receive, watched, answer_error(ending))
            else:
                await self._app(scope, receive, watched)
        except Exception as error:
            # Starlette would raise it again, and its message, which may quote a client, would be logged
            if status or scope["type"] == "websocket":
                failed(error)
            else:
                await answer_error(error)(scope, receive, watched)
        finally:
            self._traffic.open -= 1
            self._traffic.uploads -= UPLOAD in scope
            seconds = time.monotonic() - start
            facts = self._facts(scope)
            self._traffic.count(facts["route"], status, seconds)
            note("answered", id=name, status=status, seconds=round(seconds, 4), bytes=sent, **facts)

    def _facts(self, scope: Scope) -> dict[str, str]:
        """Return the fields of a log line. None of them can hold text from a client."""
        endpoint = scope.get("endpoint")
        facts = {"route": OTHER if endpoint is None else self._routes.get(endpoint, OTHER)}
        if scope["type"] == "http" and scope["method"] in METHODS:
            facts["method"] = scope["method"]
        model = scope.get("path_params", {}).get("model")
        return facts | ({"model": model} if model in self._models else {})
