"""Series as people hold them → tables: dates in a pandas index, single series, dates split over columns."""

import functools
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl

from elman.data.series.stamps import looks_like_time
from elman.data.table.frames import column_name
from elman.data.table.table import Table, read_table
from elman.errors import DataError, UsageError

# Columns that hold the parts of a date, by their names in lower case, and how the parts are joined.
_PARTS: Final = {
    "year": ("year", "yr", "yyyy"),
    "half": ("half", "semester"),
    "quarter": ("quarter", "qtr", "q"),
    "month": ("month", "mon", "mm"),
    "week": ("week", "isoweek"),
    "day": ("day", "dd", "dayofmonth"),
    "hour": ("hour", "hr", "hh"),
    "minute": ("minute", "min"),
    "second": ("second", "sec"),
}
CLOCK: Final = r"^\s*\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\s*$"  # a time of day
_CLOCK: Final = ("hour", "minute", "second")
# A part of a date counts only without these.
_COARSER: Final = {"minute": "hour", "second": "minute"}  # without which a part has no place
_FINER: Final = {"half": ("quarter", "month", "week"), "quarter": ("month", "week"), "week": ("month",)}


def series_table(
    source: Any,
    *,
    header: bool = True,
    time: str | None = None,
    value: str | None = None,
    skip_bad: bool = False,
) -> Table:
    """Return a table of series, with the dates of a pandas index and dates split over columns in one column.

    Args:
        source: as in `read_table`; or a pandas or polars series, an array or a list of numbers, a dict of
            stamps and numbers. The values of a series without a name are called `value`, or "y".
        header, skip_bad: as in `read_table`.
        time: name of the column of times, also for an index without a name. Several names with commas
            between them are columns that hold the parts of a date: "year,month".
        value: name of the column of values.

    Raises:
        DataError, UsageError: as `read_table`.
    """
    if isinstance(source, Table):
        return with_joined_time(source, time)
    name = type(source).__name__
    frame = _from_index(source, time, value)
    if frame is None:
        frame = _from_values(source, time, value)
    table = read_table(source if frame is None else frame, header=header, skip_bad=skip_bad)
    return with_joined_time(table if frame is None else replace(table, name=name), time)


def _from_values(source: Any, time: str | None, value: str | None) -> dict[str, Any] | None:
    """Return a polars series, an array, a list or a dict of stamps as columns; None for anything else."""
    if isinstance(source, pl.Series):
        return {value or source.name or "y": source}
    if isinstance(source, np.ndarray) and source.dtype.names is None:
        if source.ndim != 1:
            raise UsageError(
                f"an array of {source.ndim} dimensions is not a series; give one dimension, or a table"
            )
        return {value or "y": source.tolist()}
    if isinstance(source, list | tuple) and source and all(_is_number(number) for number in source):
        return {value or "y": list(source)}
    if isinstance(source, dict) and source and all(_is_number(number) for number in source.values()):
        stamps = [str(key) if isinstance(key, date) else key for key in source]
        return {time or "ds": stamps, value or "y": list(source.values())}
    return None


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float | np.number) and not isinstance(value, bool))


def _from_index(source: Any, time: str | None, value: str | None) -> Any:
    """Return a pandas frame with the names and dates of its index as columns, and periods as their starts;
    None for anything but pandas' frames and series, and dicts of them."""
    pandas: Any = sys.modules.get("pandas")
    if pandas is None:
        return None
    if isinstance(source, dict) and any(isinstance(v, pandas.Series | pandas.Index) for v in source.values()):
        source = pandas.DataFrame(source)
    if isinstance(source, pandas.Series):
        index = source.index
        counts = isinstance(index, pandas.RangeIndex) and index.start == 0
        source = source.to_frame(value or ("y" if source.name is None else str(source.name)))
        if index.nlevels == 1 and index.name is None and not counts:
            source = source.rename_axis(time or "ds")
    elif not isinstance(source, pandas.DataFrame):
        return None
    source = source.set_axis([_column_text(name) for name in source.columns], axis=1)
    levels = [source.index.get_level_values(i) for i in range(source.index.nlevels)]
    columns = {}
    for level in levels:
        name = _level_name(pandas, level, len(levels), time)
        if name is not None and name not in source.columns:
            columns[name] = _plain(pandas, pandas.Series(level, index=source.index))
    for name in source.columns[~source.columns.duplicated(keep=False)]:
        if (plain := _plain(pandas, source[name])) is not source[name]:
            source = source.assign(**{name: plain})
    for position, (name, cells) in enumerate(columns.items()):
        source.insert(position, name, cells)
    return source.reset_index(drop=True)


def _column_text(name: Any) -> str:
    return str(name) if name is None else column_name(name)


def _level_name(pandas: Any, level: Any, count: int, time: str | None) -> str | None:
    """Return the name of the column that a level of an index becomes; None if it only numbers the rows."""
    if level.name is not None:
        return str(level.name)
    if isinstance(level, pandas.DatetimeIndex | pandas.PeriodIndex):
        return time or "ds"
    if level.dtype.kind in "OTU" and looks_like_time(pl.Series([str(cell) for cell in level[:50]])):
        return time or "ds"
    return "unique_id" if count > 1 else None


def _plain(pandas: Any, cells: Any) -> Any:
    """Return periods as their first moments, and offsets that are no time zone as text; else the cells."""
    if isinstance(cells.dtype, pandas.PeriodDtype):
        return cells.dt.to_timestamp()
    # zoneinfo's zones have a key, those of pytz, which pandas 2 makes, a zone
    if isinstance(cells.dtype, pandas.DatetimeTZDtype) and not (
        getattr(cells.dtype.tz, "key", None) or getattr(cells.dtype.tz, "zone", None)
    ):
        return cells.map(lambda stamp: stamp.isoformat(), na_action="ignore").astype(object)
    if cells.dtype == object and len(cells) and isinstance(cells.iloc[0], pandas.Period):
        return cells.map(lambda period: period.start_time, na_action="ignore")
    return cells


