"""Time stamps as people and programs write them → numpy datetime64[us] on one clock, or step numbers."""

import re
from dataclasses import dataclass
from datetime import time

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.data.table.table import Table
from elman.errors import DataError

# datetime64[us], or int64 for stamps that are numbers of steps.
Stamps = NDArray[np.datetime64] | NDArray[np.int64]

_DATES = ("%Y-%m-%d", "%d-%m-%Y", "%m-%d-%Y", "%d %B %Y", "%B %d %Y", "%d-%B-%Y", "%Y%m%d", "%G-W%V-%u")
_TIMES = ("", " %H:%M:%S%.f", " %I:%M:%S %p")
_FORMATS = tuple(date + time for date in _DATES for time in _TIMES)
_ZONE = r"(\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)$"
_EXAMPLES = "write dates as 2024-01-31 or 2024-01-31 13:30, or use whole numbers"


@dataclass(frozen=True)
class Clock:
    """A column of stamps, and how it was read.

    `kind` is "integer", "date" (no time of day anywhere) or "datetime"; `notes` are sentences for the reader.
    """

    stamps: Stamps
    kind: str
    notes: tuple[str, ...] = ()


def read_stamps(table: Table, column: str) -> Clock:
    """The stamps in `column` of `table`.

    Text may be ISO 8601 or one of the common ways to write a date; every row the same way. Stamps with a zone
    or an offset become UTC, unless all of them are local midnights: those are dates. Whole numbers stay
    numbers, unless all read as YYYYMMDD.

    Raises:
        DataError: a stamp is missing, or cannot be read; names the row and the value.
    """
    table.require(column)
    cells = table.frame[column]
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars()
        cells = cells.replace("", None)
    if cells.null_count():
        where = int(cells.is_null().arg_true()[0])
        raise DataError(
            f"{table.row(where)}: column {column!r} has no time stamp; give one or remove the row."
        )
    if cells.dtype == pl.Date:
        return _dated(cells.cast(pl.Datetime("us")))
    if isinstance(cells.dtype, pl.Datetime):
        return _zoned(cells)
    if cells.dtype.is_numeric():
        return _numbered(table, column, cells)
    if cells.dtype != pl.String:
        raise DataError(f"{table.name}: column {column!r} holds {cells.dtype}, not time stamps; {_EXAMPLES}.")
    if cells.str.contains(r"^[+-]?\d{1,18}$").all():
        return _numbered(table, column, cells.cast(pl.Int64))
    return _written(table, column, cells)


def looks_like_time(cells: pl.Series) -> bool:
    """Whether a column's first values are dates or times (numbers are not taken for times)."""
    if cells.dtype.is_temporal():
        return True
    if cells.dtype != pl.String:
        return False
    head = _tidy(cells.drop_nulls().head(50).str.strip_chars())
    if head.is_empty() or head.str.contains(r"^[+-]?[\d.]+(?:[eE][+-]?\d+)?$").all():
        return False
    return any(_parse(_drop_zone(head), form).null_count() == 0 for form in _FORMATS)


def _numbered(table: Table, column: str, cells: pl.Series) -> Clock:
    whole = cells.cast(pl.Int64, strict=False)
    bad = (whole.is_null() | (whole.cast(pl.Float64) != cells.cast(pl.Float64))).arg_true()
    if len(bad):
        where, value = table.row(int(bad[0])), cells[int(bad[0])]
        raise DataError(f"{where}: column {column!r} holds {value}, which is no whole number; {_EXAMPLES}.")
    if bool(whole.is_between(19000101, 22001231).all()):
        dates = _parse(whole.cast(pl.String), "%Y%m%d")
        if dates.null_count() == 0:
            return _dated(dates)
    return Clock(whole.to_numpy().astype(np.int64), "integer")


def _written(table: Table, column: str, cells: pl.Series) -> Clock:
    tidy = _tidy(cells)
    wall_text = _drop_zone(tidy)
    form = _best_format(wall_text)
    wall = _parse(wall_text, form)
    if wall.null_count():
        bad = int(wall.is_null().arg_true()[0])
        others = next((str(cells[i]) for i in range(len(cells)) if wall[i] is not None), None)
        unlike = f" like {others!r}" if others is not None else ""
        raise DataError(
            f"{table.row(bad)}: column {column!r} holds {cells[bad]!r}, which is no date or time{unlike}; "
            f"{_EXAMPLES}."
        )
    notes: tuple[str, ...] = ()
    if "%d-%m-%Y" in form or "%m-%d-%Y" in form:
        wall, notes = _settle_order(table, column, wall_text, form, wall)
    offsets = tidy.str.extract(_ZONE, 2)
    if offsets.null_count() == len(offsets):
        return Clock(_numpy(wall), _kind(wall), notes)
    if _kind(wall) == "date":
        return Clock(_numpy(wall), "date", notes)
    minutes = offsets.fill_null("Z").map_elements(_minutes, return_dtype=pl.Int64).to_numpy()
    utc = _numpy(wall) - minutes.astype("timedelta64[m]")
    if minutes.any():
        notes = (*notes, f"{table.name}: column {column!r} has time zones; all stamps are in UTC")
    return Clock(utc, "datetime", notes)


