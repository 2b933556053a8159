"""Columns of time stamps → numpy datetime64[us], or step numbers, in every reading that fits all cells.

Most columns have one reading. `elman.data.series.infer.choose` chooses where the order of day and month, or
the meaning of numbers, is open.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.data.series.dates import DateReading, date_readings, looks_like_date
from elman.data.series.numbers import EXAMPLES, STEP_LIMIT, number_readings
from elman.data.table.formats import shorten
from elman.data.table.table import Table
from elman.errors import DataError

# datetime64[us], or int64 for stamps that are numbers of steps.
Stamps = NDArray[Any]

_DECIMAL: Final = r"^[+-]?\d{1,18}(?:\.\d*)?$"
_PARTS_OF_HOURS: Final = {
    -570: "Pacific/Marquesas",
    210: "Asia/Tehran",
    270: "Asia/Kabul",
    330: "Asia/Kolkata",
    345: "Asia/Kathmandu",
    390: "Asia/Yangon",
    525: "Australia/Eucla",
    570: "Australia/Darwin",
}


@dataclass(frozen=True)
class Clock:
    """How a column's cells became stamps, so that later ones are read alike.

    Attributes:
        kind: "integer", "date" (without any time of day) or "datetime".
        form: the reading, where the cells leave it open: "month/day/year", "YYYYMM", ...; else "".
        zone: the time zone of the stamps, which forecasts take; "" without one, None where elman 0.1.0 did
            not save it.
        local: whether the stamps are local times of that zone; else they are in UTC.
    """

    kind: str
    form: str = ""
    zone: str | None = ""
    local: bool = False


@dataclass(frozen=True)
class StampColumn:
    stamps: Stamps
    clock: Clock
    notes: tuple[str, ...] = ()  # sentences about how the column was read

    @property
    def kind(self) -> str:
        return self.clock.kind


def read_stamps(table: Table, column: str) -> list[StampColumn]:
    """Return the readings of the stamps in `column` of `table`, at least one, the likeliest first.

    Text may be a date in any common format, the same in all rows. Stamps with a zone or an offset are read in
    UTC and as local times. Whole numbers stay numbers, unless all are dates such as YYYYMMDD or YYYYMM, or
    seconds since 1970.

    Raises:
        DataError: a stamp is missing or cannot be read.
    """
    table.require(column)
    cells = table.frame[column]
    if cells.dtype in (pl.Categorical, pl.Enum):
        cells = cells.cast(pl.String)
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars().replace("", None)
    if cells.dtype.is_float():
        cells = cells.fill_nan(None)
    if cells.null_count():
        row = table.row(int(cells.is_null().arg_true()[0]))
        raise DataError(f"{row}: column {column!r} has no time stamp; give one or remove the row.")
    if cells.dtype == pl.Date:
        return [_unzoned(_numpy(cells))]
    if isinstance(cells.dtype, pl.Datetime):
        return _from_datetimes(cells)
    if cells.dtype.is_numeric():
        return _from_numbers(table, column, cells)
    if cells.dtype != pl.String:
        raise DataError(
            f"column {column!r} of {table.name} holds {cells.dtype}, which is not a time stamp; {EXAMPLES}."
        )
    if cells.str.contains(r"^[+-]?\d{1,18}$").all():
        return _from_numbers(table, column, cells.cast(pl.Int64))
    if cells.str.contains(_DECIMAL).all():
        readings = _number_columns(table, column, cells.cast(pl.Float64).to_numpy())
        return readings + _from_text(table, column, cells, refuse=not readings)
    return _from_text(table, column, cells)


def readable_rows(table: Table, time: str | None, series: str | None) -> Table:
    """Return the rows with a stamp that can be read and the name of a series; the others are bad ones."""
    table = table.usable(*(column for column in (time, series) if column is not None))
    cells = table.frame[time] if time is not None else pl.Series([None])
    if cells.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return table
    text = cells.cast(pl.String).str.strip_chars()
    numbers = text.str.contains(_DECIMAL).to_numpy()
    bad = ~numbers if numbers.mean() > 0.5 else np.isnat(date_readings(text)[0].stamps)
    for index in np.flatnonzero(bad).tolist():
        what = (
            f"{table.row(index)}: column {time!r} holds {shorten(text[index])}, which is not a date or time"
        )
        table.bad.add(table.line(index), DataError(f"{what}; {EXAMPLES}."))
    if bad.all():
        table.bad.report(table.name, 0)  # raises DataError
    return table.select(np.flatnonzero(~bad).tolist())


def looks_like_time(cells: pl.Series) -> bool:
    """Return whether a column's first values are dates or times; numbers do not count as such."""
    if cells.dtype.is_temporal():
        return True
    return cells.dtype == pl.String and looks_like_date(cells.drop_nulls().head(50))


