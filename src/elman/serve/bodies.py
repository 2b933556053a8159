"""Read and parse request bodies within the limits."""

import asyncio
import json
import re
from typing import Any, Final, NoReturn

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from elman.serve.answers import ApiError

MAX_FIELDS: Final = 100  # of a form
MAX_FIELD_BYTES: Final = 1 << 16
IN_THE_LOOP_BYTES: Final = 1 << 16  # of JSON that is parsed at once; more is parsed in a thread
SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request. Raises ApiError if it has more bytes than `most`, or more than a message
    while there are too many such uploads; TimeoutError if it takes longer than a session may be idle."""
    content = bytearray()
    async with asyncio.timeout(request.app.state.limits.idle):
        async for part in request.stream():
            content += part
            _require_room(request, len(content), most)
    return bytes(content)


def _require_room(request: Request, count: int, most: int) -> None:
    """Raise ApiError for a body that is too large, or larger than a message while many others are."""
    if count > most:
        raise ApiError(413, f"the body has more than {most} bytes, which this server takes at most")
    state = request.app.state
    if count > state.limits.message_bytes:
        state.traffic.begin_upload(request.scope, state.limits.uploads)


async def read_form(request: Request, most: int) -> FormData:
    """Return the fields and the one file of a form, which the caller has to close. What is large is kept in a
    temporary file. Raises ApiError for no form, a damaged one, and as `read_body` does; TimeoutError as it
    does."""
    count = 0

    async def limited() -> Message:
        nonlocal count
        message = await request.receive()
        count += len(message.get("body", b""))
        _require_room(request, count, most)
        return message

    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ApiError(400, "the body must be a form with a file, as multipart/form-data")
    try:
        async with asyncio.timeout(request.app.state.limits.idle):
            return await Request(request.scope, limited).form(
                max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
            )
    except HTTPException as error:
        raise ApiError(400, f"the form is not valid: {error.detail:.200}") from None


def close_form(form: FormData) -> None:
    """Remove the temporary file of a form, at once, also where a request is broken off."""
    for _, value in form.multi_items():
        if isinstance(value, UploadFile):
            value.file.close()


async def read_object(request: Request, most: int) -> dict[str, Any]:
    """Return the JSON object that a request sent. Raises ApiError for anything else."""
    content = await read_body(request, most)
    if len(content) <= IN_THE_LOOP_BYTES:
        return parsed_object(content)
    return await asyncio.to_thread(parsed_object, content)


def parsed_object(content: bytes | str) -> dict[str, Any]:
    """Return a JSON object. Raises ApiError for anything else, NaN, infinity and lone surrogates included."""
    try:
        text = content if isinstance(content, str) else content.decode()
        value = _DECODER.decode(text)
        if SURROGATE.search(text):  # halves of a pair, which are harmless, or a half alone
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        detail = str(error).partition("; use sys.")[0]  # Python's own advice on long numbers
        reason = "nested too deeply" if isinstance(error, RecursionError) else f"not valid ({detail})"
        if isinstance(error, UnicodeError):
            reason = "not UTF-8, or holds a half of a surrogate pair"
        raise ApiError(400, f"the JSON is {reason:.200}") from None
    if not isinstance(value, dict):
        raise ApiError(400, f"the JSON must be an object, not {type(value).__name__}")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)  # which `json.loads` would make for each text
