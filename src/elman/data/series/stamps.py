"""Time stamps in many formats → numpy datetime64[us] in one time zone, or step numbers."""

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
class StampColumn:
    stamps: Stamps
    kind: str  # "integer", "date" (without any time of day) or "datetime"
    notes: tuple[str, ...] = ()  # sentences about how the column was read


def read_stamps(table: Table, column: str) -> StampColumn:
    """Read the stamps in `column` of `table`.

    Text may be ISO 8601 or another common date format, the same in all rows. Stamps with a zone or an offset
    become UTC, unless all of them are local midnights, which are dates. Whole numbers stay numbers, unless
    all are dates YYYYMMDD.

    Raises:
        DataError: a stamp is missing or cannot be read.
    """
    table.require(column)
    cells = table.frame[column]
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars().replace("", None)
    if cells.null_count():
        row = table.row(int(cells.is_null().arg_true()[0]))
        raise DataError(f"{row}: column {column!r} has no time stamp; give one or remove the row.")
    if cells.dtype == pl.Date:
        return StampColumn(_numpy(cells), "date")
    if isinstance(cells.dtype, pl.Datetime):
        return _from_datetimes(cells)
    if cells.dtype.is_numeric():
        return _from_numbers(table, column, cells)
    if cells.dtype != pl.String:
        raise DataError(
            f"column {column!r} of {table.name} holds {cells.dtype}, which is not a time stamp; {_EXAMPLES}."
        )
    if cells.str.contains(r"^[+-]?\d{1,18}$").all():
        return _from_numbers(table, column, cells.cast(pl.Int64))
    return _from_text(table, column, cells)


def looks_like_time(cells: pl.Series) -> bool:
    """Return whether a column's first values are dates or times; numbers do not count as such."""
    if cells.dtype.is_temporal():
        return True
    if cells.dtype != pl.String:
        return False
    head = _normalize(cells.drop_nulls().head(50).str.strip_chars())
    if head.is_empty() or head.str.contains(r"^[+-]?[\d.]+(?:[eE][+-]?\d+)?$").all():
        return False
    return any(_parse(_drop_zone(head), pattern).null_count() == 0 for pattern in _FORMATS)


def _from_numbers(table: Table, column: str, cells: pl.Series) -> StampColumn:
    whole = cells.cast(pl.Int64, strict=False)
    bad = (whole.is_null() | (whole.cast(pl.Float64) != cells.cast(pl.Float64))).arg_true()
    if len(bad):
        row, value = table.row(int(bad[0])), cells[int(bad[0])]
        raise DataError(f"{row}: column {column!r} holds {value}, which is not a whole number; {_EXAMPLES}.")
    if bool(whole.is_between(19000101, 22001231).all()):
        dates = _parse(whole.cast(pl.String), "%Y%m%d")
        if dates.null_count() == 0:
            return StampColumn(_numpy(dates), "date")
    return StampColumn(whole.to_numpy().astype(np.int64), "integer")


def _from_text(table: Table, column: str, cells: pl.Series) -> StampColumn:
    text = _normalize(cells)
    local_text = _drop_zone(text)
    pattern = _best_format(local_text)
    local = _parse(local_text, pattern)
    if local.null_count():
        bad = int(local.is_null().arg_true()[0])
        example = next((str(cells[i]) for i in range(len(cells)) if local[i] is not None), None)
        unlike = f" like {example!r}" if example is not None else ""
        raise DataError(
            f"{table.row(bad)}: column {column!r} holds {cells[bad]!r}, which is not a date or time{unlike}; "
            f"{_EXAMPLES}."
        )
    notes: tuple[str, ...] = ()
    if "%d-%m-%Y" in pattern or "%m-%d-%Y" in pattern:
        local, notes = _resolve_order(table, column, local_text, pattern, local)
    offsets = text.str.extract(_ZONE, 2)
    if _kind(local) == "date" or offsets.null_count() == len(offsets):
        return StampColumn(_numpy(local), _kind(local), notes)
    minutes = offsets.fill_null("Z").map_elements(_minutes, return_dtype=pl.Int64).to_numpy()
    utc = _numpy(local) - minutes.astype("timedelta64[m]")
    if minutes.any():
        notes = (*notes, f"{table.name}: column {column!r} has time zones; all stamps are in UTC")
    return StampColumn(utc, "datetime", notes)


def _resolve_order(
    table: Table, column: str, text: pl.Series, pattern: str, stamps: pl.Series
) -> tuple[pl.Series, tuple[str, ...]]:
    """Read the day or the month first: if both fit all rows, the order with the more even steps."""
    day_first = "%d-%m" in pattern
    swapped = pattern.replace("%d-%m", "%m-%d") if day_first else pattern.replace("%m-%d", "%d-%m")
    other = _parse(text, swapped)
    if other.null_count():
        return stamps, ()
    if _evenness(other) > _evenness(stamps):
        stamps, day_first = other, not day_first
    order = "day/month/year" if day_first else "month/day/year"
    return stamps, (f"{table.name}: column {column!r} was read as {order}; write dates as 2024-01-31",)


def _evenness(stamps: pl.Series) -> float:
    """Return the share of the most frequent step between neighbouring stamps."""
    steps = np.diff(np.unique(_numpy(stamps)))
    return float(np.unique(steps, return_counts=True)[1].max() / len(steps)) if len(steps) else 1.0


def _best_format(text: pl.Series) -> str:
    """Return the format that fits the most rows, after a sample has narrowed the list."""
    sample = text.gather_every(max(1, len(text) // 200))
    ranked = sorted(_FORMATS, key=lambda pattern: _parse(sample, pattern).null_count())
    return min(ranked[:4], key=lambda pattern: _parse(text, pattern).null_count())


def _normalize(cells: pl.Series) -> pl.Series:
    """Reduce the formats to a few: "2024/1/31T10:00" becomes "2024-1-31 10:00:00"."""
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
    """Write times to the second in all rows, if any row has a time."""
    text = text.str.replace(r"^(\d+-\d+-\d+ \d\d)$", "$1:00")
    timed = text.str.contains(":", literal=True)
    if not timed.any():
        return text
    text = text.zip_with(timed, text + " 00:00")
    return text.str.replace(r"( \d{1,2}:\d\d)($| |Z|[+-])", "$1:00$2")


def _drop_zone(text: pl.Series) -> pl.Series:
    return text.str.replace(_ZONE, "$1")


def _parse(text: pl.Series, pattern: str) -> pl.Series:
    return text.str.to_datetime(pattern, time_unit="us", strict=False, exact=True)


def _minutes(offset: str) -> int:
    if not re.match("[+-]", offset):
        return 0
    digits = offset[1:].replace(":", "")
    return (1 if offset[0] == "+" else -1) * (60 * int(digits[:2]) + int(digits[2:]))


def _from_datetimes(cells: pl.Series) -> StampColumn:
    zone = cells.dtype.time_zone  # type: ignore[attr-defined]
    cells = cells.cast(pl.Datetime("us", zone))
    local = cells.dt.replace_time_zone(None)
    if zone is None or _kind(local) == "date":
        return StampColumn(_numpy(local), _kind(local))
    utc = cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    note = f"column {cells.name!r} has a time zone; all stamps are in UTC"
    return StampColumn(_numpy(utc), "datetime", (note,))


def _kind(stamps: pl.Series) -> str:
    return "date" if bool((stamps.dt.time() == time(0)).all()) else "datetime"


def _numpy(stamps: pl.Series) -> NDArray[np.datetime64]:
    return stamps.to_numpy().astype("datetime64[us]")