def _from_numbers(table: Table, column: str, cells: pl.Series) -> list[StampColumn]:
    whole = cells.dtype.is_integer() and cells.cast(pl.Int64, strict=False).null_count() == 0
    numbers = cells.cast(pl.Int64 if whole else pl.Float64).to_numpy()
    readings = _number_columns(table, column, numbers)
    if not readings:
        bad = int(np.flatnonzero((numbers % 1 != 0) | (np.abs(numbers) >= STEP_LIMIT))[0])
        raise DataError(
            f"{table.row(bad)}: column {column!r} holds {cells[bad]}, which is not a whole number or a time; "
            f"{EXAMPLES}."
        )
    return readings


def _number_columns(table: Table, column: str, numbers: NDArray[Any]) -> list[StampColumn]:
    readings = []
    for reading in number_readings(numbers):
        if not reading.form:
            readings.append(StampColumn(reading.stamps, Clock("integer")))
            continue
        utc = " (UTC)" if reading.utc else ""
        note = f"{table.name}: column {column!r} was read as {reading.form}{utc}"
        readings.append(StampColumn(reading.stamps, Clock(_kind(reading.stamps), reading.form), (note,)))
    return readings


def _from_text(table: Table, column: str, cells: pl.Series, refuse: bool = True) -> list[StampColumn]:
    readings = date_readings(cells)
    missing = np.isnat(readings[0].stamps)
    if not missing.any():
        return [one for reading in readings for one in _clocks(table, column, reading)]
    if not refuse:
        return []
    bad, fitting = int(missing.argmax()), np.flatnonzero(~missing)
    unlike = f" like {cells[int(fitting[0])]!r}" if len(fitting) else ""
    raise DataError(
        f"{table.row(bad)}: column {column!r} holds {shorten(cells[bad])}, which is not a date or "
        f"time{unlike}; {EXAMPLES}."
    )


def _clocks(table: Table, column: str, reading: DateReading) -> list[StampColumn]:
    """Return the stamps in UTC and as local times, if they have offsets; else as they are."""
    notes: tuple[str, ...] = ()
    if reading.form or reading.short_years:
        form = reading.form or "years of two digits"
        pivot = " (69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068)" if reading.short_years else ""
        notes = (f"{table.name}: column {column!r} was read as {form}{pivot}; write dates as 2024-01-31",)
    local, offsets = reading.stamps, reading.offsets
    if offsets is None:
        return [StampColumn(local, Clock(_kind(local), reading.form), notes)]
    zone = _offset_zone(int(offsets[-1]))
    utc = local - offsets * np.timedelta64(60, "s")
    in_utc: tuple[str, ...] = ()
    if len(np.unique(offsets)) > 1:
        in_utc = (f"{table.name}: column {column!r} has several offsets from UTC; forecasts have the last",)
    readings = [
        StampColumn(utc, Clock("datetime", reading.form, zone), notes + in_utc),
        StampColumn(local, Clock(_kind(local), reading.form, zone, local=True), notes),
    ]
    return readings[::-1] if readings[1].kind == "date" else readings


