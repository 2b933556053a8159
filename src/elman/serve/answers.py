"""Responses as JSON, and errors in the form that OpenAI's clients expect."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response

from elman.atomic import null_if_infinite
from elman.errors import ElmanError, NotFinite
from elman.serve.log import failed

# What `type` and `code` say of a status.
KINDS: Final = {
    400: ("invalid_request_error", "malformed"),
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "forbidden_origin"),
    404: ("invalid_request_error", "not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    413: ("invalid_request_error", "too_large"),
    422: ("invalid_request_error", "invalid_value"),
    429: ("rate_limit_error", "queue_full"),
    500: ("server_error", "internal_error"),
    503: ("server_error", "unavailable"),
}
RETRY_SECONDS: Final = 1
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)  # `dumps` would make one each time
GONE: Final = 499  # the client, which won't read the answer
BROKEN: Final = "the server failed to answer this, which is a mistake of elman: its log says more"


class ApiError(Exception):
    """A refusal: an HTTP status, a sentence, and for programs the parameter and a code."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param = status, message, param
        self.code = code or KINDS[status][1]

    def body(self) -> dict[str, Any]:
        """Return the error object that OpenAI's clients expect."""
        kind, _ = KINDS[self.status]
        return {"message": self.message, "type": kind, "param": self.param, "code": self.code}


def as_error(error: Exception) -> ApiError:
    """Return the error that a client is sent for an exception. A mistake of the server itself is logged, and
    the client only learns that there was one."""
    match error:
        case ApiError():
            return error
        case NotFinite():
            return ApiError(422, str(error), code="not_finite")
        case ElmanError():
            return ApiError(422, str(error))
        case TimeoutError():
            return ApiError(503, "the answer took longer than this server's deadline", code="deadline")
        case HTTPException() if error.status_code in KINDS:
            return ApiError(error.status_code, f"{error.detail}: see /openapi.json for what there is")
        case _:
            failed(error)
            return ApiError(500, BROKEN)


def encode(value: Any) -> bytes:
    """Return JSON. NaN and infinity become null, and lone surrogates are escaped."""
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        return json.dumps(null_if_infinite(value)).encode()
    except ValueError:
        return encode(null_if_infinite(value))


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response of JSON."""
    return Response(encode(value), status, dict(headers or {}), "application/json")


def answer_error(error: Exception) -> Response:
    """Return the response to a request that can't be answered."""
    api_error = as_error(error)
    headers = {"retry-after": str(RETRY_SECONDS)} if api_error.status in (429, 503) else {}
    if api_error.status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, HTTPException):
        headers |= dict(error.headers or {})
    return answer({"error": api_error.body()}, api_error.status, headers)


async def on_error(_: HTTPConnection, error: Exception) -> Response:
    """Return the response for an exception that an endpoint raised."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=GONE)
    return answer_error(error)
