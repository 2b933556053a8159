"""Who may ask: those with the key, from pages of this server alone.

Without a key the server listens on this machine only. Then any web page that its user opens could ask, too,
so that requests are refused which a page of another origin makes, or which came to another name than this
machine's (DNS rebinding).
"""

import hmac
import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from elman.serve.answers import ApiError, answer_error

# How a page, which can't set the headers of a websocket, sends the key; OpenAI's clients do so.
KEY_PROTOCOL: Final = "openai-insecure-api-key."

HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d+)?")  # a name and a port


class Guard:
    """Middleware that refuses requests without the key or from foreign pages."""

    def __init__(
        self, app: ASGIApp, key: str | None, public: Iterable[str], origins: Iterable[str] = ()
    ) -> None:
        """`public` are the paths that need no key over HTTP, `origins` other servers whose pages may ask."""
        self._app, self._key = app, None if key is None else key.encode()
        self._public, self._origins = frozenset(public), frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            self._check_origin(connection.headers)
            if self._key is None:
                _check_host(connection.headers.get("host", ""))
            elif scope["type"] == "websocket" or scope["path"] not in self._public:
                self._check_key(connection)
        except ApiError as error:
            await refuse(scope, receive, send, answer_error(error))
        else:
            await self._app(scope, receive, send)

    def _check_key(self, connection: HTTPConnection) -> None:
        assert self._key is not None
        keys = [key.encode() for key in _keys(connection)]
        # in a time that does not depend on how much of it is right
        if not any(hmac.compare_digest(key, self._key) for key in keys):
            raise ApiError(401, "this server needs its key: send it as Authorization: Bearer KEY")

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is None or origin in self._origins:
            return
        if origin.partition("://")[2] != headers.get("host", ""):
            raise ApiError(403, "a page of another server may not ask here: start elman serve with --origin")


def _keys(connection: HTTPConnection) -> list[str]:
    """Return the keys that a client has sent, in all ways that clients do."""
    header = connection.headers.get("authorization", "")
    kind, _, key = header.partition(" ")
    keys = [key.strip() if kind.lower() == "bearer" else header, connection.headers.get("x-api-key", "")]
    protocols = connection.scope.get("subprotocols", ())
    keys += [one.removeprefix(KEY_PROTOCOL) for one in protocols if one.startswith(KEY_PROTOCOL)]
    return [key for one in keys if one for key in {one, unquote(one)}]


def _check_host(host: str) -> None:
    """Raise ApiError if a request was sent to a name that is not this machine's."""
    name = HOST.fullmatch(host)
    if name is None or not is_local(name[1].strip("[]")):
        raise ApiError(403, "without a key this server answers to localhost alone: start it with --key")


def is_local(name: str) -> bool:
    """Return whether a name or address means this machine alone."""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def chosen_protocol(websocket: WebSocket) -> str | None:
    """Return the subprotocol with which to accept a websocket: the first that is offered and no key."""
    protocols: list[str] = websocket.scope.get("subprotocols", [])
    return next((one for one in protocols if not one.startswith(KEY_PROTOCOL)), None)


async def refuse(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Answer a request, or the handshake of a websocket, with a refusal."""
    if scope["type"] == "websocket":
        await receive()  # the handshake
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)
