"""The regular grid of a series: the distance of its steps, the step of each stamp, and calendar inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from elman.data.series.stamps import Stamps
from elman.errors import DataError, UsageError

_SECOND = 1_000_000  # stamps count microseconds
_DAY = 86_400 * _SECOND
_YEAR = 365.25 * 86_400
_FIXED = {"us": 1, "s": _SECOND, "min": 60 * _SECOND, "h": 3600 * _SECOND, "d": _DAY, "w": 7 * _DAY}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
# NumPy adds no bare integer to a date.
_ONE_DAY, _ONE_MONTH, _ONE_YEAR = (np.timedelta64(1, unit) for unit in ("D", "M", "Y"))
_GRAMMAR = (
    "a count and one of s, min, h, d, bd (business day), w, mo, q, y, as in '30min' or '1mo', "
    "or a bare count for stamps that are step numbers"
)

Unit = Literal["us", "business", "month", "integer"]


@dataclass(frozen=True)
class Frequency:
    """Steps of `count` units: microseconds, business days (Monday to Friday), months or plain numbers.

    With `month_end`, the stamps of a grid of months are the last days of their months.
    """

    unit: Unit
    count: int
    month_end: bool = False

    def __str__(self) -> str:
        if self.unit == "business":
            return f"{self.count}bd"
        if self.unit == "integer":
            return str(self.count)
        sizes = _MONTHS if self.unit == "month" else _FIXED
        name = max((n for n in sizes if self.count % sizes[n] == 0), key=lambda n: sizes[n])
        return f"{self.count // sizes[name]}{name}"

    @classmethod
    def parse(cls, text: str) -> "Frequency":
        """Parse a frequency in the form that `str` returns: "1h", "30min", "1d", "1bd", "1mo", "1q", "1".

        Raises:
            UsageError: `text` has another form.
        """
        match = re.fullmatch(r"([1-9]\d*)?\s*([a-z]*)", text.strip().lower())
        count, unit = (int(match[1] or 1), match[2]) if match and text.strip() else (0, "unknown")
        if unit in _FIXED:
            return cls("us", count * _FIXED[unit])
        if unit in _MONTHS:
            return cls("month", count * _MONTHS[unit])
        if unit == "bd":
            return cls("business", count)
        if unit == "":
            return cls("integer", count)
        raise UsageError(f"frequency {text!r} is not understood; give {_GRAMMAR}.")

    @property
    def seconds(self) -> float:
        """Average length of a step; NaN for step numbers."""
        lengths = {"us": 1 / _SECOND, "business": 86_400.0, "month": _YEAR / 12, "integer": float("nan")}
        return self.count * lengths[self.unit]

    @property
    def season(self) -> int:
        """Number of steps in the usual season: a day of hours, a week of days, a year of weeks or months."""
        if self.unit == "integer":
            return 1
        if self.unit == "business":
            return 5 if self.count == 1 else 1
        for length in (86_400, 3600, 60, 7 * 86_400, _YEAR):
            steps = round(length / self.seconds)
            # A year is rounded to 52 weeks. A season of more than 400 steps is too long for a network, so the
            # season of minutes is the hour.
            if 2 <= steps <= 400 and abs(steps * self.seconds - length) < 0.02 * length:
                return steps
        return 1

    def slots(self, start: np.generic, stamps: Stamps) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the step number of each stamp, from 0 at `start`, and whether it lies exactly on the grid.

        A stamp off the grid belongs to the nearest step, or to the one it is in (months, business days).
        """
        if self.unit == "month":
            months = stamps.astype("datetime64[M]").astype(np.int64)
            slots = (months - start.astype("datetime64[M]").astype(np.int64)) // self.count
        elif self.unit == "business":
            days = (
                np.busday_count(start.astype("datetime64[D]"), stamps.astype("datetime64[D]") + _ONE_DAY) - 1
            )
            slots = days.astype(np.int64) // self.count
        else:
            distance = stamps.astype(np.int64) - start.astype(np.int64)
            slots = (2 * distance + self.count) // (2 * self.count)
        return slots, self.stamps(start, slots) == stamps

    def stamps(self, start: np.generic, slots: NDArray[np.int64]) -> Stamps:
        """Return the stamps of step numbers counted from `start`; the inverse of `slots`."""
        if self.unit == "integer":
            return np.asarray(start.astype(np.int64) + slots * self.count)
        if self.unit == "us":
            return np.asarray(start + (slots * self.count).astype("timedelta64[us]"))
        day = start.astype("datetime64[D]")
        time_of_day = start - day
        if self.unit == "business":
            days = np.busday_offset(day, slots * self.count, roll="backward")
            return np.asarray(days.astype("datetime64[us]") + time_of_day)
        month = day.astype("datetime64[M]") + slots * self.count * _ONE_MONTH
        last = (month + _ONE_MONTH).astype("datetime64[D]") - _ONE_DAY
        first = month.astype("datetime64[D]")
        same_day = first + (day - day.astype("datetime64[M]").astype("datetime64[D]"))
        days = last if self.month_end else np.minimum(same_day, last)
        return np.asarray(days.astype("datetime64[us]") + time_of_day)

    def cycles(self, seconds: float) -> tuple[str, ...]:
        """Return the calendar cycles that `seconds` of history can teach: two steps to half of it long."""
        lengths = {"hour": 3600.0, "day": 86_400.0, "week": 7 * 86_400.0, "year": _YEAR}
        return tuple(c for c, length in lengths.items() if 2 * self.seconds <= length <= seconds / 2)


