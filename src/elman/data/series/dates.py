"""Texts of dates and times in the spellings that people use → stamps, in every order of day, month and year
that fits all of them.

A spelling is a regular expression whose groups are named for what they hold; `a`, `b` and `c` are numbers
whose order is open. Nothing here knows tables: columns of text in, stamps out.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

Dates = NDArray[Any]  # datetime64 or timedelta64, whose sums NumPy's types mistake

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = (
    r"(?<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_Y, _Y2, _D = r"(?<y>\d{4})", r"(?<y>\d{4}|\d\d)", r"(?<d>\d{1,2})"
_DAY_OR_YEAR = rf"(?<a>\d\d?)[-/. ]{_NAME}"  # "14-jan": in a spreadsheet, often January 2014
# Spellings of dates in lower case, and the orders of a, b and c in them, the likeliest first.
_SPELLINGS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (rf"{_Y}[-/. ](?<m>\d{{1,2}})[-/. ]{_D}", ("",)),
    (r"(?<a>\d{1,2})[-/ ](?<b>\d{1,2})[-/ ](?<c>\d{4})", ("mdy", "dmy")),
    (r"(?<a>\d{1,2})\.(?<b>\d{1,2})\.(?<c>\d{4})", ("dmy", "mdy")),
    (r"(?<a>\d{1,2})[-/ ](?<b>\d{1,2})[-/ ](?<c>\d\d)", ("mdy", "dmy", "ymd")),
    (r"(?<a>\d{1,2})\.(?<b>\d{1,2})\.(?<c>\d\d)", ("dmy", "mdy", "ymd")),
    (r"(?<y>\d{4})(?<m>\d\d)(?<d>\d\d)", ("",)),
    (rf"{_D}[-/. ]?{_NAME}[-/. ']?{_Y2}", ("",)),
    (rf"{_Y}[-/. ]?{_NAME}[-/. ]?{_D}", ("",)),
    (rf"{_NAME}[-/. ]?{_D}[-/. ]{_Y2}", ("",)),
    (rf"{_NAME}[-/. ']*{_Y2}", ("",)),
    (rf"{_Y}[-/. ]?{_NAME}", ("",)),
    (_DAY_OR_YEAR, ("y",)),
    (r"(?<y>\d{4})[-/.: ](?<a>\d{1,2})", ("m", "q")),
    (r"(?<y>\d{4})-?m(?<m>\d{1,2})", ("",)),
    (r"m?(?<m>\d{1,2})[-/. ](?<y>\d{4})", ("",)),
    (r"(?<a>\d{1,2})[-/](?<b>\d\d)", ("ym", "my")),
    (rf"{_Y2}[-/.: ]*q(?<quarter>[1-4])", ("",)),
    (rf"(?:q(?<quarter>[1-4])|(?<quarter_first>[1-4])q)[-/. ']*{_Y2}", ("",)),
    (rf"{_Y}[- ]?[hs](?<half>[12])", ("",)),
    (rf"{_Y}-?(?: ?w|[- ]?week ?)(?<week>\d{{1,2}})(?:-(?<weekday>[1-7]))?", ("",)),
    (rf"(?:week ?|w)(?<week>\d{{1,2}})[-/ ]{_Y}", ("",)),
    (rf"{_Y}-(?<day_of_year>\d{{3}})", ("",)),
    (r"fy ?'?(?<y>\d{4}|\d\d)", ("",)),
    (r"(?<y>\d{4})[-/](?<next_year>\d\d|\d{4})", ("",)),
)
_WORDS: Final = {"d": "day", "m": "month", "q": "quarter", "y": "year"}
_CLOCK = (
    r"(?<hour>\d{1,2}):(?<minute>\d\d)(?::(?<second>\d\d)(?:\.(?<fraction>\d{1,9}))?)?"
    r"(?: ?(?<noon>[ap])\.?m\.?)?"
)
_ZONE = r" ?(?<zone>z|utc|gmt|[+-]\d\d(?::?\d\d)?)(?:\[.*\])?"
_FIRST_YEAR: Final = 100  # years before are those of two digits, read wrongly
_PIVOT: Final = 69  # POSIX: 69 to 99 are in the 20th century, 0 to 68 in the 21st


@dataclass(frozen=True, eq=False)
class DateReading:
    """One reading of a column of texts.

    Attributes:
        stamps: (rows,) datetime64[us] as written, whatever their zone; NaT where it does not fit.
        offsets: (rows,) minutes to subtract for UTC; None if no text has a zone.
        form: "day/month/year" and the like, where the texts leave the order open; else "".
        short_years: whether years have two digits.
    """

    stamps: Dates
    offsets: NDArray[np.int64] | None
    form: str
    short_years: bool


def date_readings(cells: pl.Series) -> list[DateReading]:
    """Return the readings of a column (rows,) of texts that fit all rows; if there is none, those that fit
    the most, with NaT for the others."""
    text = _normalize(cells)
    date, time, offsets = _split_time(text)
    spelling, orders = _spelling(date)
    fields = date.str.extract_groups(f"^(?:{spelling})$").struct.unnest()
    readings = []
    for order in orders:
        days, short_years = _days(fields, order)
        if spelling == _DAY_OR_YEAR and not _consecutive(days):
            days[:] = np.datetime64("NaT", "D")
        form = "/".join(_WORDS[letter] for letter in order) if len(orders) > 1 and order != "m" else ""
        readings.append(DateReading(days.astype("datetime64[us]") + time, offsets, form, short_years))
    missing = [int(np.isnat(reading.stamps).sum()) for reading in readings]
    return [r for r, count in zip(readings, missing, strict=True) if count == min(missing)]


def looks_like_date(cells: pl.Series) -> bool:
    """Return whether all texts are dates; plain numbers do not count as such."""
    if cells.is_empty() or cells.str.contains(r"^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$").all():
        return False
    return not bool(np.isnat(date_readings(cells)[0].stamps).any())


def _normalize(cells: pl.Series) -> pl.Series:
    """Return the texts in lower case, without names of weekdays, ordinals' endings, commas and quotes."""
    text = cells.str.to_lowercase().str.replace_all(r"[\s\u{a0}]+", " ").str.strip_chars(" '\"")
    text = text.str.replace(r"(:\d\d),(\d)", "$1.$2").str.replace_all(r", ?", " ")
    text = text.str.replace(r"^(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?\.? ", "")
    text = text.str.replace(r"(\d)(?:st|nd|rd|th)\b", "$1").str.replace(r"(\d)t(\d)", "$1 $2")
    text = text.str.replace(r"^(\d{4}-\d\d-\d\d)/\d{4}-\d\d-\d\d$", "$1")  # a week's first and last day
    # Times without colons: 20140131 1030, 201401311030, 2014-01-31 10, 10 pm
    text = text.str.replace(r"^(\d{8})(\d\d)(\d\d)(\d\d)$", "$1 $2:$3:$4")
    text = text.str.replace(r"^(\d{8}) ?(\d\d)(\d\d)(z?)$", "$1 $2:$3$4")
    text = text.str.replace(r"^(\d{8}) (\d\d)(\d\d)(\d\d(?:\.\d+)?)", "$1 $2:$3:$4")
    text = text.str.replace(r"^(\d+[-/.]\d+[-/.]\d+ \d{1,2})(z?)$", "$1:00$2")
    return text.str.replace(r"( \d{1,2})( ?[ap]\.?m\.?)$", "$1:00$2")


