"""Measure how long elman takes to start, and how much disk it takes with what it requires.

    python bench/start.py MODEL [COUNT]

MODEL is a folder of a trained classifier. Prints two Markdown tables: medians of COUNT (5) starts of each
command, run in turn so that a busy machine slows all of them alike; and the size of each installed
distribution that elman requires, also indirectly and without extras.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

NAME = re.compile(r"[\w.-]+")
MIN_MEGABYTES = 5.0  # smaller distributions are summed up


def commands(model: str) -> dict[str, list[str]]:
    """Return what is timed, each by its name in the table."""
    elman = [sys.executable, "-m", "elman"]
    return {
        'python -c "import torch"': [sys.executable, "-c", "import torch"],
        "elman --version": [*elman, "--version"],
        "elman --help": [*elman, "--help"],
        "elman train classify nope.csv": [*elman, "train", "classify", "nope.csv"],
        'elman predict MODEL "not good"': [*elman, "predict", model, "not good"],
    }


def medians(
    commands: Mapping[str, list[str]], count: int, run: Callable[[list[str]], object]
) -> dict[str, float]:
    """Return the median seconds of each command. All are run once before, so that files are in memory."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(count + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            run(command)
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(each[1:]) for name, each in seconds.items()}


def required(names: Iterable[str], requires: Callable[[str], Iterable[str] | None]) -> set[str]:
    """Return distributions and all that they require without an extra. `requires` returns the requirements of
    one, or None if it isn't installed, as on another system."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop().lower().replace("_", "-")
        if name not in found and (lines := requires(name)) is not None:
            found.add(name)
            left += [NAME.match(line)[0] for line in lines if "extra ==" not in line]
    return found


def megabytes(installed: Distribution) -> float:
    paths = (Path(str(installed.locate_file(file))) for file in installed.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def rows(values: Mapping[str, float], form: str) -> list[str]:
    return [f"| {name} | {value:{form}} |" for name, value in values.items()]


def sizes_in_order(sizes: Mapping[str, float]) -> dict[str, float]:
    """Return the sizes, the largest first, then the sum of the small ones and the sum of all."""
    large = sorted(((n, s) for n, s in sizes.items() if s >= MIN_MEGABYTES), key=lambda pair: -pair[1])
    others = sum(size for size in sizes.values() if size < MIN_MEGABYTES)
    return {**dict(large), "others": others, "together": sum(sizes.values())}


def _requires(name: str) -> list[str] | None:
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:
        return None


def _run(command: list[str]) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def main() -> None:
    model, count = sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else 5
    print(f"Load before: {os.getloadavg()[0]:.1f}\n\n| command | seconds |\n|---|---|")
    print("\n".join(rows({f"`{k}`": v for k, v in medians(commands(model), count, _run).items()}, ".2f")))
    sizes = {name: megabytes(distribution(name)) for name in required(["elman"], _requires) - {"elman"}}
    print("\n| distribution | MB |\n|---|---|")
    print("\n".join(rows(sizes_in_order(sizes), ".0f")))


if __name__ == "__main__":
    main()
