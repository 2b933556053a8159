"""Pictures of what the lens sees: lines over steps, and heat maps of units."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from elman.errors import UsageError
from elman.lens.plot import picture_path, save_figure

WIDTH: Final = 7.0
MAX_TICKS: Final = 40  # labels of steps that have room side by side
MAX_MAPS: Final = 24
STYLE: Final[dict[str, Any]] = {"aspect": "auto", "interpolation": "nearest"}


def finished(figure: Figure, path: str | Path | None) -> Figure:
    """Write a picture if there is a path, .png or .svg; return it."""
    if path is not None:
        save_figure(figure, picture_path(path))
    return figure


def lines(
    curves: Sequence[tuple[str, Tensor]], across: str, up: str, shares: Sequence[float] = ()
) -> tuple[Figure, Axes]:
    """Draw curves (steps,) by name on a logarithmic axis; NaN and 0 leave gaps. `shares` are marked."""
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axis = figure.subplots()
    for name, values in curves:
        positive = values.double().where(values > 0, float("nan"))
        axis.plot(range(len(values)), positive.tolist(), label=name, linewidth=1.5)
    right = ("axes fraction", "data")
    for share in shares:
        axis.axhline(share, color="#888888", linewidth=0.8, linestyle="--")
        axis.annotate(f"{share:.0%}", (1, share), xycoords=right, va="bottom", ha="right", fontsize=8)
    axis.set_yscale("log")
    axis.set_xlabel(across)
    axis.set_ylabel(up)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize="small")
    return figure, axis


def maps(each: Sequence[tuple[str, Tensor]], labels: Sequence[str] | None, across: str) -> Figure:
    """Draw values (steps, units) by name, from -1 to 1, one heat map each, a row a unit."""
    if len(each) > MAX_MAPS:
        raise UsageError(f"{len(each)} pictures of states and gates are too many: draw a layer at a time")
    figure = Figure(figsize=(WIDTH, 0.6 + 1.5 * len(each)), layout="constrained")
    axes: Any = figure.subplots(len(each), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (name, values) in zip(axes, each, strict=True):
        image = axis.imshow(
            values.T.numpy(), aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest"
        )
        axis.set_ylabel(f"{name}\nunit", fontsize=8)
        axis.tick_params(labelsize=7)
    if labels is not None and len(labels) <= MAX_TICKS:
        axes[-1].set_xticks(range(len(labels)), labels, rotation=90, parse_math=False)
    axes[-1].set_xlabel(across)
    figure.colorbar(image, ax=list(axes), shrink=0.6, label="value")
    return figure
