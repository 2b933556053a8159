"""The demo's figures as SVG."""

from collections.abc import Mapping
from typing import Any, Final

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elman.demo.series import Shown
from elman.lens.plot import INK, LOOK, svg

# Text keeps its size on a narrow screen if a figure is not much wider than one.
WIDTH: Final = 5.6
FORECAST: Final = "#1f78c8"
COLOURS: Final = {"Elman": "#d2604a", "GRU": "#2a9d8f", "LSTM": "#1f78c8", "bag of words": "#8a8f98"}


@matplotlib.rc_context(LOOK)
def forecasts(shown: Shown) -> str:
    """Draw one panel per series: the values, and the median and band of every forecast."""
    names = shown.values["unique_id"].unique(maintain_order=True).to_list()
    figure = Figure(figsize=(WIDTH, 1.5 * len(names) + 1), layout="constrained")
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False).ravel()
    stamps = shown.values["ds"].unique().sort()
    before = int((stamps < shown.cutoff).sum())
    start = stamps[max(0, before - shown.show.pictured)]
    for axis, name in zip(axes, names, strict=True):
        _forecast(axis, shown, name, start)
    figure.legend(*axes[0].get_legend_handles_labels(), ncols=3, loc="outside upper center")
    return svg(figure)


def _forecast(axis: Axes, shown: Shown, name: str, start: Any) -> None:
    of_series = pl.col("unique_id") == name
    values = shown.values.filter(of_series & (pl.col("ds") >= start)).sort("ds")
    ahead = shown.forecasts.filter(of_series).sort("ds")
    axis.plot(values["ds"].to_numpy(), values["y"].to_numpy(), color=INK, linewidth=1, label="observed")
    for begin in range(0, len(ahead), shown.show.horizon):  # each forecast is a line of its own
        part = ahead[begin : begin + shown.show.horizon]
        days, low, middle, high = (part[c].to_numpy() for c in ("ds", "q0.1", "q0.5", "q0.9"))
        labels = {} if begin else {"band": "80 % band", "median": "forecast"}
        axis.fill_between(days, low, high, color=FORECAST, alpha=0.3, linewidth=0, label=labels.get("band"))
        axis.plot(days, middle, color=FORECAST, linewidth=1.3, label=labels.get("median"))
    axis.axvline(ahead["ds"].to_numpy()[0], color=INK, linewidth=0.7, linestyle=":")
    axis.set_ylabel(shown.show.unit)
    axis.set_title(name, loc="left")


@matplotlib.rc_context(LOOK)
def memory(result: Mapping[str, Any]) -> str:
    """Draw the accuracy over the gap, for each network of `elman.demo.memory.compare`."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axis = figure.subplots()
    for name, network in result["networks"].items():
        gaps = [int(gap) for gap in network["accuracy"]]
        right = [100 * share for share in network["accuracy"].values()]
        low, high = ([100 * share for share in network[key].values()] for key in ("lowest", "highest"))
        axis.fill_between(gaps, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
        axis.plot(gaps, right, color=COLOURS[name], marker="o", markersize=3, linewidth=1.4, label=name)
    axis.axhline(100 * result["ceiling"], color=INK, linewidth=0.7, linestyle=":")
    axis.set_ylim(40, 102)
    axis.set_xlabel("words between the movie's clause and the end of the sentence")
    axis.set_ylabel("accuracy, %")
    figure.legend(ncols=4, loc="outside upper center")
    return svg(figure)


@matplotlib.rc_context(LOOK)
def gradients(result: Mapping[str, Any]) -> str:
    """Draw the size of the gradient at earlier states, before and after training."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    for axis, when in zip(figure.subplots(1, 2, sharey=True), ("before", "after"), strict=True):
        for name, network in result["networks"].items():
            if "gradient" in network:
                shares = [max(share, 1e-12) for share in network["gradient"][when]]
                axis.semilogy(range(len(shares)), shares, color=COLOURS[name], linewidth=1.4, label=name)
        axis.set_title(f"{when} training", loc="left")
        axis.set_xlabel("words before the end")
        axis.set_ylim(1e-12, 1e2)
    figure.axes[0].set_ylabel("gradient / gradient at the last word")
    figure.axes[0].legend()
    return svg(figure)
