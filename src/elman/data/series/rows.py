"""Rows of a table in long form as arrays: stamps, values, covariates, names and static values."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.data.series.categories import Texts, are_categories, read_codes, truth
from elman.data.series.columns import MERGE_ADVICE, Columns, is_numeric
from elman.data.series.frequency import Frequency
from elman.data.series.infer import choose
from elman.data.series.numbers import years
from elman.data.series.stamps import Clock, StampColumn, alike, format_stamp, read_stamps
from elman.data.table.formats import shorten
from elman.data.table.table import MISSING_NUMBERS, Table
from elman.errors import DataError

Array = NDArray[np.float64]
Static = tuple[str | float | None, ...]

# What several rows of one step become.
AGGREGATES: Final[dict[str, Callable[[pl.Expr], pl.Expr]]] = {
    "mean": pl.Expr.mean,
    "sum": lambda cells: pl.when(cells.count() > 0).then(cells.sum()),
    "median": pl.Expr.median,
    "min": pl.Expr.min,
    "max": pl.Expr.max,
    "first": lambda cells: cells.drop_nulls().first(),
    "last": lambda cells: cells.drop_nulls().last(),
}
# Differences of larger numbers could overflow.
MAX_SIZE: Final = 1e300
_LAST_EXACT_INTEGER: Final = 2**53


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a table.

    Attributes:
        values: (rows,) NaN where missing.
        future: (rows, F) covariates known ahead; codes of those that are texts.
        texts: of each covariate that is texts, those that its codes stand for; None of one of numbers.
        names: of the series, None for a single one.
        static: a column of texts or numbers for each static column.
        duplicates: a key of `AGGREGATES`, or "error".
    """

    table: Table
    columns: Columns
    time: StampColumn
    values: Array
    future: Array
    texts: tuple[Texts | None, ...]
    names: pl.Series | None
    static: tuple[list[str | float | None], ...]
    duplicates: str

    @classmethod
    def of(
        cls,
        table: Table,
        columns: Columns,
        clock: Clock | None,
        duplicates: str = "error",
        frequency: Frequency | None = None,
        texts: Sequence[Texts | None] | None = None,
    ) -> "Rows":
        """Read the rows; `clock` and `frequency` tell how to read stamps whose meaning is open, and `texts`
        which covariates are texts, and of which categories."""
        names = None if columns.series is None else pl.Series(table.texts(columns.series))
        codes = None if names is None else names.rank("dense").to_numpy().astype(np.int64) - 1
        future, texts = read_covariates(table, columns.future, texts)
        is_covariate = columns.value in columns.future
        return cls(
            table,
            columns,
            _read_time(table, columns.time, codes, clock, frequency),
            future[:, columns.future.index(columns.value)]
            if is_covariate
            else exact_numbers(table, columns.value),
            future,
            texts,
            names,
            tuple(_static_column(table, column) for column in columns.static),
            duplicates,
        )

    def groups(self) -> dict[str, NDArray[np.int64]]:
        """Return the row numbers of each series in order of time; the series are in order of appearance.

        Raises:
            DataError: two rows hold the same stamp of one series, and `duplicates` is "error".
        """
        order = np.argsort(self.time.stamps, kind="stable")
        if self.names is None:
            groups = {self.columns.value: order}
        else:
            _, first, codes = np.unique(self.names.to_numpy(), return_index=True, return_inverse=True)
            by_series = order[np.argsort(codes[order], kind="stable")]
            parts = np.split(by_series, np.cumsum(np.bincount(codes))[:-1])
            groups = {str(self.names[int(first[i])]): parts[i] for i in np.argsort(first)}
        if self.duplicates == "error":
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
            raise DataError(f"{rows} both hold {stamp}{whose}; keep one of them, or {MERGE_ADVICE}{hint}.")

    def merged(
        self, index: NDArray[np.int64], slots: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Array, Array]:
        """Return the steps, ascending, with one value and one row of covariates (steps, F) each, of rows
        `index` that belong to ascending steps `slots`, of which some may be equal.

        Without an aggregate, the last row of a step counts.
        """
        values, future = self.values[index], self.future[index]
        single, first = np.unique(slots, return_index=True)
        if len(single) == len(slots):
            return slots, values, future
        if self.duplicates == "error":
            last = np.append(first[1:], len(slots)) - 1
            return single, values[last], future[last]
        merge = AGGREGATES[self.duplicates]
        one = self.duplicates in ("first", "last")
        merges = [
            merge if one else AGGREGATES["mean"] if texts is None else _most_frequent for texts in self.texts
        ]
        frame = pl.DataFrame(
            {"slot": slots, "y": values, **{str(i): column for i, column in enumerate(future.T)}}
        )
        steps = frame.fill_nan(None).group_by("slot", maintain_order=True)
        columns = [merge_one(pl.col(str(i))).alias(str(i)) for i, merge_one in enumerate(merges)]
        found = steps.agg(merge(pl.col("y")).alias("y"), *columns).drop("slot")
        table = found.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return single, table[:, 0].copy(), table[:, 1:].copy()

    def check_unit(self, frequency: Frequency) -> None:
        """Raise DataError for a frequency of dates where the stamps are step numbers, or the reverse."""
        if (frequency.unit == "integer") != (self.time.kind == "integer"):
            what = "whole numbers" if self.time.kind == "integer" else "dates"
            raise DataError(
                f"{self.table.name}: the stamps ({self.columns.time or 'row numbers'}) are {what}, so the "
                f"frequency cannot be {str(frequency)!r}; omit frequency or give one for {what}."
            )

    def static_values(self, name: str, index: NDArray[np.int64]) -> Static:
        """Return the static values of a series, None where all its rows lack one.

        Raises:
            DataError: a column holds several values.
        """
        values: list[str | float | None] = []
        for column, cells in zip(self.columns.static, self.static, strict=True):
            first = None
            for row in index.tolist():
                if cells[row] is not None and first is None:
                    first = cells[row]
                elif cells[row] is not None and cells[row] != first:
                    raise DataError(
                        f"{self.table.row(row)}: static column {column!r} of series {name!r} holds "
                        f"{cells[row]} after {first}; a static column should hold the same value in all "
                        "rows of a series."
                    )
            values.append(first)
        return tuple(values)


