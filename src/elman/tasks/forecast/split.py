"""Which windows of each series train and which validate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from elman.data.series.panel import Panel
from elman.data.series.windows import Cutoffs

VALIDATION_WINDOWS: Final = 64
MAX_SPACED_WINDOWS: Final = 1000
MAX_SHORT_WINDOWS: Final = 8  # of a series without a network
MAX_SPACED_STEPS: Final = 200_000


@dataclass(frozen=True)
class Split:
    """The training windows of each series, and the validation windows, which forecast later steps.

    Attributes:
        first, last: the cut-offs of the earliest and the latest training window of each series.
        valid: the (series, cut-off) of the validation windows.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    valid: Cutoffs

    @property
    def windows(self) -> int:
        """The number of training windows."""
        return sum(last - first + 1 for first, last in zip(self.first, self.last, strict=True))

    def whole(self, lengths: Sequence[int], horizon: int) -> "Split":
        """Return the split that trains on the validation steps too."""
        return replace(self, last=tuple(n - horizon for n in lengths))

    def spaced(self, lengths: Sequence[int], horizon: int, limit: int = MAX_SPACED_WINDOWS) -> Cutoffs:
        """Return about `limit` windows at most, evenly spaced over the later half of each series, from the
        first training window on; the last ends with the series."""
        each = max(min(limit, MAX_SPACED_STEPS // horizon) // len(lengths), 1)
        lasts = [n - horizon for n in lengths]
        return [
            (series, int(cutoff))
            for series, (first, last) in enumerate(zip(self.first, lasts, strict=True))
            for cutoff in np.unique(np.linspace(last, max(first, last // 2), each).astype(int))
        ]

    def horizons(self, lengths: Sequence[int], horizon: int) -> float:
        """Return the length of the validation steps in horizons."""
        return spanned(self.valid, lengths, horizon)


def spanned(cutoffs: Cutoffs, lengths: Sequence[int], horizon: int) -> float:
    """Return the length of the steps from the first cut-off of each series to its end in horizons:
    overlapping windows are no more evidence."""
    first = dict(sorted(cutoffs, reverse=True))
    return sum(lengths[series] - cutoff for series, cutoff in first.items()) / horizon


def divide(lengths: Sequence[int], horizon: int, season: int) -> Split:
    """Split series of these lengths: the last horizons of every series validate, in as many windows as make
    about VALIDATION_WINDOWS in all, within the last fifth of a series."""
    first, last, valid = [], [], []
    windows = math.ceil(VALIDATION_WINDOWS / len(lengths))
    for series, n in enumerate(lengths):
        span = max(min(n // 5, n - shortest(horizon) + horizon) - horizon, 0)
        count = min(windows, span + 1)
        stride = max(min(span // max(count - 1, 1), horizon), 1)
        cutoffs = [n - horizon - i * stride for i in range(count)]
        valid += [(series, cutoff) for cutoff in cutoffs]
        last.append(cutoffs[-1] - horizon)
        # A window should have a season before it, unless that leaves hardly a window to train on.
        seasonal = season + 1 + min(horizon, 8) <= last[-1]
        first.append(season + 1 if seasonal else max(3, last[-1] // 2))
    return Split(tuple(first), tuple(last), valid)


def shortest(horizon: int) -> int:
    """Return the steps that a series must have: some context, a horizon to train and one to validate on."""
    return 2 * horizon + 3


def trainable(panel: Panel, horizon: int) -> Panel:
    """Return the panel without the series too short for a network, which its notes name."""
    need = shortest(horizon)
    kept = tuple(s for s in panel.series if len(s.values) >= need)
    short = [s for s in panel.series if len(s.values) < need]
    names = ", ".join(repr(s.name) for s in short[:5]) + (", ..." if len(short) > 5 else "")
    verb = "has" if len(short) == 1 else "have"
    note = f"{len(short)} series shorter than {need} steps {verb} forecasts without a network: {names}"
    return replace(panel, series=kept, notes=panel.notes + ((note,) if short else ()))


def short_cutoffs(lengths: Sequence[int], limit: int = MAX_SPACED_WINDOWS) -> Cutoffs:
    """Return cut-offs in the later half of series without a network: a few of each, each with a value before
    and after it."""
    each = max(min(limit // len(lengths), MAX_SHORT_WINDOWS), 1)
    return [
        (series, int(cutoff))
        for series, n in enumerate(lengths)
        if n > 1
        for cutoff in np.unique(np.linspace((n + 1) // 2, n - 1, each + 1).astype(int)[:each])
    ]
