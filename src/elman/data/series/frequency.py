"""The regular grid of a series: how far apart its steps are, which stamp is which step, where in the year."""

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
_GRAMMAR = (
    "a count and one of s, min, h, d, bd (business day), w, mo, q, y, as in '30min' or '1mo', "
    "or a bare count for stamps that are step numbers"
)

Unit = Literal["us", "business", "month", "integer"]


@dataclass(frozen=True)
class Frequency:
    """Steps of `count` units: microseconds, business days (Monday to Friday), calendar months or numbers.

    `month_end`: the stamps of a month grid are the last days of their months.
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
        """The frequency that `text` names, as `str` writes it: "1h", "30min", "1d", "1bd", "1mo", "1q", "1".

        Raises:
            UsageError: it names none.
        """
        found = re.fullmatch(r"([1-9]\d*)?\s*([a-z]*)", text.strip().lower())
        if not found or not text.strip():
            raise UsageError(f"frequency {text!r} is not understood; give {_GRAMMAR}.")
        count, unit = int(found[1] or 1), found[2]
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
        """Length of a step, on average; NaN for step numbers."""
        lengths = {"us": 1 / _SECOND, "business": 86_400.0, "month": _YEAR / 12, "integer": float("nan")}
        return self.count * lengths[self.unit]

    @property
    def season(self) -> int:
        """Steps in the season to expect: a day of hours, a week of days, a year of weeks or months."""
        if self.unit == "integer":
            return 1
        if self.unit == "business":
            return 5 if self.count == 1 else 1
        for length in (86_400, 3600, 60, 7 * 86_400, _YEAR):
            steps = round(length / self.seconds)
            # A year of weeks has 52 for want of a whole number. More than 400 steps are more than a network
            # can look back on: the season of a minute is the hour.
            if 2 <= steps <= 400 and abs(steps * self.seconds - length) < 0.02 * length:
                return steps
        return 1

    def slots(self, start: np.generic, stamps: Stamps) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Step number of every stamp counted from `start`, and whether the stamp lies exactly on the grid.

        A stamp off the grid counts for the nearest step; on a grid of months or business days, for its own.
        """
        if self.unit == "month":
            months = stamps.astype("datetime64[M]").astype(np.int64)
            slots = (months - start.astype("datetime64[M]").astype(np.int64)) // self.count
        elif self.unit == "business":
            days = np.busday_count(start.astype("datetime64[D]"), stamps.astype("datetime64[D]") + 1) - 1
            slots = days.astype(np.int64) // self.count
        else:
            distance = stamps.astype(np.int64) - start.astype(np.int64)
            slots = (2 * distance + self.count) // (2 * self.count)
        return slots, self.stamps(start, slots) == stamps

    def stamps(self, start: np.generic, slots: NDArray[np.int64]) -> Stamps:
        """The stamps of step numbers counted from `start`; inverse of `slots`."""
        if self.unit == "integer":
            return np.asarray(start.astype(np.int64) + slots * self.count)
        if self.unit == "us":
            return np.asarray(start + (slots * self.count).astype("timedelta64[us]"))
        day = start.astype("datetime64[D]")
        time_of_day = start - day
        if self.unit == "business":
            days = np.busday_offset(day, slots * self.count, roll="backward")
            return np.asarray(days.astype("datetime64[us]") + time_of_day)
        month = day.astype("datetime64[M]") + slots * self.count
        last = (month + 1).astype("datetime64[D]") - 1
        first = month.astype("datetime64[D]")
        wanted = first + (day - day.astype("datetime64[M]").astype("datetime64[D]"))
        days = last if self.month_end else np.minimum(wanted, last)
        return np.asarray(days.astype("datetime64[us]") + time_of_day)

    def cycles(self, seconds: float) -> tuple[str, ...]:
        """The calendar cycles that can be learned: longer than a step, seen twice in `seconds` of history."""
        if self.unit == "integer":
            return ()
        lengths = {"hour": 3600.0, "day": 86_400.0, "week": 7 * 86_400.0, "year": _YEAR}
        return tuple(c for c, length in lengths.items() if 2 * self.seconds <= length <= seconds / 2)


