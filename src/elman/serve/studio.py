"""What the page asks beside predictions and live sessions: a look inside a model, a forecast to draw, and the
trainings of this machine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from elman.serve.answers import ApiError, answer, encode
from elman.serve.bodies import read_object
from elman.serve.loaded import Loaded
from elman.serve.options import TABLE
from elman.serve.runs import Metrics, Runs, told
from elman.serve.waiting import require_client, within_deadline
from elman.training.announced import Announced, is_alive

MAX_TEXTS: Final = 32
MAX_VIEWS: Final = 8
MAX_CHART_BYTES: Final = 8 << 20  # of JSON, which holds up the server while it is parsed
FOLLOW_SECONDS: Final = 0.5  # between two looks at the metrics of a training
SILENT_LOOKS: Final = 20  # after which a comment keeps the connection open
CLIENT_SECONDS: Final = 0.25  # between two looks at whether the client waits
RUNS: Final = Runs()
_LOOKS: Final = ThreadPoolExecutor(1, "elman-look")

_copies: WeakKeyDictionary[Loaded, Any] = WeakKeyDictionary()
_waiting: set[asyncio.Future[Any]] = set()
R = TypeVar("R")


async def look(request: Request) -> Response:
    """Return what some views of the lens show of a model and an input."""
    entry = request.app.state.shelf[request.path_params["model"]]
    body = await read_object(request, request.app.state.limits.message_bytes)
    given, views = _checked_input(entry.task, body.get("input")), body.get("views")
    if not isinstance(views, list) or not views or not all(isinstance(view, str) for view in views):
        raise ApiError(422, "views must be a list of names of views", "views")
    if len(views) > MAX_VIEWS:
        raise ApiError(422, f"views must be at most {MAX_VIEWS}", "views")
    async with within_deadline(request):
        loaded = await entry.loaded()
        seen = await _in_turn(request, partial(_look, loaded, given, views))
    return answer({"model": entry.name} | seen)


async def _in_turn(request: Request, work: Callable[[], R]) -> R:
    """Do what takes long in the thread for looks, apart from the answers; it is not begun if the
    client has gone. Raises ApiError if too much waits."""
    if len(_waiting) >= request.app.state.limits.queue:
        raise ApiError(429, f"{len(_waiting)} looks wait already: try again later")
    running = asyncio.get_running_loop().run_in_executor(_LOOKS, work)
    _waiting.add(running)
    try:
        while not running.done():
            await asyncio.wait([running], timeout=CLIENT_SECONDS)
            await require_client(request)
        return running.result()
    finally:
        running.cancel()
        _waiting.discard(running)


def _look(loaded: Loaded, given: Any, views: list[str]) -> dict[str, Any]:
    from elman.serve.looking import look as seen  # brings PyTorch

    if loaded not in _copies:
        # the lens asks parameters for gradients, and sessions run beside it
        _copies[loaded] = replace(loaded.model, network=deepcopy(loaded.model.network))
    return seen(_copies[loaded], given, views)


def _checked_input(task: str, given: Any) -> Any:
    """Return an input as the task's `view` takes it: never a text alone, which may be the name of a file.
    Raises ApiError for another kind."""
    if task == "transcribe":
        raise ApiError(422, "a look takes texts and tables, not the sound of a transcriber", "input")
    if task == "forecast":
        if given is not None and not TABLE.holds(given):
            raise ApiError(422, f"input must be {TABLE.phrase}, or null for the training data", "input")
        return given
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ApiError(422, "input must be a text or a list of texts", "input")
    if len(texts) > MAX_TEXTS:
        raise ApiError(422, f"input must be at most {MAX_TEXTS} texts", "input")
    return [{"role": "user", "content": texts[0]}] if task == "chat" else texts


async def chart(request: Request) -> Response:
    """Return a forecast to draw: of a CSV, or of what follows the training data."""
    entry = request.app.state.shelf[request.path_params["model"]]
    if entry.task != "forecast":
        raise ApiError(422, f"a chart is of forecasts: {entry.name!r} is a {entry.task!r} model", "model")
    body = await read_object(request, min(request.app.state.limits.upload_bytes, MAX_CHART_BYTES))
    csv, series, future = (body.get(name) for name in ("csv", "series", "future"))
    for name, value in (("csv", csv), ("series", series)):
        if value is not None and not isinstance(value, str):
            raise ApiError(422, f"{name} must be a text or null, not {type(value).__name__}", name)
    if future is not None and not TABLE.holds(future):
        raise ApiError(422, f"future must be {TABLE.phrase}, or null", "future")
    async with within_deadline(request):
        loaded = await entry.loaded()
        return answer({"model": entry.name} | await loaded.run(_chart, loaded, csv, series, future))


def _chart(loaded: Loaded, csv: str | None, series: str | None, future: Any) -> dict[str, Any]:
    from elman.data.table.table import table_from_bytes

    table = None if csv is None else table_from_bytes(csv.encode(), ".csv", "the table")
    drawn: dict[str, Any] = loaded.model.chart(table, series=series, future=future)
    return drawn


async def runs(_: Request) -> Response:
    """List the trainings of this machine."""
    return answer(await asyncio.to_thread(lambda: [told(one) for one in RUNS.all()]))


async def events(request: Request) -> Response:
    """Send the metrics of a training from the first on, and then as they come, as server-sent events."""
    one = await _found(request)
    return StreamingResponse(_followed(one), media_type="text/event-stream")


async def _followed(one: Announced) -> AsyncIterator[bytes]:
    metrics, silent = Metrics(one.folder), 0
    while True:
        alive = await asyncio.to_thread(is_alive, one)
        anew, lines = await asyncio.to_thread(metrics.more)
        if lines or not alive:
            message = {"anew": anew, "lines": lines} | ({} if alive else {"alive": False})
            yield b"data: " + encode(message) + b"\n\n"
        elif (silent := silent + 1) % SILENT_LOOKS == 0:
            yield b": it goes on\n\n"
        if not alive:
            return
        await asyncio.sleep(FOLLOW_SECONDS)


async def stop(request: Request) -> Response:
    """Ask a training to end and to keep its best model."""
    one = await _found(request)
    if not await asyncio.to_thread(one.stop):
        raise ApiError(422, f"the training {one.name!r} has ended already")
    return answer({"id": one.id, "stopping": True})


async def _found(request: Request) -> Announced:
    one = await asyncio.to_thread(RUNS.find, request.path_params["run"])
    if one is None:
        raise ApiError(404, "there is no such training on this machine", "run")
    return one


ROUTES: list[BaseRoute] = [
    Route("/v1/look/{model}", look, methods=["POST"]),
    Route("/v1/chart/{model}", chart, methods=["POST"]),
    Route("/v1/runs", runs),
    Route("/v1/runs/{run}/events", events),
    Route("/v1/runs/{run}/stop", stop, methods=["POST"]),
]
