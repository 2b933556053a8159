"""The demo's pictures, as SVG that stands inside a page."""

import io
from typing import Any, Final

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elman.demo.series import Shown

INK: Final = "#556070"
OURS: Final = "#1f6fb4"
COLOURS: Final = {"Elman": "#c8553d", "GRU": "#2a9d8f", "LSTM": "#1f6fb4", "bag of words": "#8a8f98"}


def forecasts(shown: Shown) -> str:
    """A panel a series: what happened, the forecast median and its band."""
    names = shown.values["unique_id"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(9, 2.1 * len(names) + 0.8), layout="constrained")
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False).ravel()
    stamps = shown.values["ds"].unique().sort()
    before = int((stamps < shown.cutoff).sum())
    start = stamps[max(0, before - shown.show.pictured)]
    for axis, name in zip(axes, names, strict=True):
        _forecast(axis, shown, name, start)
    axes[0].legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    return _svg(figure)


def _forecast(axis: Axes, shown: Shown, name: str, start: Any) -> None:
    mine = pl.col("unique_id") == name
    values = shown.values.filter(mine & (pl.col("ds") >= start)).sort("ds")
    ahead = shown.forecasts.filter(mine).sort("ds")
    days, low, middle, high = (ahead[c].to_numpy() for c in ("ds", "q0.1", "q0.5", "q0.9"))
    axis.plot(values["ds"].to_numpy(), values["y"].to_numpy(), color=INK, linewidth=1, label="what happened")
    axis.fill_between(days, low, high, color=OURS, alpha=0.25, linewidth=0, label="80 % band")
    axis.plot(days, middle, color=OURS, linewidth=1.3, label="forecast")
    axis.axvline(days[0], color=INK, linewidth=0.7, linestyle=":")
    axis.set_ylabel(shown.show.unit, fontsize=8)
    axis.set_title(name, fontsize=9, loc="left")
    _plain(axis)


def memory(found: dict[str, Any]) -> str:
    """Accuracy over the gap, for each network."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axis = figure.subplots()
    for name, network in found["networks"].items():
        gaps = [int(gap) for gap in network["accuracy"]]
        right = [100 * share for share in network["accuracy"].values()]
        axis.plot(gaps, right, color=COLOURS[name], marker="o", markersize=3, linewidth=1.4, label=name)
    axis.axhline(100 * found["ceiling"], color=INK, linewidth=0.7, linestyle=":")
    axis.set_ylim(40, 102)
    axis.set_xlabel("words between the movie's clause and the end")
    axis.set_ylabel("right answers, %")
    axis.legend(frameon=False, fontsize=8, ncols=4)
    _plain(axis)
    return _svg(figure)


def gradients(found: dict[str, Any]) -> str:
    """How much of the gradient reaches back, before and after training."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axis, when in zip(figure.subplots(1, 2, sharey=True), ("before", "after"), strict=True):
        for name, network in found["networks"].items():
            if "gradient" in network:
                shares = [max(share, 1e-12) for share in network["gradient"][when]]
                axis.semilogy(range(len(shares)), shares, color=COLOURS[name], linewidth=1.4, label=name)
        axis.set_title(f"{when} training", fontsize=9, loc="left")
        axis.set_xlabel("words before the end")
        axis.set_ylim(1e-12, 1e2)
        _plain(axis)
    figure.axes[0].set_ylabel("gradient, as a share of the last word's")
    figure.axes[0].legend(frameon=False, fontsize=8)
    return _svg(figure)


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=False, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