def calendar(stamps: Stamps, cycles: Sequence[str]) -> NDArray[np.float32]:
    """Sine and cosine of the place of every stamp (n,) in each cycle and its overtones: (n, F)."""
    columns: list[NDArray[np.float64]] = []
    for cycle in cycles:
        phase = 2 * np.pi * _phase(stamps, cycle)
        # Three overtones tell the seven days of a week apart; two shape a day or a year.
        for overtone in range(1, 4 if cycle == "week" else 3):
            columns += [np.sin(overtone * phase), np.cos(overtone * phase)]
    return np.stack(columns, 1).astype(np.float32) if columns else np.zeros((len(stamps), 0), np.float32)


def _phase(stamps: Stamps, cycle: str) -> NDArray[np.float64]:
    """How much of the cycle has passed, 0 to 1."""
    micros = stamps.astype("datetime64[us]").astype(np.int64)
    if cycle == "year":
        year = stamps.astype("datetime64[Y]")
        begun, ends = (y.astype("datetime64[us]").astype(np.int64) for y in (year, year + 1))
        return np.asarray((micros - begun) / (ends - begun))
    length = {"hour": 3600 * _SECOND, "day": _DAY, "week": 7 * _DAY}[cycle]
    return np.asarray((micros % length) / length)


def infer(groups: Sequence[Stamps], name: str) -> Frequency:
    """The frequency of several series, each with rising stamps; `name` is for messages.

    Raises:
        DataError: no series has two stamps.
    """
    stamps = np.concatenate([group for group in groups if len(group)] or [np.zeros(0, np.int64)])
    steps = np.concatenate([np.diff(group) for group in groups if len(group) > 1] or [np.zeros(0, np.int64)])
    if not len(steps):
        raise DataError(f"{name} has no series with two stamps, so its frequency is unknown; give more rows.")
    if stamps.dtype.kind == "i":
        return Frequency("integer", _common_step(steps))
    return _business(stamps, steps) or _monthly(groups, stamps, steps) or _fixed(stamps, steps)


def _common_step(steps: NDArray[np.int64]) -> int:
    """The step that explains nearly all of `steps`: the most frequent, else the greatest common divisor.

    Where neither does (jittered clocks), the median.
    """
    values, counts = np.unique(steps.astype(np.int64), return_counts=True)
    frequent = int(values[counts.argmax()])
    if (counts[values % frequent == 0]).sum() >= 0.9 * counts.sum():
        return frequent
    divisor, median = int(np.gcd.reduce(values)), int(np.median(steps.astype(np.int64)))
    return divisor if median <= 4 * divisor else median


def _fixed(stamps: Stamps, steps: Stamps) -> Frequency:
    return Frequency("us", _common_step(steps.astype(np.int64)))


def _business(stamps: Stamps, steps: Stamps) -> Frequency | None:
    """Daily without a single weekend, though weekends passed."""
    days = steps.astype("timedelta64[D]").astype(np.int64)
    daily = np.median(days) == 1 and (days >= 3).any()
    return (
        Frequency("business", 1)
        if daily and bool(np.is_busday(stamps.astype("datetime64[D]")).all())
        else None
    )


def _monthly(groups: Sequence[Stamps], stamps: Stamps, steps: Stamps) -> Frequency | None:
    """Months, quarters, years: the same day of each, or its last day, or any single stamp in it."""
    if steps.min() < np.timedelta64(27, "D"):
        return None
    days = stamps.astype("datetime64[D]")
    month = days.astype("datetime64[M]")
    ends = bool((days == (month + 1).astype("datetime64[D]") - 1).all())
    same_day = len(np.unique((days - month.astype("datetime64[D]")).astype(np.int64))) == 1
    months = np.concatenate(
        [np.diff(g.astype("datetime64[M]")).astype(np.int64) for g in groups if len(g) > 1]
    )
    even = len(np.unique(steps)) == 1 and len(steps) > 2
    if (months < 1).any() or (even and not (ends or same_day)):
        return None  # every 28 or 30 days on the dot, whatever the month
    return Frequency("month", _common_step(months), month_end=ends and not same_day)
