"""What a user may choose of a forecaster, what is derived from the data, which steps train or validate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.cells import CELLS
from elman.data.series.panel import Panel
from elman.data.series.windows import Pairs
from elman.errors import DataError, UsageError

MODES = ("direct", "recursive")


@dataclass(frozen=True)
class Settings:
    """What a forecaster is made of. None: derived from the data."""

    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    mode: str = "direct"  # all steps at once; or "recursive", one step feeding the next
    cell: str = "lstm"  # a name in elman.cells.CELLS
    hidden: int | None = None
    layers: int = 1
    dropout: float = 0.1
    context: int | None = None  # steps of the past the network sees
    season: int | None = None  # steps; 24 for hours, 7 for days, 12 for months, ... by the frequency

    def __post_init__(self) -> None:
        object.__setattr__(self, "quantiles", _levels(self.quantiles))
        for name, known in (("mode", MODES), ("cell", tuple(CELLS))):
            if getattr(self, name) not in known:
                listed = ", ".join(known)
                raise UsageError(f"{name} must be one of {listed}, not {getattr(self, name)!r}")
        for name in ("hidden", "layers", "context", "season"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UsageError(f"{name} must be a whole number of at least 1, not {value!r}")
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise UsageError(f"dropout must be a share from 0 to below 1, not {self.dropout!r}")

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels inside: those asked for and the median."""
        return tuple(sorted({*self.quantiles, 0.5}))


def _levels(quantiles: Any) -> tuple[float, ...]:
    given = tuple(quantiles) if isinstance(quantiles, list | tuple) else (quantiles,)
    good = all(isinstance(q, int | float) and 0 < q < 1 for q in given)
    if not given or not good or len(set(given)) < len(given):
        raise UsageError(
            f"quantiles must be different shares between 0 and 1, such as 0.1, 0.5, 0.9, not {quantiles!r}"
        )
    return tuple(sorted(float(q) for q in given))


def settle(settings: Settings, panel: Panel, horizon: int) -> Settings:
    """The settings with nothing left to derive."""
    lengths = [len(series.values) for series in panel.series]
    season = settings.season or panel.frequency.season
    context = settings.context
    if context is None:
        seasons = min(max(336 // season, 1), 7)
        context = min(max(seasons * season, 2 * horizon, 24), 400, max(max(lengths) - 2 * horizon, 3))
    values = sum(lengths)
    hidden = settings.hidden or (24 if values < 1000 else 32 if values < 5000 else 64)
    return replace(settings, season=season, context=context, hidden=hidden)


def effective_season(settings: Settings) -> int:
    """The season that fits into the context (twice, for a recursive net); 1 if it does not."""
    assert settings.season is not None and settings.context is not None
    needed = settings.season * (2 if settings.mode == "recursive" else 1)
    return settings.season if needed <= settings.context else 1


@dataclass(frozen=True)
class Division:
    """Which windows of each series train, and which validate: later ones, whose steps ahead no other sees.

    first, last: cut-offs of the earliest and the latest training window of each series. valid: (series,
    cut-off) of the validation windows.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    valid: Pairs

    @property
    def windows(self) -> int:
        """Number of training windows."""
        return sum(last - first + 1 for first, last in zip(self.first, self.last, strict=True))

    def whole(self, lengths: Sequence[int], horizon: int) -> "Division":
        """The same, with the steps that validated trained on too."""
        return replace(self, last=tuple(n - horizon for n in lengths))

    def spaced(self, lengths: Sequence[int], horizon: int, limit: int = 2000) -> Pairs:
        """At most about `limit` windows, evenly spaced from the first training window to the end."""
        each = max(limit // len(lengths), 1)
        return [
            (series, int(cutoff))
            for series, (first, n) in enumerate(zip(self.first, lengths, strict=True))
            for cutoff in np.unique(np.linspace(first, n - horizon, each).astype(int))
        ]

    def horizons(self, lengths: Sequence[int], horizon: int) -> float:
        """How many horizons the validating steps make: overlapping windows are no more evidence than that."""
        first = dict(sorted(self.valid, reverse=True))
        return sum(lengths[series] - cutoff for series, cutoff in first.items()) / horizon


def shortest(horizon: int) -> int:
    """Steps a series must have: a few to look back on, a horizon to train on and one to validate on."""
    return 2 * horizon + 3


def drop_short(panel: Panel, horizon: int, cure: str | None = None) -> Panel:
    """Without the series too short for the horizon, which are named in the notes.

    Raises:
        DataError: none remains; the message ends in `cure`, or else in the longest horizon there could be.
    """
    need = shortest(horizon)
    kept = tuple(s for s in panel.series if len(s.values) >= need)
    dropped = [s for s in panel.series if len(s.values) < need]
    if not kept:
        longest = max(dropped, key=lambda s: len(s.values))
        possible = (len(longest.values) - 3) // 2
        shorter = f" or a horizon of at most {possible}" if possible > 0 else ""
        raise DataError(
            f"{panel.name}: a horizon of {horizon} needs series of at least {need} steps, but the longest, "
            f"{longest.name!r}, has {len(longest.values)}; {cure or f'give more history{shorter}'}."
        )
    names = ", ".join(repr(s.name) for s in dropped[:5]) + (", ..." if len(dropped) > 5 else "")
    note = (f"{len(dropped)} series shorter than {need} steps left out: {names}",) if dropped else ()
    return replace(panel, series=kept, notes=panel.notes + note)


def divide(lengths: Sequence[int], horizon: int, season: int) -> Division:
    """The last horizons of every series validate; as many windows as make about 64, within the last fifth."""
    first, last, valid = [], [], []
    for series, n in enumerate(lengths):
        wanted = math.ceil(64 / len(lengths))
        span = max(min(n // 5, n - shortest(horizon) + horizon) - horizon, 0)
        count = min(wanted, span + 1)
        stride = max(min(span // max(count - 1, 1), horizon), 1)
        cutoffs = [n - horizon - i * stride for i in range(count)]
        valid += [(series, cutoff) for cutoff in cutoffs]
        last.append(cutoffs[-1] - horizon)
        # A window should have a season to look back on, unless that leaves hardly a window to train on.
        whole = season + 1 + min(horizon, 8) <= last[-1]
        first.append(season + 1 if whole else max(3, last[-1] // 2))
    return Division(tuple(first), tuple(last), valid)


def plan_defaults(windows: int) -> dict[str, Any]:
    """Of `elman.training.loop.Plan`, for a number of training windows: few windows are seen more often."""
    few = windows < 5000
    batch = 32 if few else 64
    steps = epoch_windows(windows, batch) // batch
    return {
        "batch_size": batch,
        "epochs": min(max(round(400 / steps), 12), 25),
        "learning_rate": 4e-3 if few else 2e-3,
        "patience": 5,
    }


def epoch_windows(windows: int, batch: int) -> int:
    """How many windows to draw for an epoch: all, within reason."""
    return max(min(max(windows, 512), 8192), batch)
