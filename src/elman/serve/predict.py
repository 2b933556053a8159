"""`POST /v1/predict/{model}`: the answers of `elman predict --json` to texts, rows or a CSV."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from elman.serve.answers import ApiError, answer
from elman.serve.bodies import parsed_object, read_body
from elman.serve.loaded import Loaded
from elman.serve.options import PREDICT, TABLE, Kind, checked, checked_fields
from elman.serve.records import plain_value
from elman.serve.waiting import require_client, within_deadline

TABULAR: Final = ("text/csv", "text/tab-separated-values")
ANYTHING: Final = Kind("anything", lambda value: True)  # which is looked at later
FIELDS: Final = {"input": ANYTHING, "options": ANYTHING}
TOGETHER: Final = 32  # texts of a request that are answered before those of the next


async def predict(request: Request) -> Response:
    """Answer every input of a request."""
    shelf, limits = request.app.state.shelf, request.app.state.limits
    entry = shelf[request.path_params["model"]]
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_table = kind in TABULAR
    content = await read_body(request, limits.upload_bytes if is_table else limits.message_bytes)
    if is_table:
        options: Any = {name: _value(text) for name, text in request.query_params.items()}
        data: Any = content
    else:
        body = checked_fields(parsed_object(content), FIELDS)
        data, options = body.get("input"), body.get("options", {})
    chosen = checked(options, entry.task, PREDICT)
    async with within_deadline(request):
        loaded = await entry.loaded()
        answers: list[Any] = []
        for part in await loaded.run(_parts, entry.task, data, kind if is_table else ""):
            await require_client(request)
            answers += await loaded.run(_records, loaded, part, chosen)
    return answer({"model": entry.name, "answers": answers})


def _records(loaded: Loaded, part: Any, options: Mapping[str, Any]) -> list[Any]:
    return [plain_value(one.to_dict()) for one in loaded.model.answers(part, **options)]


def _parts(task: str, data: Any, kind: str) -> list[Any]:
    """Return the input in parts, each of which is answered by itself. No part is a text, as a model would
    take that for the name of a file. Raises ApiError for an input of another kind than the task reads."""
    if task == "transcribe":
        raise ApiError(422, "send recordings to /v1/audio/transcriptions", "input")
    if kind:
        from elman.data.table.table import table_from_bytes

        return [table_from_bytes(data, ".csv" if kind == TABULAR[0] else ".tsv", "the table")]
    if task == "forecast":
        if data is not None and not TABLE.holds(data):
            raise ApiError(
                422, f"input must be {TABLE.phrase}, or null to continue the training data", "input"
            )
        return [data]
    if isinstance(data, str):
        return [[data]]
    if isinstance(data, list) and data and all(isinstance(one, str) for one in data):
        return [data[start : start + TOGETHER] for start in range(0, len(data), TOGETHER)]
    if TABLE.holds(data):
        return [data]
    raise ApiError(422, "input must be a text, a list of texts or a table", "input")


def _value(text: str) -> Any:
    """Return what a parameter of an address says: a number, true, false, or else the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float) else text


ROUTES: list[BaseRoute] = [Route("/v1/predict/{model}", predict, methods=["POST"])]
