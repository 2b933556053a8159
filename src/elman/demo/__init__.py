"""`elman demo`: the main job on real figures, and a test of memory, in one HTML report."""

import os
import time
from pathlib import Path
from typing import Any

from elman.atomic import replace_file, writing
from elman.errors import UsageError
from elman.version import __version__


def run(output: str | Path, *, progress: bool = True, quick: bool = False) -> dict[str, Any]:
    """Train on stocks, weather, sales and the memory task; write the report.

    Args:
        output: the HTML file to write.
        quick: tiny networks and few sentences: to try the machinery, not to be believed.

    Returns:
        Every score of the report, ready for JSON.

    Raises:
        UsageError: `output` can't be written.
    """
    # matplotlib and polars take long to import: not before the demo is asked for
    from elman.demo import memory, pictures, report, series

    place, start = Path(output), time.perf_counter()
    # say now, not after a minute of training, that the page can't be written
    if place.is_dir() or not place.absolute().parent.is_dir():
        raise UsageError(f"{place} can't be written: name a file in a folder that exists, such as demo.html")
    if not os.access(place if place.exists() else place.absolute().parent, os.W_OK):
        raise UsageError(f"{place} can't be written: permission denied; name a file in a folder of yours")
    dials: dict[str, Any] = {"epochs": 1, "hidden": 8} if quick else {}
    budget = memory.Budget(longest=10, epochs=1, steps=2, test_blocks=2) if quick else memory.Budget()
    shown = {key: series.run(show, progress, **dials) for key, show in series.SHOWS.items()}
    found = memory.compare(budget, progress)
    drawn = {key: pictures.forecasts(one) for key, one in shown.items()}
    drawn |= {"memory": pictures.memory(found), "gradients": pictures.gradients(found)}
    result = {
        "version": __version__,
        "cores": os.cpu_count(),
        "series": {key: one.scores for key, one in shown.items()},
        "memory": found,
        "seconds": round(time.perf_counter() - start, 1),
    }
    page = report.page(result, drawn, {key: one.show.title for key, one in shown.items()})
    with writing(place, UsageError), replace_file(place) as file:
        file.write(page.encode())
    return result


def summary(result: dict[str, Any]) -> str:
    """The result as lines for a terminal."""
    from elman.demo.report import verdict

    lines = [f"{'':10}{'MASE':>8}{'seasonal naive':>16}{'naive':>8}{'80 % band':>12}"]
    for key, found in result["series"].items():
        ours, seasonal, last = (found[part]["mase"] for part in ("scores", "baseline", "naive"))
        lines.append(f"{key:10}{ours:8.3f}{seasonal:16.3f}{last:8.3f}{found['scores']['coverage']:12.1%}")
    lines += ["", *(f"{key}: {verdict(found)}" for key, found in result["series"].items()), ""]
    memory = result["memory"]
    gaps = list(next(iter(memory["networks"].values()))["accuracy"])
    shown = [gaps[round(i * (len(gaps) - 1) / 4)] for i in range(5)]
    lines.append(f"{'right answers, gap of words':30}" + "".join(f"{gap:>7}" for gap in shown))
    for name, network in memory["networks"].items():
        cells = "".join(f"{network['accuracy'][gap]:7.0%}" for gap in shown)
        lines.append(f"{name:30}{cells}")
    lines.append(f"A bag of words can't be right more often than {memory['ceiling']:.0%}.")
    return "\n".join([*lines, f"{result['seconds']:.0f} seconds"])