def _settle_order(
    table: Table, column: str, text: pl.Series, form: str, wall: pl.Series
) -> tuple[pl.Series, tuple[str, ...]]:
    """Day or month first? Where both read every row, the order that makes the steps more even is meant."""
    swapped = form.replace("%d-%m", "%m-%d") if "%d-%m" in form else form.replace("%m-%d", "%d-%m")
    other = _parse(text, swapped)
    if other.null_count():
        return wall, ()
    chosen, used = (other, swapped) if _evenness(other) > _evenness(wall) else (wall, form)
    order = "day/month/year" if "%d-%m" in used else "month/day/year"
    return chosen, (
        f"{table.name}: column {column!r} was read as {order}; write 2024-01-31 to leave no doubt",
    )


def _evenness(stamps: pl.Series) -> float:
    """Share of the most frequent step between neighbouring stamps."""
    steps = np.diff(np.unique(_numpy(stamps)))
    return float(np.unique(steps, return_counts=True)[1].max() / len(steps)) if len(steps) else 1.0


def _best_format(text: pl.Series) -> str:
    """The format that reads the most rows; a sample narrows the list first."""
    sample = text.gather_every(max(1, len(text) // 200))
    ranked = sorted(_FORMATS, key=lambda form: _parse(sample, form).null_count())
    return min(ranked[:4], key=lambda form: _parse(text, form).null_count())


def _tidy(cells: pl.Series) -> pl.Series:
    """The many ways to write one stamp → few: "2024/1/31T10:00" as "2024-1-31 10:00:00"."""
    text = cells.str.replace_all(",", "", literal=True).str.replace(r"^(\d+)[/.](\d+)[/.](\d+)", "$1-$2-$3")
    text = text.str.replace(r"^(\d{4})[/.](\d{1,2})$", "$1-$2").str.replace(r"(\d)[Tt](\d\d:?)", "$1 $2")
    text = text.str.replace(r"^(\d{4}-\d{1,2})$", "$1-01").str.replace(
        r"^([A-Za-z]{3,9})[ -](\d{4})$", "1 $1 $2"
    )
    text = text.str.replace(r"^(\d{4})-?W(\d\d)$", "$1-W$2-1")
    for quarter, month in (("1", "01"), ("2", "04"), ("3", "07"), ("4", "10")):
        text = text.str.replace(rf"^(\d{{4}})[- ]?Q{quarter}$", f"$1-{month}-01")
    return _with_seconds(text)


def _with_seconds(text: pl.Series) -> pl.Series:
    """Times written to the second in all rows, if any row has a time."""
    text = text.str.replace(r"^(\d+-\d+-\d+ \d\d)$", "$1:00")
    timed = text.str.contains(":", literal=True)
    if not timed.any():
        return text
    text = text.zip_with(timed, text + " 00:00")
    return text.str.replace(r"( \d{1,2}:\d\d)($| |Z|[+-])", "$1:00$2")


def _drop_zone(text: pl.Series) -> pl.Series:
    return text.str.replace(_ZONE, "$1")


def _parse(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_datetime(form, time_unit="us", strict=False, exact=True)


def _minutes(offset: str) -> int:
    if not re.match("[+-]", offset):
        return 0
    digits = offset[1:].replace(":", "")
    return (1 if offset[0] == "+" else -1) * (60 * int(digits[:2]) + int(digits[2:]))


def _zoned(cells: pl.Series) -> Clock:
    """A Datetime column, with or without a zone."""
    cells = cells.cast(pl.Datetime("us", cells.dtype.time_zone))  # type: ignore[attr-defined]
    if cells.dtype.time_zone is None:  # type: ignore[attr-defined]
        return Clock(_numpy(cells), _kind(cells))
    wall = cells.dt.replace_time_zone(None)
    if _kind(wall) == "date":
        return Clock(_numpy(wall), "date")
    utc = cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return Clock(_numpy(utc), "datetime", (f"column {cells.name!r} has a time zone; all stamps are in UTC",))


def _dated(cells: pl.Series) -> Clock:
    return Clock(_numpy(cells), "date")


def _kind(stamps: pl.Series) -> str:
    return "date" if bool((stamps.dt.time() == time(0)).all()) else "datetime"


def _numpy(stamps: pl.Series) -> NDArray[np.datetime64]:
    return stamps.to_numpy().astype("datetime64[us]")
