"""Tables in long form → series on regular grids, with notes on every gap, ambiguity and repair."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.data.series.categories import Texts
from elman.data.series.columns import MERGE_ADVICE, Columns, find_columns, find_time
from elman.data.series.frequency import Frequency
from elman.data.series.infer import choose, first_step, infer_frequency, with_days
from elman.data.series.rows import Array, Rows, Static
from elman.data.series.source import is_joined, join_names, series_table
from elman.data.series.stamps import Clock, Stamps, alike, format_stamp, read_stamps, readable_rows, to_local
from elman.data.table.formats import shorten
from elman.errors import DataError, UsageError, counted

# Shares of rows, and of steps, with which a grid is taken for that of the data.
MOST_STEPS, LEAST_STEPS, MANY_STAMPS = 0.75, 0.1, 20


@dataclass(frozen=True, eq=False)
class Series:
    """One series on its grid: the stamp of step i is `frequency.stamps(start, i)`."""

    name: str
    start: np.generic
    values: Array  # (n,) NaN where missing; the first and the last are known
    future: Array  # (m, F) covariates known ahead, or codes of texts, with m >= n; NaN where missing
    static: Static = ()  # one text or number per static column; None if missing
    nonnegative: bool = True  # whether no value before the first step was negative, as far as is known


@dataclass(frozen=True, eq=False)
class Panel:
    """Several series of one frequency."""

    series: tuple[Series, ...]
    frequency: Frequency
    columns: Columns
    clock: Clock  # how stamps are read and written
    name: str
    fingerprint: str
    notes: tuple[str, ...] = ()  # sentences about irregular, missing or ambiguous data
    texts: tuple[Texts | None, ...] = ()  # that codes of each covariate stand for; None: it is numbers
    whole_names: bool = False  # whether the names of the series are whole numbers, as forecasts return them

    @property
    def kind(self) -> str:
        """The kind of the stamps: "integer", "date" or "datetime"."""
        return self.clock.kind

    def stamps(self, series: Series, first: int, count: int) -> Stamps:
        """Return the stamps of `count` steps of a series, from step `first` on."""
        return self.frequency.stamps(series.start, np.arange(first, first + count))

    def local_stamps(self, series: Series, first: int, count: int) -> Stamps:
        """Return such stamps as the clocks on the wall show them, where the series has a time zone."""
        stamps, clock = self.stamps(series, first, count), self.clock
        return to_local(stamps, clock.zone) if clock.zone and not clock.local else stamps


def read_panel(
    source: Any,
    *,
    time: str | Sequence[str] | None = None,
    value: str | None = None,
    series: str | None = None,
    future: Sequence[str] = (),
    static: Sequence[str] = (),
    frequency: str | Frequency | None = None,
    duplicates: str = "error",
    clock: Clock | None = None,
    texts: Sequence[Texts | None] | None = None,
) -> Panel:
    """Read series from a table in long form, with one row per series and stamp.

    Args:
        source: as in `series_table`.
        time, value, series: names of columns. They can be omitted if they are `ds`, `y` and `unique_id` or if
            only one column is possible. A table without a time column is one series of steps. Several columns
            may hold the parts of the time: `["year", "month"]`.
        future: columns known ahead of time (holidays, prices), also in rows after the last value; numbers, or
            texts, where fewer than half of the cells are numbers.
        static: columns with one value per series, text or number.
        frequency: as in `Frequency.parse`; inferred if None.
        duplicates: what several rows of one series and stamp become, a key of `AGGREGATES` or "error".
        clock: how to read the stamps, where they leave it open.
        texts: the categories of each column of `future` that a model takes as texts.

    Raises:
        DataError: two rows hold the same stamp of one series, a stamp or number cannot be read, all values
            are missing, or the grid would be far longer than the table.
    """
    time = join_names(time)
    table = series_table(source, time=time, value=value)
    total = len(table) + len(table.bad)
    if table.bad.skip:  # before repeated stamps are looked for
        time = find_time(table, time, value, series, future, static)
        table = readable_rows(table, time, series)
    columns = find_columns(table, time, value, series, future, static, duplicates)
    if isinstance(frequency, str):
        frequency = Frequency.parse(frequency)
    if table.bad.skip:
        table = readable_rows(table, columns.time, columns.series)
    rows = Rows.of(table, columns, clock, duplicates, frequency, texts)
    table.bad.report(table.name, total - len(table.bad))
    groups = rows.groups()
    stamps = [rows.time.stamps[group] for group in groups.values()]
    if frequency is None:
        frequency = infer_frequency(stamps, table.name)
    else:
        rows.check_unit(frequency)
        frequency = with_days(frequency, stamps)
    _refuse_other_step(table.name, frequency, stamps, duplicates, is_trained=clock is not None)
    notes = list(rows.time.notes)
    if clock is None and columns.time is not None and is_joined(columns.time):
        notes.append(f"{table.name}: columns {columns.time} were joined to the time")
    if columns.time is None and len(table.frame.columns) > 1:
        notes.append(f"{table.name} has no column of times, so its rows are the steps")
    grids = [_grid(rows, name, index, frequency, notes) for name, index in groups.items()]
    nonempty = tuple(grid for grid in grids if grid is not None)
    if not nonempty:
        raise DataError(f"{table.name}: column {columns.value!r} is empty; give at least a few values.")
    return Panel(
        nonempty,
        frequency,
        columns,
        rows.time.clock,
        table.name,
        table.fingerprint,
        _shortened(notes),
        rows.texts,
        columns.series is not None and table.frame[columns.series].dtype.is_integer(),
    )


def extend(panel: Panel, source: Any, header: bool = True) -> Panel:
    """Add the covariates of later steps from a table with the panel's series, time and future columns.

    Raises:
        DataError: a column is missing, a stamp repeats, or a series is not in the panel.
    """
    if not panel.columns.future:
        raise UsageError("this model has no covariates known ahead, so it takes no table of them (future)")
    table = series_table(source, header=header, time=panel.columns.time)
    columns = replace(panel.columns, value=panel.columns.future[0], static=())
    table.require(*columns.all)
    rows = Rows.of(table, columns, panel.clock, texts=panel.texts)
    rows.check_unit(panel.frequency)
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


def read_moments(panel: Panel, moments: list[Any], what: str) -> Stamps:
    """Return stamps given one by one, read like those of a panel; `what` names them.

    Raises:
        DataError: they are no stamps, or unlike those of the panel.
    """
    table = series_table({what: moments})
    readings = alike(read_stamps(table, what), panel.clock, repr(what))
    if (readings[0].kind == "integer") != (panel.kind == "integer"):
        kind = "whole numbers" if panel.kind == "integer" else "dates"
        raise DataError(
            f"{what} {shorten(moments[0])} is not a stamp like those of the training data, which are {kind}."
        )
    return choose(readings, None, panel.frequency).stamps


def _grid(
    rows: Rows, name: str, index: NDArray[np.int64], frequency: Frequency, notes: list[str]
) -> Series | None:
    """Return the series from its first to its last known value, or None if all values are missing."""
    observed = ~np.isnan(rows.values[index])
    if not observed.any():
        notes.append(f"series {name!r} has no values and is omitted")
        return None
    index = index[int(observed.argmax()) :]
    stamps = rows.time.stamps[index]
    start = first_step(frequency, stamps)
    slots, exact = frequency.slots(start, stamps)
    if slots[0]:  # the first stamp is half a step off
        start, slots = frequency.stamps(start, slots[:1])[0], slots - slots[0]
    _refuse_sparse(rows, name, slots, frequency)
    steps, known, covariates = rows.merged(index, slots)
    values = np.full(int(steps[-1]) + 1, np.nan)
    values[steps] = known
    future = np.full((len(values), rows.future.shape[1]), np.nan)
    future[steps] = covariates
    values = values[: int(np.flatnonzero(~np.isnan(values))[-1]) + 1]
    series = Series(name, start, values, future, rows.static_values(name, index))
    notes += _irregularities(series, stamps, slots, exact, frequency, rows.duplicates)
    return series


def _refuse_other_step(
    name: str, frequency: Frequency, stamps: Sequence[Stamps], duplicates: str, is_trained: bool
) -> None:
    """Raise DataError for a frequency, that of a trained model or the user's, that would merge many stamps or
    leave nearly all steps empty."""
    count, steps, length = 0, 0, 0
    for group in stamps:
        if len(group):
            slots = frequency.slots(group[0], group)[0]
            count, steps = count + len(group), steps + len(np.unique(slots))
            length += int(slots[-1] - slots[0]) + 1
    if duplicates == "error" and steps < MOST_STEPS * count:
        share = "shares" if count - steps == 1 else "share"
        advice = f"give the frequency of the data (a longer one for irregular stamps), and {MERGE_ADVICE}"
        if is_trained:
            names, size = frequency.in_words()
            step = names.removesuffix("s") if size == 1 else f"{size} {names}"
            advice = f"the model forecasts by the {step}: sum or average the rows of each {step} first"
        raise DataError(
            f"{name}: {count - steps} of {count} rows {share} a step of {frequency} with another; {advice}."
        )
    if count >= MANY_STAMPS and steps < LEAST_STEPS * length:
        advice = "give it a row for each" if is_trained else "give the frequency of the data"
        whose = ", with which the model was trained," if is_trained else ""
        raise DataError(f"{name}: only {steps} of {length} steps of {frequency}{whose} have a row; {advice}.")


def _with_future(series: Series, rows: Rows, index: NDArray[np.int64], frequency: Frequency) -> Series:
    slots, _ = frequency.slots(series.start, rows.time.stamps[index])
    index, slots = index[slots >= 0], slots[slots >= 0]
    if not len(slots):
        return series
    _refuse_sparse(rows, series.name, slots, frequency, len(series.values))
    future = np.full((max(len(series.future), int(slots[-1]) + 1), series.future.shape[1]), np.nan)
    future[: len(series.future)] = series.future
    steps, _, covariates = rows.merged(index, slots)
    future[steps] = covariates
    return replace(series, future=future)


def _refuse_sparse(
    rows: Rows, name: str, slots: NDArray[np.int64], frequency: Frequency, length: int = 0
) -> None:
    if slots[-1] + 1 > 1000 + length + 50 * len(slots):
        raise DataError(
            f"{rows.table.name}: series {name!r} has {counted(len(slots), 'row')} but spans {slots[-1] + 1} "
            f"steps of {frequency}; correct the stamps or give a longer frequency."
        )


def _irregularities(
    series: Series,
    stamps: Stamps,
    slots: NDArray[np.int64],
    exact: NDArray[np.bool_],
    frequency: Frequency,
    duplicates: str,
) -> Iterator[str]:
    off = np.flatnonzero(~exact)
    if len(off):
        first, one = format_stamp(stamps[off[0]]), len(off) == 1
        yield (
            f"series {series.name!r}: {len(off)} of {len(stamps)} stamps {'is' if one else 'are'} off the "
            f"grid of {frequency} (first {first}) and {'was' if one else 'were'} moved to the nearest step"
        )
    shared = np.flatnonzero(slots[1:] == slots[:-1])
    if len(shared):
        first = format_stamp(stamps[shared[0]])
        share, were = ("shares", "was") if len(shared) == 1 else ("share", "were")
        merged = "dropped" if duplicates == "error" else f"merged ({duplicates})"
        yield (
            f"series {series.name!r}: {counted(len(shared), 'stamp')} {share} a step with a later one "
            f"(first {first}) and {were} {merged}"
        )
    missing = np.flatnonzero(np.isnan(series.values))
    if len(missing):
        first = format_stamp(frequency.stamps(series.start, missing[:1])[0])
        have = "has" if len(missing) == 1 else "have"
        yield (
            f"series {series.name!r}: {len(missing)} of {len(series.values)} steps {have} no value "
            f"(first {first})"
        )


def _shortened(notes: list[str], limit: int = 8) -> tuple[str, ...]:
    more = [f"and {counted(len(notes) - limit, 'more note')} like these"] if len(notes) > limit else []
    return tuple(notes[:limit] + more)
