"""The lesson's own pictures."""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elman.lens.figures import WIDTH, finished

__all__ = ["COLOURS", "finished", "panels"]

COLOURS: Final = {"Elman": "#d2604a", "GRU": "#2a9d8f", "LSTM": "#1f78c8", "bag of words": "#8a8f98"}


def panels(count: int, height: float = 3.4) -> tuple[Figure, Sequence[Axes]]:
    """Return an empty figure with axes side by side."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes: Any = figure.subplots(1, count, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