def join_names(time: str | Sequence[str] | None) -> str | None:
    """Return the columns that hold the parts of a date as one name. A tuple of other names is one column of a
    pandas frame that has several levels of names."""
    if isinstance(time, list) or (isinstance(time, tuple) and all(_part(str(name)) for name in time)):
        return ",".join(map(str, time))
    return None if time is None else column_name(time)


def with_joined_time(table: Table, time: str | None) -> Table:
    """Return the table with a column `time` of dates, if that names columns that hold their parts; and if it
    is None, one joined from columns named year, month, ..., where there is no other date.

    Raises:
        DataError: columns that don't make up a date.
    """
    frame = table.frame
    names = [] if time is None or time in frame.columns else time.split(",")
    if time is None:
        names = _parts_of_date(frame) or _date_and_clock(frame)
    elif len(names) < 2:
        return table
    if not names:
        return table
    table.require(*names)
    joined = _joined(table, names)
    return replace(table, frame=frame.drop(names).insert_column(0, joined.alias(",".join(names))))


def _parts_of_date(frame: pl.DataFrame) -> list[str]:
    """Return the columns that hold year and month, quarter or week, and what is smaller, if no column holds
    whole dates."""
    by_part = {_part(name): name for name in frame.columns}
    names = [by_part[part] for part in _PARTS if part in by_part and _has_place(part, by_part)]
    smaller = any(part in by_part for part in ("half", "quarter", "month", "week"))
    if "year" not in by_part or not smaller or any(looks_like_time(cells) for cells in frame):
        return []
    return names


def _date_and_clock(frame: pl.DataFrame) -> list[str]:
    """Return a column of dates and one of times of day, if there is one of each."""
    texts = [cells for cells in frame if cells.dtype == pl.String and cells.count()]
    clocks = [cells.name for cells in texts if cells.drop_nulls().str.contains(CLOCK).all()]
    if len(clocks) != 1:
        return []
    dates = [cells.name for cells in frame if cells.name not in clocks and looks_like_time(cells)]
    return [] if len(dates) != 1 or _has_clock(frame[dates[0]]) else dates + clocks


def _has_clock(cells: pl.Series) -> bool:
    """Return whether dates have a time of day."""
    if isinstance(cells.dtype, pl.Datetime):
        return bool((cells.dt.truncate("1d") != cells).any())
    return cells.dtype == pl.String and bool(cells.str.contains(":").any())


def is_joined(column: str) -> bool:
    """Return whether a column is one that was joined from the parts of a date."""
    return "," in column and all(_part(name) is not None for name in column.split(","))


def _part(name: str) -> str | None:
    return next((part for part, words in _PARTS.items() if name.strip().lower() in words), None)


def _joined(table: Table, names: Sequence[str]) -> pl.Series:
    """Return the texts of the dates, such as 2014-1-31 10:00, or null where a part is missing."""
    parts = dict[str | None, pl.Series]()
    for name in names:
        part = _part(name) or name
        if part in parts:
            raise DataError(f"{table.name}: several columns of the time hold a {part}; name one of them.")
        parts[part] = _digits(table.frame[name])
    for name in names:
        part = _part(name) or name
        if not _has_place(part, parts) or ("year" in parts and part not in _PARTS):
            lacks = f", which lacks a column of the {_COARSER[part]}" if part in _COARSER else ""
            raise DataError(f"{table.name}: column {name!r} is not a part of the time{lacks}; leave it out.")
    if not any(part not in _CLOCK for part in parts):
        raise DataError(f"{table.name}: columns {', '.join(names)} hold no date; name its column too.")
    return _with_clock(_joined_days(parts), parts)


def _has_place(part: str, parts: Container[str | None]) -> bool:
    return part not in _COARSER or (_COARSER[part] in parts and _has_place(_COARSER[part], parts))


def _joined_days(parts: Mapping[str | None, pl.Series]) -> pl.Series:
    if "year" not in parts:  # dates, and what else is no part of a time of day
        first, *others = (cells for part, cells in parts.items() if part not in _CLOCK)
        return functools.reduce(lambda joined, cells: joined + " " + cells, others, first)
    joined = parts["year"]
    for part, mark in (("half", "H"), ("quarter", "Q"), ("month", ""), ("week", "W"), ("day", "")):
        finer = _FINER.get(part, ())
        if part in parts and not any(name in parts for name in finer):
            digits = parts[part].str.strip_prefix(mark)
            joined = joined + f"-{mark}" + digits
    return joined


def _with_clock(joined: pl.Series, parts: Mapping[str | None, pl.Series]) -> pl.Series:
    if "hour" not in parts:
        return joined
    joined = joined + " " + parts["hour"]
    if "minute" not in parts:
        return joined + ":00"
    for part in ("minute", "second"):
        if part in parts:
            joined = joined + ":" + parts[part].str.replace(r"^(\d)\b", "0${1}")
    return joined


def _digits(cells: pl.Series) -> pl.Series:
    """Return the cells as text, whole numbers without fractions."""
    if isinstance(cells.dtype, pl.Datetime):
        cells = cells.dt.date()
    if cells.dtype.is_float():
        whole = cells.cast(pl.Int64, strict=False)
        if whole.is_not_null().all() and (whole.cast(pl.Float64) == cells).all():
            cells = whole
    return cells.cast(pl.String).str.strip_chars().str.replace(r"\.0+$", "")
