"""`/health`, `/ready` and `/metrics`, for monitoring."""

import os
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from elman.serve.answers import ApiError, answer
from elman.serve.shelf import Shelf
from elman.serve.traffic import BUCKETS, Traffic
from elman.version import __version__

STATM: Final = Path("/proc/self/statm")  # on Linux


async def health(_: Request) -> Response:
    """Report that the server is running."""
    return answer({"status": "ok", "version": __version__})


async def ready(request: Request) -> Response:
    """Report whether the server accepts requests."""
    if request.app.state.traffic.ending.is_set():
        raise ApiError(503, "this server is ending", code="ending")
    return answer({"status": "ready"})


async def metrics(request: Request) -> Response:
    """Return the metrics of this process in Prometheus' text format."""
    state = request.app.state
    lines = [*_requests(state.traffic), *_models(state.shelf), *_process(), ""]
    return Response("\n".join(lines), media_type="text/plain; version=0.0.4")


def _metric(name: str, kind: str, help: str, values: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a metric, whose values are by what follows its name."""
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values.items():
        yield f"{name}{labels} {value}"


def _requests(traffic: Traffic) -> Iterator[str]:
    yield from _metric("elman_info", "gauge", "Version.", {f'{{version="{__version__}"}}': 1})
    counts = {f'{{route="{r}",status="{s}"}}': n for (r, s), n in sorted(traffic.requests.items())}
    yield from _metric("elman_requests_total", "counter", "Requests answered.", counts)
    yield from _metric("elman_open_requests", "gauge", "Requests and websockets.", {"": traffic.open})
    yield from _metric("elman_uploads", "gauge", "Large bodies.", {"": traffic.uploads})
    times: dict[str, Any] = {}
    for route, (buckets, total) in sorted(traffic.seconds.items()):
        for bound, count in zip([*BUCKETS, "+Inf"], accumulate(buckets), strict=True):
            times[f'_bucket{{route="{route}",le="{bound}"}}'] = count
        times[f'_sum{{route="{route}"}}'] = f"{total:.6f}"
        times[f'_count{{route="{route}"}}'] = sum(buckets)
    yield from _metric("elman_request_seconds", "histogram", "Time to the end of an answer.", times)


def _models(shelf: Shelf) -> Iterator[str]:
    entries = list(shelf)

    def each(values: list[Any]) -> dict[str, Any]:
        return {f'{{model="{one.name}"}}': v for one, v in zip(entries, values, strict=True)}

    rows = (
        ("elman_model_loaded", "gauge", "Is in memory.", [int(one.is_loaded) for one in entries]),
        ("elman_sessions", "gauge", "Open sessions.", [one.tally.sessions for one in entries]),
        ("elman_waiting", "gauge", "Whole requests that wait.", [one.waiting for one in entries]),
        ("elman_ticks_total", "counter", "Calls of the pool.", [one.tally.ticks for one in entries]),
        ("elman_rows_total", "counter", "Sessions in these calls.", [one.tally.rows for one in entries]),
    )
    for name, kind, help, values in rows:
        yield from _metric(name, kind, help, each(values))


def _process() -> Iterator[str]:
    times = os.times()
    cpu = {"": f"{times.user + times.system:.2f}"}
    yield from _metric("process_cpu_seconds_total", "counter", "User and system time.", cpu)
    yield from _metric("process_id", "gauge", "Which of several workers this is.", {"": os.getpid()})
    if STATM.exists():
        memory = {"": int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")}
        yield from _metric("process_resident_memory_bytes", "gauge", "Resident memory.", memory)
    yield from _metric("process_time_seconds", "gauge", "Clock of the server.", {"": f"{time.time():.3f}"})


ROUTES: list[BaseRoute] = [
    Route("/health", health),
    Route("/ready", ready),
    Route("/metrics", metrics),
]
