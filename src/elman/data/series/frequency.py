"""The regular grid of a series: the distance of its steps, the step of each stamp, and calendar inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from elman.data.series.dates import Dates
from elman.data.series.stamps import Stamps
from elman.errors import UsageError

_SECOND = 1_000_000  # stamps count microseconds
_DAY = 86_400 * _SECOND
_YEAR = 365.25 * 86_400
_FIXED = {"us": 1, "s": _SECOND, "min": 60 * _SECOND, "h": 3600 * _SECOND, "d": _DAY, "w": 7 * _DAY}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_WORDS: Final = {"us": "microseconds", "s": "seconds", "min": "minutes", "h": "hours", "d": "days"} | {
    **{"w": "weeks", "mo": "months", "q": "quarters", "y": "years", "bd": "business days"}
}
# NumPy adds no bare integer to a date.
ONE_DAY, ONE_MONTH, ONE_YEAR = (np.timedelta64(1, unit) for unit in ("D", "M", "Y"))
FIRST, LAST = (1,), (31,)  # days of a month
BUSINESS: Final = "1111100"
WEEKS: Final = (BUSINESS, *("".join("01"[day == only] for day in range(7)) for only in range(7)))
_WEEKDAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
# pandas' names of units of months, with the days on which their stamps lie.
_PANDAS: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    **{name: (unit, LAST) for name, unit in (("M", "mo"), ("Q", "q"), ("Y", "y"), ("A", "y"))},
    **{name: (unit, LAST) for name, unit in (("ME", "mo"), ("QE", "q"), ("YE", "y"))},
    **{name: (unit, FIRST) for name, unit in (("MS", "mo"), ("QS", "q"), ("YS", "y"), ("AS", "y"))},
    **{name: ("mo", days) for name, days in (("SM", (15, 31)), ("SME", (15, 31)), ("SMS", (1, 15)))},
}
_PANDAS_FIXED: Final = {"T": "min", "B": "bd"}
_MAX_COUNT: Final = 10**16  # 317 years of microseconds
_GRAMMAR = (
    "a count and one of s, min, h, d, bd (business day), w, mo, q, y, as in '30min' or '1mo' (or pandas' "
    "names, such as 'MS'), or a bare count for stamps that are step numbers"
)

Unit = Literal["us", "business", "month", "integer"]


@dataclass(frozen=True)
class Frequency:
    """Steps of `count` units: microseconds, business days (Monday to Friday), months or plain numbers.

    Attributes:
        days: of a month, on which the stamps of a grid of months lie; a day that a month lacks is its last.
            Several make several steps a month: (1, 15) are half months. Without any, it is the first stamp's.
        week: days of the week among which the one in `days` counts, as NumPy's week mask: BUSINESS for the
            first (1) or the last (31) business day of the months, "0000100" for the first to fourth (1 to 4)
            or the last (31) Friday.
    """

    unit: Unit
    count: int
    days: tuple[int, ...] = ()
    week: str = ""

    def __str__(self) -> str:
        if self.unit == "business":
            return f"{self.count}bd"
        if self.unit == "integer":
            return str(self.count)
        sizes = _MONTHS if self.unit == "month" else _FIXED
        name = max((n for n in sizes if self.count % sizes[n] == 0), key=lambda n: sizes[n])
        parts = f":{','.join(map(str, self.days))}" if len(self.days) > 1 else ""
        return f"{self.count // sizes[name]}{name}{parts}"

    def in_words(self) -> tuple[str, int]:
        """Return what a step is called and how many of it a step is, such as ("hours", 6)."""
        count, name = re.fullmatch(r"(\d+)([a-z]*)(?::.*)?", str(self)).groups()  # type: ignore[union-attr]
        return ("steps", 1) if not name or len(self.days) > 1 else (_WORDS[name], int(count))

    @classmethod
    def parse(cls, text: str) -> "Frequency":
        """Parse a frequency in the form that `str` returns: "1h", "30min", "1d", "1bd", "1mo", "1q", "1",
        "1mo:1,15" (half months); or in pandas' form: "MS", "2QE", "BME", "W-SUN", "WOM-3FRI".

        Raises:
            UsageError: `text` has another form.
        """
        weekly = re.fullmatch(rf"(?:WOM-([1-4])|LWOM-)({'|'.join(_WEEKDAYS)})", text.strip())
        if weekly:
            return cls("month", 1, (int(weekly[1] or 31),), WEEKS[1 + _WEEKDAYS.index(weekly[2])])
        match = re.fullmatch(
            r"([1-9]\d{0,15})?\s*([A-Za-z]*)(?:-[A-Z]{3})?(?::(\d\d?(?:,\d\d?)+))?", text.strip()
        )
        if match and text.strip():
            frequency = cls._of(int(match[1] or 1), match[2], match[3])
            if frequency is not None and frequency.count <= _MAX_COUNT:
                return frequency
        raise UsageError(f"frequency {text!r} is not understood; give {_GRAMMAR}.")

    @classmethod
    def _of(cls, count: int, name: str, listed: str | None) -> "Frequency | None":
        business = len(name) > 2 and name[0] == "B" and name[1:] in _PANDAS and "SM" not in name
        week = BUSINESS if business else ""
        unit, days = _PANDAS.get(name[business:], (_PANDAS_FIXED.get(name, name.lower()), ()))
        if listed or len(days) > 1:
            days = tuple(sorted({int(day) for day in listed.split(",")})) if listed else days
            if (unit, count) != ("mo", 1) or days[0] < 1 or days[-1] > 31 or len(days) < 2:
                return None
        if unit in _MONTHS:
            return cls("month", count * _MONTHS[unit], days, week)
        if unit in _FIXED:
            return cls("us", count * _FIXED[unit])
        return {"bd": cls("business", count), "": cls("integer", count)}.get(unit)

    def to_json(self) -> list[Any]:
        """Return a list of JSON values; the third is, as in 0.1.0, a flag for the ends of months where that
        says it all."""
        days = list(self.days) if self.days not in ((), LAST) else bool(self.days)
        week = {"": [], BUSINESS: [True]}.get(self.week, [self.week])
        return [self.unit, self.count, days, *week]

    @classmethod
    def from_json(cls, values: list[Any]) -> "Frequency":
        unit, count, days, *week = values
        days = tuple(days) if isinstance(days, list) else LAST if days else ()
        return cls(unit, count, days, "" if not week else BUSINESS if week[0] is True else week[0])

    def is_valid(self) -> bool:
        """Return whether its numbers are those of a frequency; those of `parse` are."""
        days = sorted({day for day in self.days if 1 <= day <= 31})
        some_days = self.unit == "month" and (self.count == 1 or len(days) == 1)
        most = {"": 31, BUSINESS: 1}.get(self.week, 4)
        in_week = self.days == LAST or (len(self.days) == 1 and self.days[0] <= most)
        return (
            1 <= self.count <= _MAX_COUNT
            and list(self.days) == days
            and (not self.week or (self.week in WEEKS and in_week))
            and (some_days or not days)
        )

    @property
    def seconds(self) -> float:
        """Average length of a step; NaN for step numbers."""
        lengths = {"us": 1 / _SECOND, "business": 86_400.0, "month": _YEAR / 12, "integer": float("nan")}
        return self.count * lengths[self.unit] / max(len(self.days), 1)

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
            slots = (self._parts(stamps) - self._parts(start)) // self.count
        elif self.unit == "business":
            days = (
                np.busday_count(start.astype("datetime64[D]"), stamps.astype("datetime64[D]") + ONE_DAY) - 1
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
        parts = self._parts(start) + slots * self.count
        first, last = first_and_last_day((parts // self._each).astype("datetime64[M]"))
        days_in = np.array(self.days or [_day_of_month(day)])[parts % self._each]
        days = np.minimum(first + (days_in - 1) * ONE_DAY, last)
        if self.week and self.days == LAST:
            days = np.busday_offset(last, 0, roll="backward", weekmask=self.week)
        elif self.week:
            days = np.busday_offset(first, self.days[0] - 1, roll="forward", weekmask=self.week)
        return np.asarray(days.astype("datetime64[us]") + time_of_day)

    @property
    def _each(self) -> int:
        """Number of steps in `count` months."""
        return max(len(self.days), 1)

    def _parts(self, stamps: Stamps | np.generic) -> NDArray[np.int64]:
        """Return the number, from January 1970 on, of the part of a month in which each stamp lies."""
        day = np.asarray(stamps.astype("datetime64[D]"))
        month = day.astype("datetime64[M]")
        first, last = first_and_last_day(month)
        parts = month.astype(np.int64) * self._each
        for start in self.days[1:]:
            parts = parts + (day >= np.minimum(first + (start - 1) * ONE_DAY, last))
        return np.asarray(parts)

    def cycles(self, seconds: float) -> tuple[str, ...]:
        """Return the calendar cycles that `seconds` of history can teach: two steps to half of it long."""
        lengths = {"hour": 3600.0, "day": 86_400.0, "week": 7 * 86_400.0, "year": _YEAR}
        return tuple(c for c, length in lengths.items() if 2 * self.seconds <= length <= seconds / 2)


def first_and_last_day(month: Dates) -> tuple[Dates, Dates]:
    return month.astype("datetime64[D]"), (month + ONE_MONTH).astype("datetime64[D]") - ONE_DAY


def _day_of_month(day: np.generic) -> int:
    return int((day - day.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)) + 1


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
        start, end = (y.astype("datetime64[us]").astype(np.int64) for y in (year, year + ONE_YEAR))
        return np.asarray((micros - start) / (end - start))
    length = {"hour": 3600 * _SECOND, "day": _DAY, "week": 7 * _DAY}[cycle]
    return np.asarray((micros % length) / length)
