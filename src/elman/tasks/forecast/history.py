"""The past that a forecaster keeps of its training series, and how new data continue it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl

from elman.data.series.panel import Panel, Series, read_moments
from elman.data.series.rows import Array
from elman.data.series.stamps import format_stamp, with_zone
from elman.data.series.windows import Cutoffs
from elman.errors import DataError, UsageError, counted

CALENDAR: Final = (-62_135_596_800_000_000, 253_402_300_800_000_000)  # years 1 to 9999, in microseconds
_DAY: Final = 86_400_000_000
# Unit of a frequency → no less than its length.
MICROSECONDS: Final = {"us": 1, "business": 2 * _DAY, "month": 31 * _DAY, "integer": 1}


def tail(panel: Panel, steps: int) -> Panel:
    """Return the last `steps` of every series, and the covariates known after them."""
    return replace(panel, series=tuple(forget(panel, s, max(len(s.values) - steps, 0)) for s in panel.series))


def forget(panel: Panel, series: Series, first: int) -> Series:
    """Return a series from step `first` on, which keeps the last known value and covariates if its own are
    missing."""
    start = panel.stamps(series, first, 1)[0]
    return replace(
        series,
        start=start,
        values=_from(series.values, first),
        future=_from(series.future, first),
        nonnegative=series.nonnegative and not (series.values[:first] < 0).any(),
    )


def _from(rows: Array, first: int) -> Array:
    """Return rows (n,) or (n, F) from `first` on, at least one."""
    kept = np.full((max(len(rows) - first, 1), *rows.shape[1:]), np.nan)
    kept[: max(len(rows) - first, 0)] = rows[first:]
    for column, past in zip(np.atleast_2d(kept.T), np.atleast_2d(rows[: first + 1].T), strict=True):
        observed = past[~np.isnan(past)]
        if len(observed):
            column[0] = observed[-1]
    return kept


def continued(history: Panel, panel: Panel) -> Panel:
    """Return new series with their kept past before them, each up to its last new value.

    Where both have a value for a step, the new one counts. A series that starts before its kept past replaces
    it.
    """
    kept = {series.name: series for series in history.series}
    if history.columns.series is None and len(panel.series) == 1:
        kept = {panel.series[0].name: history.series[0]}
    joined = tuple(_joined(history, kept[s.name], s) if s.name in kept else s for s in panel.series)
    return replace(panel, series=joined)


def _joined(history: Panel, old: Series, new: Series) -> Series:
    slots, exact = history.frequency.slots(old.start, np.array([new.start]))
    if slots[0] < 0 or not exact[0]:
        return new
    first = int(slots[0])
    values = _overlaid(old.values, new.values, first)[: first + len(new.values)]
    future = _overlaid(old.future, new.future, first)
    return replace(new, start=old.start, values=values, future=future, nonnegative=old.nonnegative)


def _overlaid(old: Array, new: Array, first: int) -> Array:
    """Return `old` with the known values of `new` from step `first` on."""
    rows = np.full((max(len(old), first + len(new)), *old.shape[1:]), np.nan)
    rows[: len(old)] = old
    part = slice(first, first + len(new))
    rows[part] = np.where(np.isnan(new), rows[part], new)
    return rows


def training_end(history: Panel, panel: Panel, series: Series) -> int | None:
    """Return the step of `series` at which training ended; None for a series that training has not seen."""
    names = [s.name for s in history.series]
    single = history.columns.series is None and len(panel.series) == 1
    if series.name not in names and not single:
        return None
    old = history.series[0 if single else names.index(series.name)]
    slots, _ = history.frequency.slots(series.start, np.array([old.start]))
    return int(slots[0]) + len(old.values)


def unseen_note(history: Panel, panel: Panel, least_steps: int) -> tuple[str, ...]:
    """Return a note that names the series that training has not seen, and says how they are forecast; of
    those shorter than `least_steps`, too."""
    known = {series.name for series in history.series}
    single = history.columns.series is None and len(panel.series) == 1
    new = [] if single else [series for series in panel.series if series.name not in known]
    if not new:
        return ()
    named = ", ".join(repr(series.name) for series in new[:3]) + (", ..." if len(new) > 3 else "")
    note = f"{panel.name}: {counted(len(new), 'series', 'series')} that training has not seen ({named})"
    note += ": each forecast is from the series' own values, in their level and scale"
    short = sum(len(series.values) < least_steps for series in new)
    few = f"; {short} of them, of fewer than {least_steps} steps, without the network" if short else ""
    return (note + few,)


def later_cutoffs(history: Panel, panel: Panel, context: int, step: int) -> Cutoffs:
    """Return cut-offs `step` apart: of a training series from the end of training on, of another one after a
    context, or after half of a short one."""
    cutoffs: Cutoffs = []
    for i, series in enumerate(panel.series):
        n, ended = len(series.values), training_end(history, panel, series)
        first = min(context, n // 2) if ended is None else ended
        cutoffs += [(i, cutoff) for cutoff in range(max(first, 1), n, step)]
    return cutoffs


def origins(panel: Panel, series: Series, horizon: int, cutoffs: int | Sequence[Any]) -> list[int]:
    """Return the cut-offs of a backtest, ascending: before each of the last `cutoffs` horizons, or at these
    stamps.

    Raises:
        UsageError: a number below 1.
        DataError: stamps unlike those of the data.
    """
    n = len(series.values)
    if isinstance(cutoffs, str) or not np.iterable(cutoffs):
        if not isinstance(cutoffs, int) or isinstance(cutoffs, bool) or cutoffs < 1:
            raise UsageError(f"cutoffs must be a whole number of at least 1, or stamps, not {cutoffs!r}")
        steps = [n - k * horizon for k in range(cutoffs, 0, -1)]
    else:
        moments = read_moments(panel, list(cutoffs), "cutoffs")
        steps = np.unique(panel.frequency.slots(series.start, moments)[0]).tolist()
    return [step for step in steps if 0 < step < n]


def cut_at(panel: Panel, ends: Sequence[int | None]) -> Panel:
    """Return only the steps before `ends[i]` of series i, or all if that is None."""
    series = tuple(
        replace(s, values=s.values[:end], future=s.future[:end])
        for s, end in zip(panel.series, ends, strict=True)
    )
    return replace(panel, series=series)


def check_future(panel: Panel, horizon: int) -> None:
    """Raise DataError unless every covariate is known for the `horizon` steps after each series."""
    for series in panel.series:
        n = len(series.values)
        ahead = np.full((horizon, series.future.shape[1]), np.nan)
        covariates = series.future[n : n + horizon]
        ahead[: len(covariates)] = covariates
        for i, column in enumerate(panel.columns.future):
            missing = np.flatnonzero(np.isnan(ahead[:, i]))
            if len(missing):
                stamps = [format_stamp(stamp) for stamp in panel.stamps(series, n, horizon)[missing]]
                named = ", ".join(stamps[:3]) + (f", ... {stamps[-1]}" if len(stamps) > 3 else "")
                raise DataError(
                    f"series {series.name!r}: column {column!r} must be known ahead, but is missing for "
                    f"{named}; give it in rows without a value at the end of the data, or with future= "
                    "(--future FILE)."
                )


def forecast_frame(
    panel: Panel, quantiles: Array, levels: Sequence[float], shown: Sequence[float]
) -> pl.DataFrame:
    """Return rows `unique_id, ds, q0.1, ...` for the levels `shown`, from quantiles (series, H, Q) for
    `levels` after each series of a panel."""
    return steps_frame(
        panel, quantiles.shape[1], {f"q{level:g}": quantiles[..., levels.index(level)] for level in shown}
    )


def steps_frame(panel: Panel, horizon: int, columns: Mapping[str, Array]) -> pl.DataFrame:
    """Return rows `unique_id, ds` and columns (series, horizon) of the steps after each series of a panel."""
    stamps = np.concatenate([panel.stamps(s, len(s.values), horizon) for s in panel.series])
    ds = with_zone(stamps, panel.clock)
    names = names_column(panel, [s.name for s in panel.series for _ in range(horizon)])
    numbers = {name: values.ravel() for name, values in columns.items()}
    return pl.DataFrame({"unique_id": names, "ds": ds, **numbers})


def names_column(panel: Panel, names: Sequence[str]) -> pl.Series:
    """Return names of a panel's series as a column, of whole numbers if they were."""
    column = pl.Series(names, dtype=pl.String)
    if panel.whole_names:
        whole = column.cast(pl.Int64, strict=False)
        column = column if whole.has_nulls() else whole
    return column


def check_stamps(panel: Panel, steps: int) -> None:
    """Raise ValueError if the stamps of a series, or those of `steps` after it, leave the calendar or the
    whole numbers."""
    unit = panel.frequency.count * MICROSECONDS[panel.frequency.unit]
    first, last = (-(2**62), 2**62) if panel.kind == "integer" else CALENDAR
    for series in panel.series:
        start = int(series.start.astype(np.int64))
        if not first <= start <= start + (len(series.future) + steps) * unit <= last:
            raise ValueError(f"series.json: series {series.name!r:.60} leaves the years 1 to 9999")


def require_calendar(panel: Panel, steps: int) -> None:
    """Raise UsageError if one step more than these after a series leaves the calendar."""
    try:
        check_stamps(panel, steps + 1)
    except ValueError:
        raise UsageError("the horizon goes beyond the year 9999; give a shorter one") from None


def ends(panel: Panel) -> Cutoffs:
    """Return the cut-offs at the end of each series."""
    return [(i, len(series.values)) for i, series in enumerate(panel.series)]