def _split_time(
    text: pl.Series,
) -> tuple[pl.Series, Dates, NDArray[np.int64] | None]:
    """Return the texts of the dates, the times of day, NaT where impossible, and the zones' minutes."""
    clock = text.str.extract_groups(rf"^.*? {_CLOCK}(?:{_ZONE})?$").struct.unnest()
    date = text.str.replace(rf" {_CLOCK}(?:{_ZONE})?$", "")
    timed = clock["hour"].is_not_null().to_numpy()
    if not timed.any():
        return date, np.zeros(len(text), "timedelta64[us]"), None
    hour, minute, second = (_whole(clock[name]) for name in ("hour", "minute", "second"))
    fraction = clock["fraction"].fill_null("").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int64).to_numpy()
    noon = clock["noon"].fill_null("").to_numpy()
    half = noon != ""
    possible = (minute < 60) & (second < 60) & np.where(half, (hour >= 1) & (hour <= 12), hour < 24)
    # Hour 24 without minutes is the end of the day.
    possible |= (hour == 24) & (minute == 0) & (second == 0) & ~half
    hour = np.where(half, hour % 12 + 12 * (noon == "p"), hour)
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    time = micros.astype("timedelta64[us]")
    time[~possible] = np.timedelta64("NaT", "us")
    if clock["zone"].null_count() == len(text):
        return date, time, None
    return date, time, _zone_minutes(clock["zone"])


def _zone_minutes(zone: pl.Series) -> NDArray[np.int64]:
    digits = zone.str.extract_groups(r"^(?<sign>[+-])(?<hours>\d\d):?(?<minutes>\d\d)?").struct.unnest()
    sign = np.where(digits["sign"].fill_null("+").to_numpy() == "-", -1, 1)
    return np.asarray(sign * (60 * _whole(digits["hours"]) + _whole(digits["minutes"])))


