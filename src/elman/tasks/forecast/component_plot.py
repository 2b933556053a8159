"""Pictures of what forecasts consist of."""

from collections.abc import Mapping
from itertools import cycle
from typing import Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elman.data.series.panel import Panel
from elman.data.series.rows import Array
from elman.data.series.stamps import format_stamp
from elman.lens.plot import INK, LOOK, plain_numbers
from elman.tasks.forecast.components import FORECAST, LEVEL
from elman.tasks.forecast.plot import panels, say_left_out

COLORS: Final = ("#e69f00", "#56a0d3", "#009e73", "#cc79a7", "#8c6bb1", "#d55e00", "#b0a03c", "#7f7f7f")
WIDTH_OF_STAMPS: Final = 54  # characters that have room below a panel


@rc_context(LOOK)
def drawn_components(panel: Panel, terms: Mapping[str, Array], total: int = 0) -> Figure:
    """Draw a panel for each series: the level, the other terms stacked from it, upwards or downwards, and the
    forecast that they add up to.

    Args:
        terms: the forecast and its terms (series, H) by name, as `components` returns them.
        total: number of series that there are, if these are not all.
    """
    parts = {name: values for name, values in terms.items() if name not in (FORECAST, LEVEL) and values.any()}
    figure, axes = panels(len(panel.series))
    for number, (axis, series) in enumerate(zip(axes, panel.series, strict=True)):
        steps = panel.local_stamps(series, len(series.values), terms[LEVEL].shape[1])
        stamps = [format_stamp(stamp) for stamp in steps]
        own = {name: values[number] for name, values in parts.items()}
        _draw(axis, terms[LEVEL][number], terms[FORECAST][number], own, stamps)
        axis.set_title(series.name, loc="left", parse_math=False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    say_left_out(figure, len(panel.series), total)
    return figure


def _draw(axis: Axes, level: Array, forecast: Array, parts: Mapping[str, Array], stamps: list[str]) -> None:
    steps = np.arange(len(level))
    above, below = level.copy(), level.copy()
    axis.plot(steps, level, color=INK, linewidth=1, linestyle="--", label=LEVEL)
    for (name, values), color in zip(parts.items(), cycle(COLORS), strict=False):
        start = np.where(values > 0, above, below)
        axis.bar(steps, values, 0.7, start, color=color, label=name)
        above, below = above + values.clip(min=0), below + values.clip(max=0)
    axis.plot(steps, forecast, color=INK, linewidth=1.6, marker="o", markersize=3, label=FORECAST)
    most = max(int(WIDTH_OF_STAMPS / (max(map(len, stamps)) + 2)), 2)  # so that none lies over the next
    shown = steps[:: -(-len(steps) // most)]
    axis.set_xticks(shown, [stamps[step] for step in shown])
    plain_numbers(axis)
