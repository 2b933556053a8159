"""`elman demo`: forecasts of real series and a test of memory, in one HTML report."""

import os
import time
from pathlib import Path
from typing import Any

from elman.atomic import check_output, replace_file, writing
from elman.errors import UsageError
from elman.version import __version__


def run(output: str | Path, *, progress: bool = True, quick: bool = False) -> dict[str, Any]:
    """Train on stocks, weather, sales and the memory task; write the report.

    Args:
        output: the HTML file to write.
        quick: use tiny networks and few sentences. The scores then mean nothing; for tests.

    Returns:
        Every score of the report, ready for JSON.

    Raises:
        UsageError: `output` cannot be written.
    """
    # matplotlib and polars are slow to import
    from elman.demo import memory, pictures, report, series

    path, start = Path(output), time.perf_counter()
    check_output(path)  # before the training rather than after it
    settings: dict[str, Any] = {"epochs": 1, "hidden": 8} if quick else {}
    budget = memory.Budget(max_gap=10, epochs=1, steps=2, test_blocks=2) if quick else memory.Budget()
    shown = {key: series.run(show, progress, **settings) for key, show in series.SHOWS.items()}
    networks = memory.compare(budget, progress)
    figures = {key: pictures.forecasts(one) for key, one in shown.items()}
    figures |= {"memory": pictures.memory(networks), "gradients": pictures.gradients(networks)}
    result = {
        "version": __version__,
        "cores": os.cpu_count(),
        "series": {key: one.scores for key, one in shown.items()},
        "memory": networks,
        "seconds": round(time.perf_counter() - start, 1),
    }
    page = report.page(result, figures, {key: one.show.title for key, one in shown.items()})
    with writing(path, UsageError), replace_file(path) as file:
        file.write(page.encode())
    return result


def summary(result: dict[str, Any]) -> str:
    """Return the result as lines for a terminal."""
    from elman.demo.report import verdict

    simple = next(iter(result["series"].values()))["baselines"]
    lines = [f"{'':10}{'MASE':>8}" + "".join(f"{name:>{len(name) + 2}}" for name in simple) + "   80 % band"]
    for key, scores in result["series"].items():
        row = "".join(f"{one['mase']:{len(name) + 2}.3f}" for name, one in scores["baselines"].items())
        ours = scores["scores"]
        lines.append(f"{key:10}{ours['mase']:8.3f}{row}{ours['coverage']:12.1%}")
    lines += ["", *(f"{key}: {verdict(scores)}" for key, scores in result["series"].items()), ""]
    memory = result["memory"]
    gaps = list(next(iter(memory["networks"].values()))["accuracy"])
    shown = [gaps[round(i * (len(gaps) - 1) / 4)] for i in range(5)]
    lines.append(f"{'accuracy, gap in words':30}" + "".join(f"{gap:>7}" for gap in shown))
    for name, network in memory["networks"].items():
        cells = "".join(f"{network['accuracy'][gap]:7.0%}" for gap in shown)
        lines.append(f"{name:30}{cells}")
    lines.append(f"No function of the word counts reaches more than {memory['ceiling']:.0%}.")
    return "\n".join([*lines, f"{result['seconds']:.0f} seconds"])