def exact_numbers(table: Table, column: str) -> Array:
    """Return a column of numbers (rows,), NaN where missing.

    Raises:
        DataError: a number is infinite, too large to calculate with, or an integer that float64 lacks.
    """
    numbers: Array = table.numbers(column).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    large = np.flatnonzero(np.abs(np.nan_to_num(numbers)) >= _LAST_EXACT_INTEGER)
    cells = table.frame[column]
    for row in large.tolist():
        size, digits = abs(float(numbers[row])), str(cells[row]).strip()
        where = f"{table.row(row)}: column {column!r} holds {shorten(cells[row])}"
        if size > MAX_SIZE:
            raise DataError(f"{where}, which is too large to calculate with; write it in a larger unit.")
        if re.fullmatch(r"[+-]?\d{16,320}", digits) and int(digits) != int(numbers[row]):
            raise DataError(
                f"{where}, whose last digits a 64-bit float cannot hold; subtract a constant from the "
                "column, or round it."
            )
    return numbers


def read_covariates(
    table: Table, columns: Sequence[str], fitted: Sequence[Texts | None] | None
) -> tuple[Array, tuple[Texts | None, ...]]:
    """Return the covariates (rows, F), and the texts of those that are texts: which these are, `fitted` or
    else the cells tell."""
    covariates = np.zeros((len(table), len(columns)))
    texts: list[Texts | None] = []
    for i, column in enumerate(columns):
        as_texts = are_categories(table.frame[column]) if fitted is None else fitted[i] is not None
        if as_texts:
            covariates[:, i], own = read_codes(table, column, None if fitted is None else fitted[i])
            texts.append(own)
        else:
            cells = truth(table.frame[column])
            numeric = replace(table, frame=table.frame.with_columns(cells.alias(column)))
            covariates[:, i] = exact_numbers(numeric, column)
            texts.append(None)
    return covariates, tuple(texts)


def _most_frequent(cells: pl.Expr) -> pl.Expr:
    return cells.drop_nulls().mode().min()


def _read_time(
    table: Table,
    column: str | None,
    codes: NDArray[np.int64] | None,
    clock: Clock | None,
    frequency: Frequency | None,
) -> StampColumn:
    if column is None:
        return StampColumn(np.arange(len(table)), Clock("integer"))
    readings = read_stamps(table, column)
    if clock is not None:
        readings = alike(readings, clock, f"{table.name}: column {column!r}")
    time = choose(readings, codes, frequency)
    if clock is not None and time.clock.form == clock.form:
        time = replace(time, notes=())  # it was said in training
    dates = frequency is not None and frequency.unit != "integer"
    if dates and time.kind == "integer" and (starts := years(time.stamps)) is not None:
        return StampColumn(starts, Clock("date", "YYYY"))
    return time


def _static_column(table: Table, column: str) -> list[str | float | None]:
    """Return numbers if all cells are numbers or missing, else texts."""
    cells = table.frame[column]
    if cells.dtype.is_nested() or cells.dtype == pl.Binary:
        raise DataError(
            f"static column {column!r} of {table.name} holds lists or bytes; give text or numbers."
        )
    if cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
        return [None if np.isnan(number) else number for number in exact_numbers(table, column).tolist()]
    texts = cells.cast(pl.String).str.strip_chars().replace("", None)
    present = texts.filter(~texts.str.to_lowercase().is_in(MISSING_NUMBERS))
    numbers = present.cast(pl.Float64, strict=False)
    if len(present) and is_numeric(texts) and numbers.null_count() == 0 and numbers.is_finite().all():
        return [None if np.isnan(number) else number for number in exact_numbers(table, column).tolist()]
    return list(texts.to_list())