def calendar(stamps: Stamps, cycles: Sequence[str]) -> NDArray[np.float32]:
    """Return the sines and cosines (n, F) of the phase of each stamp (n,) in each cycle and its overtones."""
    columns: list[NDArray[np.float64]] = []
    for cycle in cycles:
        phase = 2 * np.pi * _phase(stamps, cycle)
        # Three overtones distinguish the seven days of a week; two suffice for a day or a year.
        for overtone in range(1, 4 if cycle == "week" else 3):
            columns += [np.sin(overtone * phase), np.cos(overtone * phase)]
    return np.stack(columns, 1).astype(np.float32) if columns else np.zeros((len(stamps), 0), np.float32)


def _phase(stamps: Stamps, cycle: str) -> NDArray[np.float64]:
    """Return the share of the cycle that has passed, 0 to 1."""
    micros = stamps.astype("datetime64[us]").astype(np.int64)
    if cycle == "year":
        year = stamps.astype("datetime64[Y]")
        start, end = (y.astype("datetime64[us]").astype(np.int64) for y in (year, year + _ONE_YEAR))
        return np.asarray((micros - start) / (end - start))
    length = {"hour": 3600 * _SECOND, "day": _DAY, "week": 7 * _DAY}[cycle]
    return np.asarray((micros % length) / length)


def infer_frequency(groups: Sequence[Stamps], name: str) -> Frequency:
    """Infer the common frequency of several series of ascending stamps; `name` is for messages.

    Raises:
        DataError: no series has two stamps.
    """
    stamps = np.concatenate([group for group in groups if len(group)] or [np.zeros(0, np.int64)])
    steps = np.concatenate([np.diff(group) for group in groups if len(group) > 1] or [np.zeros(0, np.int64)])
    if not len(steps):
        raise DataError(f"{name} has no series with two stamps, so its frequency is unknown; give more rows.")
    if stamps.dtype.kind == "i":
        return Frequency("integer", _common_step(steps))
    return _business(stamps, steps) or _monthly(groups, stamps, steps) or Frequency("us", _common_step(steps))


def _common_step(steps: NDArray[np.int64]) -> int:
    """Return the most frequent step if nearly all are multiples of it, else the greatest common divisor.

    If the divisor is far below the median step, the clock is inexact, and the median is returned.
    """
    values, counts = np.unique(steps.astype(np.int64), return_counts=True)
    frequent = int(values[counts.argmax()])
    if (counts[values % frequent == 0]).sum() >= 0.9 * counts.sum():
        return frequent
    divisor, median = int(np.gcd.reduce(values)), int(np.median(steps.astype(np.int64)))
    return divisor if median <= 4 * divisor else median


def _business(stamps: Stamps, steps: Stamps) -> Frequency | None:
    """Return business days for daily stamps that leave out all weekends."""
    days = steps.astype("timedelta64[D]").astype(np.int64)
    daily = np.median(days) == 1 and (days >= 3).any()
    weekdays = daily and bool(np.is_busday(stamps.astype("datetime64[D]")).all())
    return Frequency("business", 1) if weekdays else None


def _monthly(groups: Sequence[Stamps], stamps: Stamps, steps: Stamps) -> Frequency | None:
    """Return months, quarters or years: the same day of each, its last day, or any one stamp in each."""
    if steps.min() < np.timedelta64(27, "D"):
        return None
    days = stamps.astype("datetime64[D]")
    month = days.astype("datetime64[M]")
    ends = bool((days == (month + _ONE_MONTH).astype("datetime64[D]") - _ONE_DAY).all())
    same_day = len(np.unique((days - month.astype("datetime64[D]")).astype(np.int64))) == 1
    months = np.concatenate(
        [np.diff(g.astype("datetime64[M]")).astype(np.int64) for g in groups if len(g) > 1]
    )
    even = len(np.unique(steps)) == 1 and len(steps) > 2
    if (months < 1).any() or (even and not (ends or same_day)):
        return None  # exactly every 28 or 30 days
    return Frequency("month", _common_step(months), month_end=ends and not same_day)
