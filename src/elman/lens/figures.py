"""Pictures of what the lens sees: lines over steps, and heat maps of units."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from elman.errors import UsageError
from elman.lens.plot import INK, LOOK, Picture, picture_path, save_figure

WIDTH: Final = 7.0
MAX_TICKS: Final = 40  # labels of steps that have room side by side
MAX_MAPS: Final = 24
STYLE: Final[dict[str, Any]] = {"aspect": "auto", "interpolation": "nearest"}
CHAR_PIXELS, LINE_INCHES = 7.4, 0.27  # of words in lines
WORD: Final[dict[str, Any]] = {"fontsize": 9, "family": "monospace"}
ABOVE, BELOW = "#2166ac", "#b2182b"  # the ends of the map of colours from negative to positive


def finished(figure: Figure, path: str | Path | None) -> Figure:
    """Write a picture if there is a path, .png or .svg; return it."""
    if path is not None:
        save_figure(figure, picture_path(path))
    return figure


@rc_context(LOOK)
def lines(
    curves: Sequence[tuple[str, Tensor | Sequence[float]]],
    across: str,
    up: str,
    shares: Sequence[float] = (),
    at: Sequence[int] | None = None,
) -> tuple[Figure, Axes]:
    """Draw curves (steps,) by name on a logarithmic axis, over numbers `at`, or from 0; NaN and 0 leave gaps.
    `shares` are marked."""
    figure = Picture(figsize=(WIDTH, 3.4), layout="constrained")
    axis = figure.subplots()
    for name, values in curves:
        positive = [value if value > 0 else float("nan") for value in torch.as_tensor(values).tolist()]
        axis.plot(at or range(len(positive)), positive, label=name, linewidth=1.5)
    right = ("axes fraction", "data")
    for share in shares:
        axis.axhline(share, color="#888888", linewidth=0.8, linestyle="--")
        axis.annotate(f"{share:.0%}", (1, share), xycoords=right, va="bottom", ha="right", fontsize=8)
    axis.set_yscale("log")
    axis.set_xlabel(across)
    axis.set_ylabel(up)
    axis.legend(frameon=False, fontsize="small")
    return figure, axis


@rc_context(LOOK)
def bars(
    values: Tensor, dots: Tensor, labels: Sequence[str], across: str, up: str, names: tuple[str, str]
) -> tuple[Figure, Axes]:
    """Draw a bar (steps,) for each step, in one colour above 0 and another below, and a dot for the check."""
    figure = Picture(figsize=(WIDTH, 3.4), layout="constrained")
    axis = figure.subplots()
    steps = range(len(values))
    colours = [ABOVE if value >= 0 else BELOW for value in values.tolist()]
    axis.bar(steps, values.tolist(), color=colours, width=0.8, label=names[0])
    axis.plot(steps, dots.tolist(), "o", color=INK, markerfacecolor="none", markersize=4, label=names[1])
    axis.axhline(0, color="#888888", linewidth=0.8)
    label_steps(axis, labels, across)
    axis.set_ylabel(up)
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize="small")
    return figure, axis


@rc_context(LOOK)
def points(
    curves: Sequence[tuple[str, Sequence[float]]], names: Sequence[str], across: str, up: str
) -> Figure:
    """Draw named curves over a few named points."""
    figure = Picture(figsize=(WIDTH, 3.2), layout="constrained")
    axis = figure.subplots()
    for name, values in curves:
        axis.plot(range(len(names)), values, marker="o", markersize=4, label=name)
    axis.set_xticks(range(len(names)), list(names))
    axis.set_xlabel(across)
    axis.set_ylabel(up)
    axis.legend()
    return figure


def label_steps(axis: Axes, labels: Sequence[str], across: str) -> None:
    """Name the steps along the horizontal axis, some of them where there is no room for all; or number
    them."""
    if labels:
        stride = -(-len(labels) // MAX_TICKS)
        steps = range(0, len(labels), stride)
        axis.set_xticks(steps, [labels[k] for k in steps], rotation=90, parse_math=False)
    else:
        axis.set_xlabel(across)


@rc_context(LOOK)
def maps(each: Sequence[tuple[str, Tensor]], labels: Sequence[str] | None, across: str) -> Figure:
    """Draw values (steps, units) by name, from -1 to 1, one heat map each, a row a unit."""
    if len(each) > MAX_MAPS:
        raise UsageError(f"{len(each)} pictures of states and gates are too many: draw a layer at a time")
    figure = Picture(figsize=(WIDTH, 0.6 + 1.5 * len(each)), layout="constrained")
    axes: Any = figure.subplots(len(each), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (name, values) in zip(axes, each, strict=True):
        image = axis.imshow(
            values.T.numpy(), aspect="auto", cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest"
        )
        axis.set_ylabel(f"{name}\nunit", fontsize=8)
        axis.tick_params(labelsize=7)
    label_steps(axes[-1], labels or (), across)
    figure.colorbar(image, ax=list(axes), shrink=0.6, label="value")
    return figure


@rc_context(LOOK)
def triangle(values: Tensor, labels: Sequence[str], first: int, name: str) -> Figure:
    """Draw values (rows, steps) as a heat map, a row after each step from number `first`; NaN stays empty."""
    rows, steps = values.shape
    size = min(WIDTH, 2.4 + 0.3 * steps)
    figure = Picture(figsize=(size, 0.3 + 0.75 * size), layout="constrained")
    axis = figure.subplots()
    largest = max(float(values.nan_to_num().abs().max()), 1e-12) if values.numel() else 1.0
    image = axis.imshow(values.numpy(), **STYLE, cmap="RdBu", vmin=-largest, vmax=largest)
    if labels and steps <= MAX_TICKS:
        small = 9 if steps <= MAX_TICKS // 2 else 7
        axis.set_xticks(range(steps), list(labels), rotation=90, parse_math=False, fontsize=small)
        axis.set_yticks(range(rows), list(labels)[-rows:], parse_math=False, fontsize=small)
    else:
        axis.set_xticks(axis.get_xticks(), [f"{tick + first:.0f}" for tick in axis.get_xticks()])
        axis.set_yticks(axis.get_yticks(), [f"{tick + first:.0f}" for tick in axis.get_yticks()])
        axis.set(xlim=(-0.5, steps - 0.5), ylim=(rows - 0.5, -0.5))
    axis.set_xlabel("adds to the score")
    axis.set_ylabel("after reading")
    figure.colorbar(image, ax=axis, shrink=0.8, label=name)
    return figure


@rc_context(LOOK)
def coloured_words(labels: Sequence[str], values: Tensor, title: str) -> Figure:
    """Draw words in lines, each on the colour of its value (steps,), from -1 to 1."""
    figure = Picture(figsize=(WIDTH, 1.0), dpi=100)
    axis = figure.add_axes((0.02, 0.02, 0.86, 0.9))
    axis.set_axis_off()
    room, place, line = axis.get_window_extent().width, 0.0, 0
    words = []
    for label, value in zip(labels, values.tolist(), strict=True):
        width = CHAR_PIXELS * max(len(label), 1) + 2 * CHAR_PIXELS
        if place + width > room and place:
            place, line = 0.0, line + 1
        words.append((label, value, place, width, line))
        place += width
    high = 0.5 + LINE_INCHES * (line + 1)
    figure.set_size_inches(WIDTH, high)
    axis.set(xlim=(0, room), ylim=(line + 0.6, -0.6), position=(0.02, 0.02, 0.86, 1 - 0.36 / high))
    scale = ScalarMappable(Normalize(-1, 1), "RdBu")
    for label, value, place, width, line in words:
        shade = scale.to_rgba(value)
        axis.add_patch(Rectangle((place, line - 0.4), width, 0.8, color=shade))
        ink = "white" if abs(value) > 0.6 else "black"
        at = (place + width / 2, line)
        axis.text(*at, label, ha="center", va="center", color=ink, parse_math=False, **WORD)
    figure.text(0.02, 1 - 0.22 / high, title, fontsize=9, parse_math=False)
    bar = figure.add_axes((0.91, 0.1, 0.015, 0.9 - 0.36 / high))
    figure.colorbar(scale, cax=bar).set_ticks([-1, 0, 1])
    return figure


@rc_context(LOOK)
def concordance(rows: Sequence[tuple[str, str, str, str]], name: str) -> Figure:
    """Draw rows of text below each other: a figure, what is before, the text itself, and what is after."""
    high = 0.4 + LINE_INCHES * len(rows)
    figure = Picture(figsize=(WIDTH, high))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.set(xlim=(0, 1), ylim=(len(rows) + 0.4, -1))
    axis.text(0.01, -0.4, name, fontsize=8, color="#666666", parse_math=False)
    half = max(len(here) for _, _, here, _ in rows) * CHAR_PIXELS / 200 / WIDTH
    room = max(int((0.4 - half) * 100 * WIDTH / CHAR_PIXELS), 1)
    style: dict[str, Any] = {**WORD, "va": "center", "parse_math": False, "clip_on": True}
    for k, (number, before, here, after) in enumerate(rows):
        axis.text(0.01, k + 0.4, number, color="#666666", **style)
        axis.text(0.49 - half, k + 0.4, before[-room:], ha="right", **style)
        axis.text(0.5, k + 0.4, here, ha="center", color=ABOVE, weight="bold", **style)
        axis.text(0.51 + half, k + 0.4, after[:room], ha="left", **style)
    return figure
