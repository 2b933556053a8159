"""Numbers as time stamps: step numbers, and dates or times that are written as numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elman.data.series.dates import Dates, full_years, iso_week

# Numbers whose digits are a date, by their parts and those parts' numbers of digits.
_DIGITS: Final = {
    "YYYYMMDDHHMMSS": (("year", 4), ("month", 2), ("day", 2), ("hour", 2), ("minute", 2), ("second", 2)),
    "YYYYMMDDHHMM": (("year", 4), ("month", 2), ("day", 2), ("hour", 2), ("minute", 2)),
    "YYYYMMDDHH": (("year", 4), ("month", 2), ("day", 2), ("hour", 2)),
    "YYYYMMDD": (("year", 4), ("month", 2), ("day", 2)),
    "YYYYDDD": (("year", 4), ("day_of_year", 3)),
    "YYYYMM": (("year", 4), ("month", 2)),
    "YYYYWW": (("year", 4), ("week", 2)),
    "YYMMDD": (("short_year", 2), ("month", 2), ("day", 2)),
    "YYYYQ": (("year", 4), ("quarter", 1)),
}
_MAYBE_STEPS: Final = ("YYYYWW", "YYMMDD", "YYYYQ")
_LIMITS: Final = {
    "year": (1900, 2200),
    "short_year": (0, 99),
    "month": (1, 12),
    "day": (1, 31),
    "day_of_year": (1, 366),
    "week": (1, 53),
    "quarter": (1, 4),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
# Seconds, or thousandths, ... of seconds, since 1970 are between 1973 and 2128.
_EPOCH: Final = (
    (1, "seconds since 1970"),
    (10**3, "milliseconds since 1970"),
    (10**6, "microseconds since 1970"),
    (10**9, "nanoseconds since 1970"),
)
_FIRST_EPOCH, _LAST_EPOCH = 100_000_000, 5_000_000_000
EXAMPLES: Final = "write dates as 2024-01-31 or 2024-01-31 13:30, or use whole numbers"
_SHEET_DAYS: Final = (18_264, 73_050)  # 1950 to 2099 as a spreadsheet counts days
STEP_LIMIT: Final = 2**63 - 1024  # below it, a float of 64 bits becomes an integer unchanged
DECIMAL_YEAR: Final = "decimal years"


@dataclass(frozen=True, eq=False)
class NumberReading:
    stamps: Dates | NDArray[np.int64]
    form: str  # "" for step numbers
    utc: bool = False


def number_readings(numbers: NDArray[np.float64] | NDArray[np.int64]) -> list[NumberReading]:
    """Return the readings of a column (rows,) that fit all rows, the likeliest first; none for fractions that
    are no times."""
    scale = next((s for s in _EPOCH if _between(numbers, _FIRST_EPOCH * s[0], _LAST_EPOCH * s[0])), None)
    whole = numbers.astype(np.int64) if np.abs(numbers).max() < STEP_LIMIT else None
    if whole is None or (whole != numbers).any():
        if scale is not None:
            return [NumberReading(_since_1970(numbers, scale[0]), scale[1], utc=True)]
        return list(_fractions(numbers.astype(np.float64)))
    readings = list(_from_digits(whole))
    if readings and readings[0].form not in _MAYBE_STEPS:
        return readings[:1]
    if scale is not None:
        return [NumberReading(_since_1970(whole, scale[0]), scale[1], utc=True)]
    if _between(whole, *_SHEET_DAYS):
        readings.append(NumberReading(_sheet_days(whole), "days as a spreadsheet counts them"))
    return [NumberReading(whole, ""), *readings]


def years(numbers: NDArray[np.int64]) -> Dates | None:
    """Return the first days of years, None unless all numbers (rows,) may be years."""
    if not _between(numbers, 1000, 2999):
        return None
    return (numbers - 1970).astype("datetime64[Y]").astype("datetime64[us]")


def _between(numbers: NDArray[np.float64] | NDArray[np.int64], first: int, last: int) -> bool:
    return bool((numbers >= first).all() and (numbers <= last).all())


def _from_digits(numbers: NDArray[np.int64]) -> Iterator[NumberReading]:
    for form, sizes in _DIGITS.items():
        rest, parts = numbers, {}
        for name, digits in reversed(sizes):
            rest, parts[name] = np.divmod(rest, 10**digits)
        if (rest == 0).all() and all(_between(parts[name], *_LIMITS[name]) for name in parts):
            stamps = _date_of(parts)
            if stamps is not None:
                yield NumberReading(stamps, form)


def _date_of(parts: dict[str, NDArray[np.int64]]) -> Dates | None:
    """Return the stamps (rows,), None if a day does not exist."""
    year = parts["year"] if "year" in parts else full_years(parts["short_year"])
    month = parts["quarter"] * 3 - 2 if "quarter" in parts else parts.get("month", 1)
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    if "week" in parts:
        days, exist = iso_week(year, parts["week"], np.ones_like(year))
    else:
        day = parts.get("day", parts.get("day_of_year", np.ones_like(year)))
        days = first.astype("datetime64[D]") + (day - 1) * np.timedelta64(1, "D")
        unit = "datetime64[Y]" if "day_of_year" in parts else "datetime64[M]"
        exist = days.astype(unit) == first.astype(unit)
    if not exist.all():
        return None
    seconds = sum(parts.get(name, 0) * size for name, size in (("hour", 3600), ("minute", 60), ("second", 1)))
    return np.asarray(days.astype("datetime64[us]") + seconds * np.timedelta64(1, "s"))


def _fractions(numbers: NDArray[np.float64]) -> Iterator[NumberReading]:
    """Yield decimal years, as in 2014.0833 for February 2014, and days with fractions."""
    if _between(numbers, 1000, 2999):
        months = np.round(numbers * 12)
        # Two decimals of a year are up to 0.06 months off.
        if (np.abs(numbers * 12 - months) < 0.07).all():
            stamps = (months.astype(np.int64) - 1970 * 12).astype("datetime64[M]")
        else:
            year = np.floor(numbers).astype(np.int64) - 1970
            start, end = (y.astype("datetime64[Y]").astype("datetime64[D]") for y in (year, year + 1))
            length = (end - start).astype(np.float64)
            stamps = start + np.round((numbers % 1) * length).astype("timedelta64[D]")
        yield NumberReading(stamps.astype("datetime64[us]"), DECIMAL_YEAR)
    elif _between(numbers, *_SHEET_DAYS):
        yield NumberReading(_sheet_days(numbers), "days as a spreadsheet counts them")


def _since_1970(numbers: NDArray[np.float64] | NDArray[np.int64], scale: int) -> Dates:
    micros = numbers // (scale // 10**6) if scale > 10**6 else np.round(numbers * (10**6 // scale))
    return micros.astype(np.int64).astype("datetime64[us]")


def _sheet_days(numbers: NDArray[np.float64] | NDArray[np.int64]) -> Dates:
    seconds = np.round(numbers * 86_400).astype(np.int64)
    return np.datetime64("1899-12-30", "us") + seconds.astype("timedelta64[s]")
