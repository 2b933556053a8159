"""Tables in long form → series on regular grids, with notes on every gap, ambiguity and repair."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.data.series.columns import Columns, find_columns, is_numeric
from elman.data.series.frequency import Frequency, infer_frequency
from elman.data.series.stamps import StampColumn, Stamps, read_stamps
from elman.data.table.table import Table, read_table
from elman.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Series:
    """One series on its grid: the stamp of step i is `frequency.stamps(start, i)`."""

    name: str
    start: np.generic
    values: Array  # (n,) NaN where missing; the first and the last are known
    future: Array  # (m, F) covariates known ahead, with m >= n; NaN where missing
    static: tuple[str | float, ...] = ()  # one text or number per static column


@dataclass(frozen=True, eq=False)
class Panel:
    """Several series of one frequency."""

    series: tuple[Series, ...]
    frequency: Frequency
    columns: Columns
    kind: str  # of the stamps: "integer", "date" or "datetime"
    name: str
    fingerprint: str
    notes: tuple[str, ...] = ()  # sentences about irregular, missing or ambiguous data

    def stamps(self, series: Series, first: int, count: int) -> Stamps:
        """Return the stamps of `count` steps of a series, from step `first` on."""
        return self.frequency.stamps(series.start, np.arange(first, first + count))


def read_panel(
    source: Any,
    *,
    time: str | None = None,
    value: str | None = None,
    series: str | None = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
    frequency: str | Frequency | None = None,
) -> Panel:
    """Read series from a table in long form, with one row per series and stamp.

    Args:
        source: as in `read_table`.
        time, value, series: names of columns. They can be omitted if they are `ds`, `y` and `unique_id` or if
            only one column is possible. A table without a time column is one series of steps.
        future: columns known ahead of time (holidays, prices), also in rows after the last value.
        static: columns with one value per series, text or number.
        frequency: as in `Frequency.parse`; inferred if None.

    Raises:
        DataError: two rows hold the same stamp of one series, a stamp or number cannot be read, all values
            are missing, or the grid would be far longer than the table.
    """
    table = read_table(source)
    columns = find_columns(table, time, value, series, future, static)
    rows = _Rows.of(table, columns)
    if isinstance(frequency, str):
        frequency = Frequency.parse(frequency)
    groups = rows.groups()
    frequency = frequency or infer_frequency([rows.time.stamps[g] for g in groups.values()], table.name)
    _check_unit(frequency, rows.time, table, columns)
    notes = list(rows.time.notes)
    if columns.time is None and len(table.frame.columns) > 1:
        notes.append(f"{table.name} has no column of times, so its rows are the steps")
    grids = [_grid(rows, name, index, frequency, notes) for name, index in groups.items()]
    nonempty = tuple(grid for grid in grids if grid is not None)
    if not nonempty:
        raise DataError(f"{table.name}: column {columns.value!r} is empty; give at least a few values.")
    kind = rows.time.kind
    return Panel(nonempty, frequency, columns, kind, table.name, table.fingerprint, _shortened(notes))


def extend(panel: Panel, source: Any) -> Panel:
    """Add the covariates of later steps from a table with the panel's series, time and future columns.

    Raises:
        DataError: a column is missing, a stamp repeats, or a series is not in the panel.
    """
    table = read_table(source)
    columns = replace(panel.columns, value=panel.columns.future[0], static=())
    table.require(*columns.all)
    rows = _Rows.of(table, columns)
    groups = rows.groups()
    if panel.columns.series is None and groups:
        groups = {panel.series[0].name: next(iter(groups.values()))}
    unknown = [name for name in groups if name not in {one.name for one in panel.series}]
    if unknown:
        raise DataError(f"{table.name}: series {unknown[0]!r} is not among those to forecast; remove it.")
    extended = tuple(
        _with_future(one, rows, groups[one.name], panel.frequency) if one.name in groups else one
        for one in panel.series
    )
    return replace(panel, series=extended)


@dataclass(frozen=True, eq=False)
class _Rows:
    table: Table
    columns: Columns
    time: StampColumn
    values: Array
    future: Array
    names: pl.Series | None

    @classmethod
    def of(cls, table: Table, columns: Columns) -> "_Rows":
        rows = np.arange(len(table))
        time = StampColumn(rows, "integer") if columns.time is None else read_stamps(table, columns.time)
        future = np.zeros((len(table), len(columns.future)))
        for i, column in enumerate(columns.future):
            future[:, i] = table.numbers(column).to_numpy()
        names = None if columns.series is None else pl.Series(table.texts(columns.series))
        return cls(table, columns, time, table.numbers(columns.value).to_numpy(), future, names)

    def groups(self) -> dict[str, NDArray[np.int64]]:
        """Return the row numbers of each series in order of time; the series are in order of appearance."""
        order = np.argsort(self.time.stamps, kind="stable")
        if self.names is None:
            groups = {self.columns.value: order}
        else:
            _, first, codes = np.unique(self.names.to_numpy(), return_index=True, return_inverse=True)
            by_series = order[np.argsort(codes[order], kind="stable")]
            parts = np.split(by_series, np.cumsum(np.bincount(codes))[:-1])
            groups = {str(self.names[int(first[i])]): parts[i] for i in np.argsort(first)}
        for name, index in groups.items():
            self._refuse_repeats(name, index)
        return groups

    def _refuse_repeats(self, name: str, index: NDArray[np.int64]) -> None:
        stamps = self.time.stamps[index]
        same = np.flatnonzero(stamps[1:] == stamps[:-1])
        if len(same):
            a, b = sorted((int(index[same[0]]), int(index[same[0] + 1])))
            whose = f" of series {name!r}" if self.names is not None else ""
            hint = "" if whose else ", or name the column that distinguishes several series with series="
            stamp = format_stamp(stamps[same[0]])
            rows = f"{self.table.row(a)} and row {b + self.table.first_row}"
            raise DataError(f"{rows} both hold {stamp}{whose}; keep one of them{hint}.")


def _check_unit(frequency: Frequency, time: StampColumn, table: Table, columns: Columns) -> None:
    if (frequency.unit == "integer") != (time.kind == "integer"):
        what = "whole numbers" if time.kind == "integer" else "dates"
        raise DataError(
            f"{table.name}: the stamps ({columns.time or 'row numbers'}) are {what}, so the frequency cannot "
            f"be {str(frequency)!r}; omit frequency or give one for {what}."
        )


def _grid(
    rows: _Rows, name: str, index: NDArray[np.int64], frequency: Frequency, notes: list[str]
) -> Series | None:
    """Return the series from its first to its last known value, or None if all values are missing."""
    observed = ~np.isnan(rows.values[index])
    if not observed.any():
        notes.append(f"series {name!r} has no values and is omitted")
        return None
    index = index[int(observed.argmax()) :]
    stamps = rows.time.stamps[index]
    slots, exact = frequency.slots(stamps[0], stamps)
    _refuse_sparse(rows, name, slots, frequency)
    values = np.full(int(slots[-1]) + 1, np.nan)
    # Rows are in order of time, so of two stamps in one step the later one counts.
    values[slots] = rows.values[index]
    future = np.full((len(values), rows.future.shape[1]), np.nan)
    future[slots] = rows.future[index]
    values = values[: int(np.flatnonzero(~np.isnan(values))[-1]) + 1]
    series = Series(name, stamps[0], values, future, _static(rows, name, index))
    notes += _irregularities(series, stamps, slots, exact, frequency)
    return series


def _with_future(series: Series, rows: _Rows, index: NDArray[np.int64], frequency: Frequency) -> Series:
    slots, _ = frequency.slots(series.start, rows.time.stamps[index])
    index, slots = index[slots >= 0], slots[slots >= 0]
    if not len(slots):
        return series
    _refuse_sparse(rows, series.name, slots, frequency, len(series.values))
    future = np.full((max(len(series.future), int(slots[-1]) + 1), series.future.shape[1]), np.nan)
    future[: len(series.future)] = series.future
    future[slots] = rows.future[index]
    return replace(series, future=future)


def _refuse_sparse(
    rows: _Rows, name: str, slots: NDArray[np.int64], frequency: Frequency, length: int = 0
) -> None:
    if slots[-1] + 1 > 1000 + length + 50 * len(slots):
        raise DataError(
            f"{rows.table.name}: series {name!r} has {len(slots)} rows but spans {slots[-1] + 1} steps of "
            f"{frequency}; correct the stamps or give a longer frequency."
        )


def _static(rows: _Rows, name: str, index: NDArray[np.int64]) -> tuple[str | float, ...]:
    values: list[str | float] = []
    for column in rows.columns.static:
        cells = rows.table.frame[column]
        first = cells[int(index[0])]
        other = np.flatnonzero((cells.gather(index) != first).fill_null(True).to_numpy())
        if first is None or len(other):
            row = int(index[other[0]] if first is not None else index[0])
            raise DataError(
                f"{rows.table.row(row)}: static column {column!r} of series {name!r} holds {cells[row]} "
                f"after {first}; a static column should hold the same value in all rows of a series."
            )
        values.append(float(first) if is_numeric(cells) else str(first))
    return tuple(values)


def _irregularities(
    series: Series, stamps: Stamps, slots: NDArray[np.int64], exact: NDArray[np.bool_], frequency: Frequency
) -> Iterator[str]:
    off = np.flatnonzero(~exact)
    if len(off):
        yield (
            f"series {series.name!r}: {len(off)} of {len(stamps)} stamps are off the grid of {frequency} "
            f"(first {format_stamp(stamps[off[0]])}) and were moved to the nearest step"
        )
    shared = np.flatnonzero(slots[1:] == slots[:-1])
    if len(shared):
        first = format_stamp(stamps[shared[0]])
        yield (
            f"series {series.name!r}: {len(shared)} stamps share a step with a later one "
            f"(first {first}) and were dropped"
        )
    missing = np.flatnonzero(np.isnan(series.values))
    if len(missing):
        first = format_stamp(frequency.stamps(series.start, missing[:1])[0])
        yield (
            f"series {series.name!r}: {len(missing)} of {len(series.values)} steps have no value "
            f"(first {first})"
        )


def _shortened(notes: list[str], limit: int = 8) -> tuple[str, ...]:
    more = [f"and {len(notes) - limit} more notes like these"] if len(notes) > limit else []
    return tuple(notes[:limit] + more)


def format_stamp(stamp: Any) -> str:
    """Return a stamp as text, without zero fractions, seconds and hours at its end."""
    if not isinstance(stamp, np.datetime64):
        return str(stamp)
    text = str(stamp.astype("datetime64[us]")).replace("T", " ")
    for zeros in (".000000", ":00", " 00:00"):
        text = text.removesuffix(zeros)
    return text