def _offset_zone(minutes: int) -> str:
    """Return a zone that always has this offset from UTC, or UTC if there is none."""
    if minutes and minutes % 60 == 0 and -12 <= minutes // 60 <= 14:
        return f"Etc/GMT{-minutes // 60:+d}"
    return _PARTS_OF_HOURS.get(minutes, "UTC")


def _from_datetimes(cells: pl.Series) -> list[StampColumn]:
    zone = cells.dtype.time_zone  # type: ignore[attr-defined]
    cells = cells.cast(pl.Datetime("us", zone))
    local = _numpy(cells.dt.replace_time_zone(None))
    if zone is None:
        return [_unzoned(local)]
    utc = _numpy(cells.dt.convert_time_zone("UTC").dt.replace_time_zone(None))
    readings = [
        StampColumn(utc, Clock("datetime", "", zone)),
        StampColumn(local, Clock(_kind(local), "", zone, local=True)),
    ]
    return readings[::-1] if readings[1].kind == "date" else readings


def _unzoned(stamps: NDArray[np.datetime64]) -> StampColumn:
    return StampColumn(stamps, Clock(_kind(stamps)))


def _kind(stamps: NDArray[Any]) -> str:
    return "date" if bool((stamps == stamps.astype("datetime64[D]")).all()) else "datetime"


def _numpy(stamps: pl.Series) -> NDArray[np.datetime64]:
    return stamps.to_numpy().astype("datetime64[us]")


def alike(readings: list[StampColumn], clock: Clock, what: str) -> list[StampColumn]:
    """Return those of a column's readings that are like `clock`, with its zone; all if none has its form.

    Raises:
        DataError: the stamps have a zone, and those of `clock` have none, or the reverse; `what` names them.
    """
    steps = [one for one in readings if (one.kind == "integer") == (clock.kind == "integer")] or readings
    steps = [one for one in steps if one.clock.form == clock.form] or steps
    zoned = [one for one in steps if one.clock.zone]
    if clock.kind == "integer" or not (clock.zone or zoned):
        return steps
    if not clock.zone:
        dates = clock.kind == "date"
        same = [one for one in zoned if one.clock.local == dates]
        if clock.zone is None or (dates and same[0].kind == "date"):
            return same
        raise DataError(f"{what} has a time zone, but the training data have none; remove it.")
    if not zoned:
        if clock.local:
            return steps
        raise DataError(f"{what} has no time zone, but the training data have ({clock.zone}); give one.")
    utc = next(one for one in zoned if not one.clock.local)
    stamps = to_local(utc.stamps, clock.zone) if clock.local else utc.stamps
    return [StampColumn(stamps, clock)]


def to_local(stamps: NDArray[Any], zone: str) -> NDArray[np.datetime64]:
    """Return stamps in UTC as local times of a zone."""
    moments = pl.Series(stamps).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return _numpy(moments.dt.replace_time_zone(None))


def with_zone(stamps: NDArray[Any], clock: Clock) -> pl.Series:
    """Return stamps as a column of the kind that they were read from: whole numbers, dates or times, with
    their zone. A local time that a zone lacks, because its clocks were changed, is an hour later."""
    moments = pl.Series(stamps)
    if clock.kind == "date" and not clock.zone:
        return moments.cast(pl.Date)
    if not clock.zone:
        return moments
    if not clock.local:
        return moments.dt.replace_time_zone("UTC").dt.convert_time_zone(clock.zone)
    local = moments.dt.replace_time_zone(clock.zone, ambiguous="earliest", non_existent="null")
    later = moments.dt.offset_by("1h").dt.replace_time_zone(
        clock.zone, ambiguous="earliest", non_existent="null"
    )
    return local.fill_null(later)


def format_stamp(stamp: Any) -> str:
    """Return a stamp as text, without zero fractions, seconds and hours at its end."""
    if not isinstance(stamp, np.datetime64):
        return str(stamp)
    text = str(stamp.astype("datetime64[us]")).replace("T", " ")
    for zeros in (".000000", ":00", " 00:00"):
        text = text.removesuffix(zeros)
    return text
