"""`elman demo`: six applications and a test of memory, trained in seconds, in one HTML report."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elman.atomic import check_output, replace_file, writing
from elman.errors import UsageError, suggestion
from elman.version import __version__

if TYPE_CHECKING:
    from elman.demo.part import Part

KEYS = ("sentiment", "next-word", "translation", "talk", "speech", "stocks", "weather", "sales", "memory")


def run(
    output: str | Path,
    *,
    only: Sequence[str] = (),
    progress: bool = True,
    quick: bool = False,
    show: Callable[["Part", float], None] | None = None,
) -> dict[str, Any]:
    """Train every part's model on the data that elman ships; write the report.

    Args:
        output: the HTML file to write.
        only: keys of parts, of `KEYS`; all if empty.
        quick: use tiny networks and few sentences. The scores then mean nothing; for tests.
        show: called with each part when it is done, and the seconds that it took.

    Returns:
        Every score of the report, ready for JSON.

    Raises:
        UsageError: there is no such part, or `output` cannot be written.
    """
    for key in only:
        if key not in KEYS:
            advice = suggestion(key, KEYS) or f"; its parts are {', '.join(KEYS)}"
            raise UsageError(f"the demo has no part {key!r}{advice}")
    path, start = Path(output), time.perf_counter()
    check_output(path)  # before the training rather than after it
    # matplotlib and polars are slow to import
    from elman.demo import report

    parts: dict[str, Part] = {}
    seconds: dict[str, float] = {}
    with one_thread():
        for key in (key for key in KEYS if key in (only or KEYS)):
            begin = time.perf_counter()
            parts[key] = _part(key)(progress, quick)
            seconds[key] = round(time.perf_counter() - begin, 1)
            if show is not None:
                show(parts[key], seconds[key])
    result = {
        "version": __version__,
        "cores": os.cpu_count(),
        "parts": {key: part.to_dict() | {"seconds": seconds[key]} for key, part in parts.items()},
        "seconds": round(time.perf_counter() - start, 1),
    }
    page = report.page(result, parts)
    with writing(path, UsageError), replace_file(path) as file:
        file.write(page.encode())
    return result


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch on one thread: on networks this small, two threads mostly wait for each other."""
    import torch  # slow to import

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _part(key: str) -> Callable[[bool, bool], "Part"]:
    from elman.demo import digits, forecasts, next_word, not_good, sentiment, talk, translation

    parts = {
        "sentiment": sentiment.run,
        "next-word": next_word.run,
        "translation": translation.run,
        "talk": talk.run,
        "speech": digits.run,
        "memory": not_good.run,
    }
    return parts.get(key) or partial(forecasts.run, key)
