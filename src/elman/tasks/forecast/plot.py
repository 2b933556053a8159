"""Pictures of forecasts as PNG or SVG, drawn without a display.

A panel for each series below the other, narrow enough for the screen of a phone.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from elman.data.series.panel import Panel, Series
from elman.data.series.rows import Array
from elman.lens.plot import INK, LOOK, Picture, date_ticks, plain_numbers
from elman.tasks.forecast.table import MAX_DRAWN_SERIES, levels_of

FORECAST_COLOR: Final = "#2f86d1"
MAX_DRAWN_FORECASTS: Final = 12  # of a series
# Missing steps over which a line goes on: holidays, or a long weekend in daily values.
MAX_BRIDGED_STEPS: Final = 4
WIDTH: Final = 5.0  # inches, of which a phone shows all


@rc_context(LOOK)
def forecasts(panel: Panel, quantiles: Array, levels: Sequence[float], total: int = 0) -> Figure:
    """Draw a panel for each series: history, median and bands of the steps after it.

    Args:
        quantiles: (series, H, Q) after each series of `panel`, for ascending `levels` with 0.5 among them.
        total: number of series that there are, if these are not all.
    """
    figure, axes = panels(len(panel.series))
    for axis, series, ahead in zip(axes, panel.series, quantiles, strict=True):
        _draw(axis, panel, series, ahead, levels)
    column = panel.columns.series
    names = ["" if column is None else _titled(column, series.name) for series in panel.series]
    _label(figure, axes, names, panel.columns.value)
    say_left_out(figure, len(panel.series), total)
    return figure


@rc_context(LOOK)
def scored_forecasts(frame: pl.DataFrame) -> Figure:
    """Draw a panel for each series of a table of `table_of`: the truth, and each forecast as a line of its
    own; of many series the first, of many forecasts the last."""
    parts = frame.partition_by("unique_id", maintain_order=True)
    drawn = parts[:MAX_DRAWN_SERIES]
    figure, axes = panels(len(drawn))
    fewer = 0
    for axis, part in zip(axes, drawn, strict=True):
        each = part.partition_by("cutoff", maintain_order=True)
        fewer = max(fewer, len(each) if len(each) > MAX_DRAWN_FORECASTS else 0)
        _draw_scored(axis, each[-MAX_DRAWN_FORECASTS:])
    names = [str(part["unique_id"][0]) for part in drawn]
    _label(figure, axes, names if len(parts) > 1 else [""], "")
    note = f"the last {MAX_DRAWN_FORECASTS} of up to {fewer} forecasts" if fewer else ""
    say_left_out(figure, len(drawn), len(parts), note)
    return figure


def panels(count: int) -> tuple[Picture, list[Axes]]:
    """Return an empty figure with so many axes below each other."""
    height = 3.4 if count == 1 else 2.4 if count == 2 else 1.9
    figure = Picture(figsize=(WIDTH, 0.6 + height * count), layout="constrained")
    return figure, list(figure.subplots(count, 1, squeeze=False)[:, 0])


def _label(figure: Figure, axes: Sequence[Axes], names: Sequence[str], value: str) -> None:
    """Name the series, and the lines above all panels, where they cover nothing."""
    for axis, name in zip(axes, names, strict=True):
        axis.set_title(name, loc="left", parse_math=False)
        axis.set_ylabel(value, parse_math=False)
        axis.margins(x=0.02)
        plain_numbers(axis)
    handles, labels = axes[0].get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    order = sorted(by_label, key=lambda label: label.endswith("%"))
    columns = min(len(order), 3 if max(map(len, order)) > 12 else 4)
    figure.legend([by_label[label] for label in order], order, ncols=columns, loc="outside upper center")


def _titled(column: str, name: str) -> str:
    """Return the name of a series; a bare number stands behind its column's."""
    return f"{column} {name}" if name.replace(".", "").isdigit() else name


def say_left_out(figure: Figure, drawn: int, total: int, note: str = "") -> None:
    """Say below the panels how many series of all are drawn, if these are not all, and a note."""
    series = f"{drawn} of {total} series" if total > drawn else ""
    if said := ", ".join(part for part in (series, note) if part):
        figure.supxlabel(said, fontsize="medium")


def _draw(axis: Axes, panel: Panel, series: Series, ahead: Array, levels: Sequence[float]) -> None:
    n, horizon = len(series.values), len(ahead)
    past, later = panel.stamps(series, 0, n), panel.stamps(series, n, horizon)
    axis.plot(*bridged(past, series.values), color=INK, linewidth=1.2, label="history")
    _bands(axis, later, ahead, levels)
    # The forecast starts at the last known value, so that the line has no gap.
    last = np.flatnonzero(~np.isnan(series.values))[-1]
    steps = np.concatenate([past[last : last + 1], later])
    median = np.concatenate([series.values[last : last + 1], ahead[:, list(levels).index(0.5)]])
    axis.plot(steps, median, color=FORECAST_COLOR, linewidth=1.6, label="median")
    date_ticks(axis, later)


def _draw_scored(axis: Axes, forecasts: Sequence[pl.DataFrame]) -> None:
    levels = levels_of(forecasts[0])
    truth = pl.concat(forecasts).unique("ds", keep="last").sort("ds")
    stamps = _stamps(truth["ds"])
    axis.plot(*bridged(stamps, truth["y"].to_numpy()), color=INK, linewidth=1.2, label="truth")
    for part in forecasts:
        ahead = part.select(f"q{level:g}" for level in levels).to_numpy()
        steps = _stamps(part["ds"])
        _bands(axis, steps, ahead, levels)
        # a forecast of one step is a point
        marker = "o" if len(part) == 1 else ""
        median = ahead[:, levels.index(0.5)]
        axis.plot(
            steps, median, color=FORECAST_COLOR, linewidth=1.6, marker=marker, markersize=3, label="median"
        )
    date_ticks(axis, stamps)


def _stamps(column: pl.Series) -> NDArray[Any]:
    """Return stamps for an axis: those with a zone as the clocks on its walls show them."""
    if getattr(column.dtype, "time_zone", None) is not None:
        column = column.dt.replace_time_zone(None)
    return column.to_numpy()


def _bands(axis: Axes, steps: NDArray[Any], ahead: Array, levels: Sequence[float]) -> None:
    """Draw a band for every pair of levels around the median."""
    middle = list(levels).index(0.5)
    for low in range(min(middle, len(levels) - 1 - middle)):
        high = len(levels) - 1 - low
        band = f"{100 * levels[low]:g} to {100 * levels[high]:g} %"
        style: dict[str, Any] = {"color": FORECAST_COLOR, "alpha": 0.25, "linewidth": 0}
        if len(steps) == 1:  # an area of one step would have no width
            style = {"color": FORECAST_COLOR, "alpha": 0.4, "linewidth": 4}
            axis.vlines(steps, ahead[:, low], ahead[:, high], label=band, **style)
        else:
            axis.fill_between(steps, ahead[:, low], ahead[:, high], label=band, **style)


def bridged(stamps: NDArray[Any], values: Array) -> tuple[NDArray[Any], Array]:
    """Return stamps and values (n,) without the missing ones of short gaps, over which a line is drawn."""
    missing = np.isnan(values)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(int)))
    kept = np.ones(len(values), bool)
    for begin, end in edges.reshape(-1, 2):
        kept[begin:end] = end - begin > MAX_BRIDGED_STEPS
    return stamps[kept], values[kept]
