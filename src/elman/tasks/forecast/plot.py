"""Pictures of forecasts as PNG or SVG, drawn without a display."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elman.data.series.panel import Panel, Series
from elman.data.series.rows import Array
from elman.lens.plot import INK, LOOK, Picture

FORECAST_COLOR = "#1f6fb4"


@rc_context(LOOK)
def forecasts(panel: Panel, quantiles: Array, levels: Sequence[float]) -> Figure:
    """Draw a panel for each series: history, median and bands of the steps after it.

    Args:
        quantiles: (series, H, Q) after each series of `panel`, for ascending `levels` with 0.5 among them.
    """
    count = len(panel.series)
    columns = 1 if count < 4 else 2
    rows = -(-count // columns)
    figure = Picture(figsize=(9 / columns + 3 * (columns - 1), 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, series, ahead in zip(axes, panel.series, quantiles, strict=False):
        _draw(axis, panel, series, ahead, levels)
    for axis in axes[count:]:
        axis.set_visible(False)
    axes[0].legend(frameon=False, fontsize="small")
    return figure


def _draw(axis: Axes, panel: Panel, series: Series, ahead: Array, levels: Sequence[float]) -> None:
    n, horizon = len(series.values), len(ahead)
    past, later = panel.stamps(series, 0, n), panel.stamps(series, n, horizon)
    axis.plot(past, series.values, color=INK, linewidth=1.2, label="history")
    middle = levels.index(0.5)
    for low in range(min(middle, len(levels) - 1 - middle)):
        high = len(levels) - 1 - low
        band = f"{100 * levels[low]:g} to {100 * levels[high]:g} %"
        axis.fill_between(
            later, ahead[:, low], ahead[:, high], color=FORECAST_COLOR, alpha=0.2, linewidth=0, label=band
        )
    # The forecast starts at the last known value, so that the line has no gap.
    last = np.flatnonzero(~np.isnan(series.values))[-1]
    steps = np.concatenate([past[last : last + 1], later])
    median = np.concatenate([series.values[last : last + 1], ahead[:, middle]])
    axis.plot(steps, median, color=FORECAST_COLOR, linewidth=1.6, label="median")
    axis.set_title(series.name, fontsize="medium")
