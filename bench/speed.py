"""Speed beside torch.nn, loops over its cells, jax.lax.scan and onnxruntime, each timed in turns with elman.

    python bench/speed.py                             # all
    python bench/speed.py infer stream --seconds 0.2 --threads 1 --json speed.json
    python bench/speed.py --table speed.json          # that file as Markdown

`pip install -e '.[bench]'` installs jax and onnxruntime; without them their columns are missing. A ratio is
the peer's time divided by elman's, the median over pairs: above 1 elman is faster. ELMAN_CPU=avx2 limits
the others to AVX2 as well, except onnxruntime, which then has an advantage on a machine with AVX-512.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.live import Live

import speed_report as report

# Nothing above imports torch: `prepare` must come before it.
NAMES: Final = (
    *("infer", "train", "first", "models", "precision"),
    *("ragged", "stream", "cells", "heads", "compile"),
)
LIBRARIES: Final = ("elman", "torch", "numpy", "llvmlite", "jax", "onnxruntime")
CONSOLE: Final = Console(width=None if sys.stdout.isatty() else 150)


def main() -> None:
    """Measure, or print earlier measurements."""
    given = _arguments()
    if given.table:
        print(report.markdown(json.loads(given.table.read_text())))
        return
    threads = given.threads or _cores()
    if given.json:
        given.json.touch()  # fail now rather than after an hour
    prepare(threads)
    measured = measure(given.names or list(NAMES), given.seconds, threads)
    if given.json:
        given.json.write_text(json.dumps(measured, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # not `choices`, which with nargs="*" refuses that there are none
    parser.add_argument("names", nargs="*", help=f"what to measure: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each comparison, at least 7 pairs")
    parser.add_argument("--threads", type=int, help="of every library (default: all cores)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print such a file as Markdown")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in NAMES]:
        parser.error(f"there is no {unknown[0]!r}: there are {', '.join(NAMES)}")
    if given.threads is not None and given.threads < 1:
        parser.error("--threads must be 1 or more")
    return given


def prepare(threads: int) -> None:
    """What the libraries read from the environment when they are imported."""
    flags = [os.environ.get("XLA_FLAGS", "")]
    if threads == 1:
        flags.append("--xla_cpu_multi_thread_eigen=false")
    if os.environ.get("ELMAN_CPU") == "avx2":
        flags.append("--xla_cpu_max_isa=AVX2")
        os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
        os.environ["MKL_ENABLE_INSTRUCTIONS"] = "AVX2"
    os.environ["XLA_FLAGS"] = " ".join(filter(None, flags))
    os.environ["NPROC"] = str(threads)  # XLA's thread pool
    os.environ["JAX_PLATFORMS"] = "cpu"


def measure(names: list[str], seconds: float, threads: int) -> dict[str, Any]:
    """Run the named benchmarks, print their tables and return everything."""
    import torch

    import speed_points
    import speed_precision
    import speed_timing

    torch.set_num_threads(threads)
    before, points, cost = os.getloadavg()[0], [], {}
    rates = speed_precision.rates()
    CONSOLE.print(report.rates_line(rates))
    for name in names:
        if name == "compile":
            cost = speed_points.compile()
            CONSOLE.print(_compile_line(cost))
        else:
            points += _shown(name, speed_points.RUNS[name](seconds), rates)
    return {
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES},
        "commit": _commit(),
        "threads": threads,
        "load": [before, os.getloadavg()[0]],
        "settings": {
            "names": names,
            "seconds": seconds,
            "ELMAN_CPU": os.environ.get("ELMAN_CPU", ""),
            "least pairs": speed_timing.PAIRS,
            "warm-ups": speed_timing.WARM_UPS,
            "seconds of spinning threads": {"OpenMP": speed_timing.OPENMP} | speed_timing.SPINS,
        },
        "GFLOP/s": rates,
        "points": points,
        "means": report.means(points),
        "compile": cost,
    }


def _shown(name: str, found: Any, rates: dict[str, float]) -> list[dict[str, Any]]:
    """Collect points and show each at once, without a thread that would disturb the next."""
    points: list[dict[str, Any]] = []
    with Live(console=CONSOLE, auto_refresh=False) as live:
        for point in found:
            points.append(point)
            live.update(report.table(name, points, rates), refresh=True)
    CONSOLE.print()
    return points


def _compile_line(cost: dict[str, float]) -> str:
    if not cost:
        return "compile: there is no compiler for this machine"
    times = f"{cost['cold_ms']:.0f} ms with an empty cache, {cost['warm_ms']:.0f} ms with a filled one"
    return f"compile: the first forward and backward pass of an LSTM costs, beyond the second, {times}"


def machine() -> dict[str, Any]:
    """Describe the machine."""
    import torch

    from elman.engine.cpu import host

    found = host.host()
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "vectors": found if isinstance(found, str) else found.level,
        "torch's vectors": torch.backends.cpu.get_cpu_capability(),
        "system": platform.platform(),
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit, with a + if the tree has changes."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


if __name__ == "__main__":
    main()
