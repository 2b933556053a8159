"""The bodies of requests → values, within the limits."""

import json
import re
from typing import Any, Final, NoReturn

from starlette.requests import Request

from elman.serve.answers import ApiError

SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request. Raises ApiError if it has more bytes than `most`."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise ApiError(413, f"the body has more than {most} bytes, which this server takes at most")
    return bytes(content)


async def read_object(request: Request, most: int) -> dict[str, Any]:
    """Return the JSON object that a request sent. Raises ApiError for anything else."""
    return parsed_object(await read_body(request, most))


def parsed_object(content: bytes | str) -> dict[str, Any]:
    """Return a JSON object. Raises ApiError for anything else, also for numbers that JSON doesn't have and
    for text that Unicode doesn't have."""
    try:
        text = content if isinstance(content, str) else content.decode()
        value = json.loads(text, parse_constant=_refuse)
        if SURROGATE.search(text):  # halves of a pair, which are harmless, or a half alone
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else f"not valid ({error})"
        if isinstance(error, UnicodeError):
            reason = "not UTF-8, or holds a half of a surrogate pair"
        raise ApiError(400, f"the JSON is {reason:.200}") from None
    if not isinstance(value, dict):
        raise ApiError(400, f"the JSON must be an object, not {type(value).__name__}")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")
