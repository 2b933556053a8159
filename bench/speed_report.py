"""Tables of measurements, for a terminal and in Markdown, from the JSON alone."""

import math
from collections.abc import Iterable
from typing import Any, Final

from rich.table import Table

Point = dict[str, Any]

TITLES: Final = {
    "infer": "Inference",
    "train": "Training with the input's gradient: forward, out.sum().backward()",
    "first": "Training of a first layer, whose input needs no gradient",
    "models": "A training step of a whole model, with AdamW",
    "precision": "Lower precision beside elman's float32",
    "ragged": "Lengths uniform in 1..T; torch.nn packs",
    "stream": "A step of one sequence, from state to state",
    "cells": "A user's cell: against our LSTM gate for gate, and its own eager loop",
    "heads": "Heads beside a whole recurrent matrix",
}
WITH_MEANS: Final = ("infer", "train", "first", "ragged")  # runs over a grid of shapes
PEERS: Final = ("torch.nn", "torch.nn cells", "jax.lax.scan", "onnxruntime")
SUFFIXES: Final = {"first": ", first layer", "ragged": ", ragged"}


def means(points: Iterable[Point]) -> list[dict[str, Any]]:
    """Geometric means of peer/ours over the shapes, per run, mode, cell and peer."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for point in points:
        if point["run"] in WITH_MEANS:
            for peer, pairing in point["peers"].items():
                key = (point["run"], point["mode"], point["what"], peer)
                groups.setdefault(key, []).append(pairing["ratio"])
    names = ("run", "mode", "what", "peer")
    return [
        dict(zip(names, key, strict=True)) | {"ratio": _geometric(values), "points": len(values)}
        for key, values in groups.items()
    ]


def _geometric(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def ratio(value: float | None) -> str:
    return "" if value is None else f"{_rounded(value)}×"


def _rounded(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def duration(milliseconds: float) -> str:
    """Format milliseconds with three digits in a suitable unit."""
    return f"{_rounded(1e3 * milliseconds)} µs" if milliseconds < 1 else f"{_rounded(milliseconds)} ms"


def _names(points: Iterable[Point]) -> list[str]:
    """Return the peers of the points, in the order of PEERS."""
    found = dict.fromkeys(peer for point in points for peer in point["peers"])
    return sorted(found, key=lambda name: PEERS.index(name) if name in PEERS else len(PEERS))


# ---- terminal


def rates_line(rates: dict[str, float]) -> str:
    """Say how fast PyTorch multiplies in each precision."""
    each = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
    return f"Products of PyTorch on this machine, in GFLOP/s: {each}"


def share(point: Point, rates: dict[str, float]) -> str:
    """Format the share of the float32 products' rate that a point reaches."""
    gflops = point.get("gflops")
    return f"{gflops / rates['float32']:.0%}" if gflops and rates else ""


def table(run: str, points: list[Point], rates: dict[str, float]) -> Table:
    """Every point of a run: our median time and the share of the machine's rate that its products reach, then
    peer/ours with the quartiles of the pairs, then means."""
    peers = _names(points)
    head = ("cell", "mode", "T, B, I, H", "elman", "of sgemm")
    shown = Table(*head, title=f"{TITLES[run]}. Ratios: peer / elman")
    for peer in peers:
        shown.add_column(peer, justify="right")
    for point in points:
        cells = [_spread(point["peers"].get(peer)) for peer in peers]
        shape = ", ".join(map(str, point["shape"]))
        own = duration(point["ours_ms"]), share(point, rates)
        shown.add_row(point["what"], point["mode"], shape, *own, *cells)
    shown.add_section()
    for (mode, what), found in _by_row(means(points)):
        cells = [ratio(found[peer]["ratio"]) if peer in found else "" for peer in peers]
        shown.add_row(what, mode, "geometric mean", "", "", *cells)
    return shown


def _spread(pairing: dict[str, Any] | None) -> str:
    if pairing is None:
        return ""
    return f"{ratio(pairing['ratio'])} ({_rounded(pairing['low'])}–{_rounded(pairing['high'])})"