def _spelling(date: pl.Series) -> tuple[str, tuple[str, ...]]:
    """Return the spelling that fits the most rows with a possible date; a sample narrows the list."""
    sample = date.gather_every(max(1, len(date) // 200))

    def fitting(texts: pl.Series, spelling: tuple[str, tuple[str, ...]]) -> int:
        pattern, orders = spelling
        matches = texts.str.contains(f"^(?:{pattern})$").fill_null(False)
        if not matches.any():
            return 0
        fields = texts.filter(matches).str.extract_groups(f"^(?:{pattern})$").struct.unnest()
        return max(int((~np.isnat(_days(fields, order)[0])).sum()) for order in orders)

    ranked = sorted(_SPELLINGS, key=lambda spelling: -fitting(sample, spelling))
    return max(ranked[:3], key=lambda spelling: fitting(date, spelling))


def _days(fields: pl.DataFrame, order: str) -> tuple[Dates, bool]:
    """Return the days (rows,) in an order of a, b and c, NaT where impossible, and whether their years have
    two digits."""
    part = {name: fields[name] for name in fields.columns}
    part |= {letter: part[name] for letter, name in zip(order, "abc", strict=False)}
    year, short = _whole(part["y"]), part["y"].str.len_chars() < 3
    short_rows = short.fill_null(False).to_numpy()
    year = np.where(short_rows, full_years(year), year)
    month, day = np.ones_like(year), np.ones_like(year)
    possible = part["y"].is_not_null().to_numpy() & (year >= _FIRST_YEAR)
    if "name" in part:
        initial = part["name"].str.slice(0, 3)
        month = _whole(initial.replace_strict(_MONTHS, range(1, 13), default=None, return_dtype=pl.Int64))
    if "m" in part:
        month = _whole(part["m"])
    for name, months in (("q", 3), ("quarter", 3), ("quarter_first", 3), ("half", 6)):
        if name in part:
            month = np.where(
                part[name].is_not_null().to_numpy(), (_whole(part[name]) - 1) * months + 1, month
            )
    if "d" in part:
        day = _whole(part["d"])
    if "next_year" in part:
        possible &= (year + 1) % 100 == _whole(part["next_year"]) % 100
    possible &= (month >= 1) & (month <= 12) & (day >= 1)
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = first.astype("datetime64[D]") + (day - 1) * np.timedelta64(1, "D")
    if "week" in part or "day_of_year" in part:
        days, fits = _counted_days(year, part)
        possible &= fits
    else:
        possible &= days.astype("datetime64[M]") == first
    days[~possible] = np.datetime64("NaT", "D")
    return days, bool(short_rows.any())


def _consecutive(days: Dates) -> bool:
    """Return whether most of the months between the first and the last are there: else "14-jan" is a day
    without a year."""
    months = np.unique(days[~np.isnat(days)].astype("datetime64[M]").astype(np.int64))
    return len(months) > 1 and int(months[-1] - months[0]) < 1.5 * len(months)


def _counted_days(year: NDArray[np.int64], part: dict[str, pl.Series]) -> tuple[Dates, NDArray[np.bool_]]:
    """Return the days of ISO weeks (Mondays, without a weekday) or of days of the year, and which exist."""
    if "day_of_year" in part:
        start = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]")
        number = _whole(part["day_of_year"])
        days = start + (number - 1) * np.timedelta64(1, "D")
        return days, np.asarray(
            (number >= 1) & (days.astype("datetime64[Y]") == start.astype("datetime64[Y]"))
        )
    week = _whole(part["week"])
    weekday = _whole(part["weekday"].fill_null("1")) if "weekday" in part else np.ones_like(week)
    return iso_week(year, week, weekday)


def iso_week(
    year: NDArray[np.int64], week: NDArray[np.int64], weekday: NDArray[np.int64]
) -> tuple[Dates, NDArray[np.bool_]]:
    """Return the days of ISO weeks, and whether their years have such a week; weekday 1 is a Monday."""
    fourth = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]") + np.timedelta64(3, "D")
    # January 4 lies in week 1; day 0 of 1970 was a Thursday.
    monday = fourth - ((fourth.astype(np.int64) + 3) % 7) * np.timedelta64(1, "D")
    days = monday + ((week - 1) * 7 + weekday - 1) * np.timedelta64(1, "D")
    thursday = monday + ((week - 1) * 7 + 3) * np.timedelta64(1, "D")
    return days, np.asarray((week >= 1) & (thursday.astype("datetime64[Y]").astype(np.int64) + 1970 == year))


def full_years(short: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return years of two digits as POSIX reads them, unless that leaves a wider gap between the years than
    another first year of the last century does: 50 to 99 and 0 to 19 are 1950 to 2019."""
    used = np.unique((short[(short >= 0) & (short < 100)] - _PIVOT) % 100)
    first = _PIVOT
    if len(used) > 1:
        gaps = np.diff(used)
        if gaps.max() > 100 - (used[-1] - used[0]):
            first = int(used[gaps.argmax() + 1] + _PIVOT) % 100
    return np.asarray(short + np.where(short < first, 2000, 1900))


def _whole(digits: pl.Series) -> NDArray[np.int64]:
    """Return whole numbers (rows,), 0 where there is none."""
    return digits.cast(pl.Int64).fill_null(0).to_numpy().astype(np.int64)
