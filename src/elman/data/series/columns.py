"""Find the columns of a table that hold the time, the value and the name of the series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from elman.data.series.source import is_joined
from elman.data.series.stamps import looks_like_time
from elman.data.table.formats import shorten
from elman.data.table.table import MISSING_NUMBERS, Table
from elman.errors import DataError, UsageError

# what to do about several rows of one stamp
MERGE_ADVICE: Final = "merge such rows with duplicates='mean', 'sum', 'first' or 'last'"
_TIME_NAMES = (
    "ds", "date", "datetime", "timestamp", "time", "month", "week", "day", "year", "quarter", "period", "step"
)  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Names of the columns; without `time`, rows are steps, and without `series`, the table is one series."""

    time: str | None
    value: str
    series: str | None = None
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        names = (self.series, self.time, self.value, *self.future, *self.static)
        return tuple(name for name in names if name is not None)


def find_columns(
    table: Table,
    time: str | None = None,
    value: str | None = None,
    series: str | None = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
    duplicates: str = "error",
) -> Columns:
    """Find each column by its argument, by the names `unique_id, ds, y`, or by its cells.

    Raises:
        DataError: a named column is missing, or several columns are possible; the message lists them.
        UsageError: a column has two roles.
    """
    future, static = tuple(future), tuple(static)
    time = find_time(table, time, value, series, future, static)
    names = table.frame.columns
    series = "unique_id" if series is None and "unique_id" in names else series
    taken = {time, value, series, *future, *static}
    value = value if value is not None else _find_value(table, [c for c in names if c not in taken])
    _refuse_twice([name for name in (time, value, *future) if name is not None])
    if series is None and time is not None and table.frame[time].drop_nulls().is_duplicated().any():
        free = [c for c in names if c not in {time, value, *future, *static}]
        series = _find_series(table, free, time, duplicates)
    return Columns(time, value, series, future, static)


def find_time(
    table: Table,
    time: str | None,
    value: str | None,
    series: str | None,
    future: Sequence[str],
    static: Sequence[str],
) -> str | None:
    """Return the column of times; None if the rows are steps. Raises as `find_columns` does."""
    table.require(*(name for name in (time, value, series, *future, *static) if name is not None))
    _refuse_twice([name for name in (time, value, *future) if name is not None])
    taken = {value, series or "unique_id", *future, *static}
    return time if time is not None else _find_time(table, [c for c in table.frame.columns if c not in taken])


def _refuse_twice(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"column {name!r} is two of time, value and future; give each its own column.")


def _find_time(table: Table, free: list[str]) -> str | None:
    stamps = [c for c in free if is_joined(c) or looks_like_time(table.frame[c])]
    named = [c for c in stamps or free if c.lower() in _TIME_NAMES]
    if named:
        return min(named, key=lambda c: _TIME_NAMES.index(c.lower()))
    if stamps:
        return stamps[0]
    numeric = [c for c in free if is_numeric(table.frame[c])]
    if len(numeric) > 1:
        steps = table.numbers(numeric[0])
        if bool((steps.diff().drop_nulls() > 0).all()) and bool((steps % 1 == 0).all()):
            return numeric[0]
    if len(free) > 1 and len(numeric) != 1:
        raise DataError(
            f"{table.name} has no column that looks like times; name it with time=: {_listed(free)}."
        )
    return None


def _find_value(table: Table, free: list[str]) -> str:
    if "y" in free:
        return "y"
    numeric = [c for c in free if is_numeric(table.frame[c])]
    if len(numeric) == 1:
        return numeric[0]
    if numeric:
        raise DataError(
            f"{table.name} has several columns to forecast; name one with value=: {_listed(numeric)} "
            "(and with series= the one that names the series, if there are several)."
        )
    raise DataError(
        f"{table.name} has no column of numbers to forecast; it has {_listed(table.frame.columns)}."
    )


def _find_series(table: Table, free: list[str], time: str, duplicates: str) -> str | None:
    """Return the one column of names, which must distinguish several series, because stamps repeat; None if
    such rows are to be merged."""
    names = [c for c in free if not is_numeric(table.frame[c]) and not looks_like_time(table.frame[c])]
    if len(names) == 1:
        return names[0]
    if duplicates != "error":
        return None
    repeated = table.frame[time].is_duplicated() & table.frame[time].is_not_null()
    first = int(repeated.arg_true()[0])
    second = int((table.frame[time] == table.frame[time][first]).arg_true()[1])
    rows = f"{table.row(first)} and row {second + table.first_row}"
    advice = f"keep one of them, or {MERGE_ADVICE}"
    if free:
        advice += f", or name the column that distinguishes several series with series=: {_listed(free)}"
        advice += f"; a time of day in a column of its own is joined with time='{time},...'"
    raise DataError(f"{rows} both hold {time} {table.frame[time][first]}; {advice}.")


def is_numeric(cells: pl.Series) -> bool:
    """Return whether most of a column's first values are numbers; a typo should not make it text."""
    if cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
        return True
    if cells.dtype != pl.String:
        return False
    head = cells.drop_nulls().str.strip_chars().str.to_lowercase()
    head = head.filter(~head.is_in(MISSING_NUMBERS)).head(50)
    return head.cast(pl.Float64, strict=False).null_count() < 0.5 * len(head)


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) <= 40 else shorten(name) for name in names[:12]]
    return ", ".join([*shown, "…"] if len(names) > 12 else shown)