def _by_row(found: list[dict[str, Any]]) -> Iterable[tuple[tuple[str, str], dict[str, dict[str, Any]]]]:
    """Means by mode and cell, then by peer."""
    rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for mean in found:
        rows.setdefault((mean["mode"], mean["what"]), {})[mean["peer"]] = mean
    return rows.items()


# ---- Markdown


def markdown(report: dict[str, Any]) -> str:
    """Format the tables of docs/benchmarks.md: means of the grids, other runs, the machine."""
    points = report["points"]
    parts, rates = [_means_table(points)], report.get("GFLOP/s", {})
    parts.append(_shares_table([p for p in points if p["run"] == "train"], rates))
    for run in ("models", "precision", "stream", "cells", "heads"):
        parts.append(_points_table([p for p in points if p["run"] == run]))
    if cost := report.get("compile"):
        parts.append(
            f"Compiling an LSTM's forward and backward pass takes {duration(cost['cold_ms'])} once, "
            f"loading it in a later process {duration(cost['warm_ms'])}."
        )
    parts.append(_where(report))
    return "\n\n".join(part for part in parts if part)


def _means_table(points: list[Point]) -> str:
    chosen = [p for p in points if p["run"] in WITH_MEANS]
    if not chosen:
        return ""
    peers, found, rows = _names(chosen), means(chosen), []
    for run in WITH_MEANS:
        for (mode, what), row in _by_row([m for m in found if m["run"] == run]):
            cells = [_mean(row[peer]) if peer in row else "" for peer in peers]
            rows.append([f"{what}, {mode}{SUFFIXES.get(run, '')}", *cells])
    return _grid(["time / elman's", *peers], rows)


def _shares_table(points: list[Point], rates: dict[str, float]) -> str:
    """Return the shapes of training with elman's share of sgemm's rate, and torch.nn's time."""
    shapes = {tuple(point["shape"]): [p for p in points if p["shape"] == point["shape"]] for point in points}
    cells = list(dict.fromkeys(point["what"] for point in points))
    rows = [
        [", ".join(map(str, shape)), *(_with_share(own, rates) for own in found)]
        for shape, found in shapes.items()
    ]
    return _grid(["T, B, I, H", *cells], rows) if rows else ""


def _with_share(point: Point, rates: dict[str, float]) -> str:
    torchs = point["peers"].get("torch.nn", {}).get("ratio")
    return f"{ratio(torchs)}, {share(point, rates)}" if share(point, rates) else ratio(torchs)


def _mean(found: dict[str, Any]) -> str:
    return f"{ratio(found['ratio'])} ({found['points']})"


def _points_table(points: list[Point]) -> str:
    if not points:
        return ""
    peers, rows = _names(points), []
    for point in points:
        steps, batch, inputs, hidden = point["shape"]
        where = f"step, H {hidden}" if steps == 1 else f"{point['mode']}, {steps}×{batch}×{inputs}→{hidden}"
        ratios = [ratio(point["peers"].get(peer, {}).get("ratio")) for peer in peers]
        rows.append([f"{point['what']}, {where}", duration(point["ours_ms"]), *ratios])
    return _grid(["time / elman's", "elman", *peers], rows)


def _grid(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _where(report: dict[str, Any]) -> str:
    machine, versions = report["machine"], report["versions"]
    rates = f" {rates_line(report['GFLOP/s'])}." if "GFLOP/s" in report else ""
    libraries = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "jax", "onnxruntime") if versions[name]
    )
    threads = "1 thread" if report["threads"] == 1 else f"{report['threads']} threads"
    before, after = (f"{load:.1f}" for load in report["load"])
    return (
        f"Medians of interleaved pairs; in brackets how many shapes the geometric mean is of. "
        f"{machine['cpu']}, {machine['vectors']}, {threads}, load {before} before "
        f"and {after} after; {libraries}.{rates}"
    )
