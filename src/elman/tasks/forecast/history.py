"""What a forecaster keeps of its training series, how new data continues it, and what must be known ahead."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor, from_numpy

from elman.data.series.columns import Columns
from elman.data.series.frequency import Frequency
from elman.data.series.panel import Array, Panel, Series, written
from elman.data.series.stamps import read_stamps
from elman.data.table.table import read_table
from elman.errors import DataError, UsageError


def tail(panel: Panel, context: int) -> Panel:
    """The last `context` steps of every series, and the covariates known after them."""
    return replace(
        panel, series=tuple(forget(panel, s, max(len(s.values) - context, 0)) for s in panel.series)
    )


def forget(panel: Panel, series: Series, first: int) -> Series:
    """A series without the steps before `first`; a covariate missing there keeps its last known value."""
    start = panel.stamps(series, first, 1)[0]
    future = series.future[first:].copy()
    for i, before in enumerate(series.future[: first + 1].T):
        known = before[~np.isnan(before)]
        if len(future) and len(known):
            future[0, i] = known[-1]
    return replace(series, start=start, values=series.values[first:], future=future)


def continued(history: Panel, panel: Panel) -> Panel:
    """New series, each with what is kept of its past before it, up to the last value of the new one.

    Where both know a step the new value counts. A series that starts before what is kept stands for itself.
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
    values = _laid_over(old.values, new.values, first)[: first + len(new.values)]
    future = _laid_over(old.future, new.future, first)
    return replace(new, start=old.start, values=values, future=future)


def _laid_over(old: Array, new: Array, first: int) -> Array:
    """`new` from step `first` on over `old`; where new is NaN, old shows."""
    out = np.full((max(len(old), first + len(new)), *old.shape[1:]), np.nan)
    out[: len(old)] = old
    there = out[first : first + len(new)]
    out[first : first + len(new)] = np.where(np.isnan(new), there, new)
    return out


def training_end(history: Panel, panel: Panel, series: Series) -> int | None:
    """The step of `series` at which training had ended; None for a series that training has not seen."""
    names = [s.name for s in history.series]
    single = history.columns.series is None and len(panel.series) == 1
    if series.name not in names and not single:
        return None
    old = history.series[0 if single else names.index(series.name)]
    slots, _ = history.frequency.slots(series.start, np.array([old.start]))
    return int(slots[0]) + len(old.values)


def origins(panel: Panel, series: Series, horizon: int, cutoffs: int | Sequence[Any]) -> list[int]:
    """Rising cut-offs of a backtest: the last so many horizons, or the steps of given stamps."""
    n = len(series.values)
    if isinstance(cutoffs, int):
        if cutoffs < 1:
            raise UsageError(f"cutoffs must be a whole number of at least 1, or stamps, not {cutoffs!r}")
        found = [n - k * horizon for k in range(cutoffs, 0, -1)]
    else:
        clock = read_stamps(read_table({"cutoffs": list(cutoffs)}), "cutoffs")
        if (clock.kind == "integer") != (panel.kind == "integer"):
            raise DataError("the cutoffs are not stamps like those of the data")
        found = np.unique(panel.frequency.slots(series.start, clock.stamps)[0]).tolist()
    return [cutoff for cutoff in found if 0 < cutoff < n]


def cut_at(panel: Panel, ends: Sequence[int | None]) -> Panel:
    """Only the steps before `ends[i]` of each series; nothing of a series whose end is None is dropped."""
    series = tuple(
        replace(s, values=s.values[:end], future=s.future[:end])
        for s, end in zip(panel.series, ends, strict=True)
    )
    return replace(panel, series=series)


def check_future(panel: Panel, horizon: int) -> None:
    """Raises DataError unless every covariate is known for the `horizon` steps after each series."""
    for series in panel.series:
        n = len(series.values)
        ahead = np.full((horizon, series.future.shape[1]), np.nan)
        given = series.future[n : n + horizon]
        ahead[: len(given)] = given
        for i, column in enumerate(panel.columns.future):
            missing = np.flatnonzero(np.isnan(ahead[:, i]))
            if len(missing):
                stamps = [written(stamp) for stamp in panel.stamps(series, n, horizon)[missing]]
                named = ", ".join(stamps[:3]) + (f", ... {stamps[-1]}" if len(stamps) > 3 else "")
                raise DataError(
                    f"series {series.name!r}: column {column!r} must be known ahead, but is missing for "
                    f"{named}; give it in rows without a value at the end of the data, or with future=."
                )


def forecast_frame(
    panel: Panel, quantiles: Array, levels: Sequence[float], asked: Sequence[float]
) -> pl.DataFrame:
    """Quantiles (series, H, Q) after each series of a panel → rows `unique_id, ds, q0.1, ...` for `asked`."""
    horizon = quantiles.shape[1]
    stamps = np.concatenate([panel.stamps(s, len(s.values), horizon) for s in panel.series])
    ds = pl.Series("ds", stamps)
    if panel.kind == "date":
        ds = ds.cast(pl.Date)
    names = [s.name for s in panel.series for _ in range(horizon)]
    columns = {f"q{level:g}": quantiles[..., levels.index(level)].ravel() for level in asked}
    return pl.DataFrame({"unique_id": names, "ds": ds, **columns})


def to_parts(history: Panel, scales: Sequence[float]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A history as JSON and tensors, exact to the bit."""
    series = [
        {
            "name": s.name,
            "start": int(s.start) if history.kind == "integer" else str(s.start),
            "values": len(s.values),
            "future": len(s.future),
            "static": s.static,
            "scale": None if np.isnan(scale) else scale,
        }
        for s, scale in zip(history.series, scales, strict=True)
    ]
    frequency, columns = history.frequency, history.columns
    described = {
        "series": series,
        "frequency": [frequency.unit, frequency.count, frequency.month_end],
        "columns": [columns.time, columns.value, columns.series, columns.future, columns.static],
        "kind": history.kind,
        "name": history.name,
        "fingerprint": history.fingerprint,
    }
    tensors = {
        "history.values": from_numpy(np.concatenate([s.values for s in history.series])),
        "history.future": from_numpy(np.concatenate([s.future for s in history.series])),
    }
    return described, tensors


def from_parts(described: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[Panel, tuple[float, ...]]:
    """Inverse of `to_parts`."""
    found = described["series"]
    values = np.split(tensors["history.values"].numpy(), np.cumsum([s["values"] for s in found])[:-1])
    future = np.split(tensors["history.future"].numpy(), np.cumsum([s["future"] for s in found])[:-1])
    kind = described["kind"]
    series = tuple(
        Series(
            one["name"],
            np.int64(one["start"]) if kind == "integer" else np.datetime64(one["start"], "us"),
            v,
            f,
            tuple(one["static"]),
        )
        for one, v, f in zip(found, values, future, strict=True)
    )
    time, value, name, known, static = described["columns"]
    columns = Columns(time, value, name, tuple(known), tuple(static))
    frequency = Frequency(*described["frequency"])
    panel = Panel(series, frequency, columns, kind, described["name"], described["fingerprint"])
    return panel, tuple(float("nan") if s["scale"] is None else s["scale"] for s in found)
