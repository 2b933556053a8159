"""Series in long form → values on regular grids, with every gap, doubt and repair reported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.data.series import frequency as frequencies
from elman.data.series.columns import Columns, is_numeric, recognise
from elman.data.series.frequency import Frequency
from elman.data.series.stamps import Clock, Stamps, read_stamps
from elman.data.table.table import Table, read_table
from elman.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Series:
    """One series on its grid: step i is `frequency.stamps(start, i)`.

    values (n,): NaN where missing; the first and the last are known. future (m, F): the covariates known
    ahead, with m >= n; NaN where missing. static: one text or number per static column.
    """

    name: str
    start: np.generic
    values: Array
    future: Array
    static: tuple[str | float, ...] = ()


@dataclass(frozen=True, eq=False)
class Panel:
    """Several series of one frequency.

    `kind` tells how stamps are written back: "integer", "date" or "datetime". `notes`: sentences about what
    was irregular, missing or ambiguous.
    """

    series: tuple[Series, ...]
    frequency: Frequency
    columns: Columns
    kind: str
    name: str
    fingerprint: str
    notes: tuple[str, ...] = ()

    def stamps(self, series: Series, first: int, count: int) -> Stamps:
        """Stamps of `count` steps of a series, from step `first` on."""
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
    """The series in `source` (whatever `read_table` takes), long form: one row a series and stamp.

    Args:
        time, value, series: columns; found by themselves where they are `ds`, `y`, `unique_id` or no other
            can be meant. A table without a time column is one series of steps.
        future: columns known ahead of time (holidays, prices); rows after the last value give them for later.
        static: columns that say what a series is; one value a series, text or number.
        frequency: as `Frequency.parse` reads it; inferred if not given.

    Raises:
        DataError: two rows hold the same stamp of one series, a stamp or number cannot be read, no value is
            known, or the grid would be absurdly longer than the table.
    """
    table = read_table(source)
    columns = recognise(table, time, value, series, future, static)
    rows = _Rows.of(table, columns)
    if isinstance(frequency, str):
        frequency = Frequency.parse(frequency)
    groups = rows.groups()
    frequency = frequency or frequencies.infer([rows.clock.stamps[g] for g in groups.values()], table.name)
    _check_unit(frequency, rows.clock, table, columns)
    notes = list(rows.clock.notes)
    if columns.time is None and len(table.frame.columns) > 1:
        notes.append(f"{table.name} has no column of times: its rows are taken for the steps")
    found = [_grid(rows, name, index, frequency, notes) for name, index in groups.items()]
    kept = tuple(one for one in found if one is not None)
    if not kept:
        raise DataError(f"{table.name}: column {columns.value!r} holds no value at all; give at least a few.")
    return Panel(kept, frequency, columns, rows.clock.kind, table.name, table.fingerprint, _shortened(notes))


def extend(panel: Panel, source: Any) -> Panel:
    """`panel` with the covariates that `source` (series, time and future columns) gives for later steps.

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
        raise DataError(f"{table.name}: series {unknown[0]!r} is not among the series to forecast.")
    return replace(
        panel,
        series=tuple(
            _with_future(one, rows, groups[one.name], panel.frequency) if one.name in groups else one
            for one in panel.series
        ),
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """A table's columns as arrays, one entry a row."""

    table: Table
    columns: Columns
    clock: Clock
    values: Array
    future: Array
    names: pl.Series | None

    @classmethod
    def of(cls, table: Table, columns: Columns) -> "_Rows":
        n = len(table)
        clock = Clock(np.arange(n), "integer") if columns.time is None else read_stamps(table, columns.time)
        future = [table.numbers(c).fill_null(float("nan")).to_numpy() for c in columns.future]
        names = None
        if columns.series is not None:
            names = pl.Series(table.texts(columns.series))
        return cls(
            table,
            columns,
            clock,
            table.numbers(columns.value).fill_null(float("nan")).to_numpy().astype(np.float64),
            np.stack(future, 1) if future else np.zeros((n, 0)),
            names,
        )

    def groups(self) -> dict[str, NDArray[np.int64]]:
        """Row numbers of every series, in order of time; the series in order of appearance.

        Raises:
            DataError: a stamp occurs twice in a series.
        """
        order = np.argsort(self.clock.stamps, kind="stable")
        if self.names is None:
            found = {self.columns.value: order}
        else:
            _, first, codes = np.unique(self.names.to_numpy(), return_index=True, return_inverse=True)
            by_series = order[np.argsort(codes[order], kind="stable")]
            parts = np.split(by_series, np.cumsum(np.bincount(codes))[:-1])
            found = {str(self.names[int(first[i])]): parts[i] for i in np.argsort(first)}
        for name, index in found.items():
            self._refuse_repeats(name, index)
        return found

    def _refuse_repeats(self, name: str, index: NDArray[np.int64]) -> None:
        stamps = self.clock.stamps[index]
        same = np.flatnonzero(stamps[1:] == stamps[:-1])
        if len(same):
            a, b = sorted((int(index[same[0]]), int(index[same[0] + 1])))
            whose = f" of series {name!r}" if self.names is not None else ""
            hint = (
                "" if self.names is not None else ", or name the column that tells series apart with series="
            )
            raise DataError(
                f"{self.table.row(a)} and row {b + self.table.first_row} both hold {written(stamps[same[0]])}"
                f"{whose}; keep one of them{hint}."
            )


def _check_unit(frequency: Frequency, clock: Clock, table: Table, columns: Columns) -> None:
    if (frequency.unit == "integer") != (clock.kind == "integer"):
        what = "whole numbers" if clock.kind == "integer" else "dates"
        raise DataError(
            f"{table.name}: the stamps ({columns.time or 'row numbers'}) are {what}, so the frequency cannot "
            f"be {str(frequency)!r}; leave frequency out or give one for {what}."
        )


def _grid(
    rows: _Rows, name: str, index: NDArray[np.int64], frequency: Frequency, notes: list[str]
) -> Series | None:
    """The series at rows `index` on its grid, from its first to its last known value; None if it has none."""
    known = ~np.isnan(rows.values[index])
    if not known.any():
        notes.append(f"series {name!r} has no value and is left out")
        return None
    index = index[int(known.argmax()) :]
    stamps = rows.clock.stamps[index]
    slots, exact = frequency.slots(stamps[0], stamps)
    _refuse_sparse(rows, name, slots, frequency)
    _note_uneven(name, stamps, slots, exact, frequency, notes)
    values = np.full(int(slots[-1]) + 1, np.nan)
    # Of two stamps that fall into one step the later counts: rows are in order of time, it is written last.
    values[slots] = rows.values[index]
    future = np.full((len(values), rows.future.shape[1]), np.nan)
    future[slots] = rows.future[index]
    values = values[: int(np.flatnonzero(~np.isnan(values))[-1]) + 1]
    _note_gaps(name, values, stamps[0], frequency, notes)
    return Series(name, stamps[0], values, future, _static(rows, name, index))


def _with_future(series: Series, rows: _Rows, index: NDArray[np.int64], frequency: Frequency) -> Series:
    slots, _ = frequency.slots(series.start, rows.clock.stamps[index])
    index, slots = index[slots >= 0], slots[slots >= 0]
    if not len(slots):
        return series
    _refuse_sparse(rows, series.name, slots, frequency, len(series.values))
    future = np.full((max(len(series.future), int(slots[-1]) + 1), series.future.shape[1]), np.nan)
    future[: len(series.future)] = series.future
    future[slots] = rows.future[index]
    return replace(series, future=future)


def _refuse_sparse(
    rows: _Rows, name: str, slots: NDArray[np.int64], frequency: Frequency, known: int = 0
) -> None:
    if slots[-1] + 1 > 1000 + known + 50 * len(slots):
        raise DataError(
            f"{rows.table.name}: series {name!r} has {len(slots)} rows but spans {slots[-1] + 1} steps of "
            f"{frequency}; correct the stamps or give a longer step with frequency=."
        )


def _static(rows: _Rows, name: str, index: NDArray[np.int64]) -> tuple[str | float, ...]:
    found: list[str | float] = []
    for column in rows.columns.static:
        cells = rows.table.frame[column]
        first = cells[int(index[0])]
        other = np.flatnonzero((cells.gather(index) != first).fill_null(True).to_numpy())
        if first is None or len(other):
            where = int(index[other[0]] if first is not None else index[0])
            raise DataError(
                f"{rows.table.row(where)}: static column {column!r} of series {name!r} holds {cells[where]} "
                f"after {first}; a static column has one value for a whole series."
            )
        found.append(float(first) if is_numeric(cells) else str(first))
    return tuple(found)


def _note_uneven(
    name: str,
    stamps: Stamps,
    slots: NDArray[np.int64],
    exact: NDArray[np.bool_],
    frequency: Frequency,
    notes: list[str],
) -> None:
    off = np.flatnonzero(~exact)
    if len(off):
        notes.append(
            f"series {name!r}: {len(off)} of {len(stamps)} stamps are off the grid of {frequency} "
            f"(first {written(stamps[off[0]])}) and were moved to the nearest step"
        )
    shared = np.flatnonzero(slots[1:] == slots[:-1])
    if len(shared):
        notes.append(
            f"series {name!r}: {len(shared)} stamps share a step with a later one "
            f"(first {written(stamps[shared[0]])}) and were dropped"
        )


def _note_gaps(name: str, values: Array, start: np.generic, frequency: Frequency, notes: list[str]) -> None:
    missing = np.flatnonzero(np.isnan(values))
    if len(missing):
        first = written(frequency.stamps(start, missing[:1])[0])
        notes.append(f"series {name!r}: {len(missing)} of {len(values)} steps have no value (first {first})")


def _shortened(notes: list[str], limit: int = 8) -> tuple[str, ...]:
    """The first few notes; a panel of thousands need not say the same thing thousands of times."""
    more = [f"and {len(notes) - limit} more notes like these"] if len(notes) > limit else []
    return tuple(notes[:limit] + more)


def written(stamp: Any) -> str:
    """A stamp as a person writes it: without a midnight or seconds that say nothing."""
    if not isinstance(stamp, np.datetime64):
        return str(stamp)
    text = str(stamp.astype("datetime64[us]")).replace("T", " ")
    for silent in (".000000", ":00", " 00:00"):
        text = text.removesuffix(silent)
    return text
