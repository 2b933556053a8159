"""The frequency of stamps, and the reading of ambiguous ones: the grid with the fewest missing steps."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elman.data.series.frequency import BUSINESS, FIRST, LAST, WEEKS, Frequency, first_and_last_day
from elman.data.series.stamps import StampColumn, Stamps
from elman.errors import DataError

# Lengths of steps that clocks are set to, in seconds.
_CLOCK_SECONDS: Final = (
    *(1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 3 * 3600, 4 * 3600, 6 * 3600, 8 * 3600, 12 * 3600, 86_400, 7 * 86_400),
)
_ROUND_US: Final = (3_600_000_000, 60_000_000, 1_000_000, 1000)
_MOST: Final = 0.9  # a share of the stamps that decides


def infer_frequency(groups: Sequence[Stamps], name: str) -> Frequency:
    """Infer the common frequency of several series of ascending stamps; `name` is for messages.

    Raises:
        DataError: no series has two stamps.
    """
    groups = [np.unique(group) for group in groups]
    stamps = np.concatenate([group for group in groups if len(group)] or [np.zeros(0, np.int64)])
    steps = np.concatenate([np.diff(group) for group in groups if len(group) > 1] or [np.zeros(0, np.int64)])
    if not len(steps):
        raise DataError(f"{name} has no series with two stamps, so its frequency is unknown; give more rows.")
    if stamps.dtype.kind == "i":
        return Frequency("integer", _common_step(steps))
    return (
        _business(stamps, steps)
        or _monthly(groups, stamps, steps)
        or _parts_of_months(groups, stamps, steps)
        or Frequency("us", _clock_step(groups, steps))
    )


def with_days(frequency: Frequency, groups: Sequence[Stamps]) -> Frequency:
    """Return a frequency of months with the days of the month on which all stamps lie, if it lacks them."""
    stamps = np.concatenate(groups)
    if frequency.unit != "month" or frequency.days or not len(stamps):
        return frequency
    days, week = _days(stamps)
    return Frequency("month", frequency.count, days, week)


def defects(frequency: Frequency, groups: Sequence[Stamps]) -> int:
    """Return the number of steps without a stamp and of stamps without a step of their own, in all series."""
    count = 0
    for group in groups:
        if len(group):
            slots = np.unique(frequency.slots(group[0], group)[0])
            count += int(slots[-1] - slots[0]) + 1 - len(slots) + len(group) - len(slots)
    return count


def choose(
    readings: Sequence[StampColumn], codes: NDArray[np.int64] | None, frequency: Frequency | None = None
) -> StampColumn:
    """Return the reading of stamps with the fewest missing steps over all series; `codes` (rows,) tells them
    apart. Without a frequency, it is inferred for each reading.

    If several have as few, that of the first days or the ends of months is preferred, then that with the most
    even steps, then the first.
    """
    if len(readings) == 1:
        return readings[0]
    scores = []
    for reading in readings:
        groups = split(reading.stamps, codes)
        fits = frequency is not None and (frequency.unit == "integer") == (reading.kind == "integer")
        try:
            step = frequency if fits and frequency is not None else infer_frequency(groups, "")
        except DataError:
            scores.append((0.0, 0.0, 0.0))
            continue
        lacks = defects(step, groups) / len(reading.stamps)
        natural = step.unit == "month" and step.days in (FIRST, LAST)
        scores.append((round(lacks, 3), 0.0 if natural else 1.0, -_evenness(groups)))
    return readings[min(range(len(readings)), key=lambda i: scores[i])]


def first_step(frequency: Frequency, stamps: Stamps) -> np.generic:
    """Return the stamp of the first step of a grid for ascending stamps.

    Most stamps may lie at one distance from the first, which is late or early then. If they lie all around,
    as those of an inexact clock do, the grid is that of the clock (full hours and the like) where their
    middle is near, else that of their middle.
    """
    start = stamps[0]
    if frequency.unit != "us":
        first: np.generic = frequency.stamps(start, np.zeros(1, np.int64))[0]
        return first
    step = frequency.count
    away = (stamps.astype(np.int64) - start.astype(np.int64) + step // 2) % step - step // 2
    sizes, counts = np.unique(away, return_counts=True)
    if counts.max() >= 0.5 * len(stamps):
        middle = int(sizes[counts.argmax()])
    else:
        middle = int(np.median(away))
        on_clock = (start.astype(np.int64) + middle + step // 2) % step - step // 2
        middle -= on_clock if abs(on_clock) < step // 10 else 0
    return np.datetime64(start + np.timedelta64(middle, "us"))


def split(stamps: Stamps, codes: NDArray[np.int64] | None) -> list[Stamps]:
    """Return the ascending stamps of each series."""
    if codes is None:
        return [np.sort(stamps)]
    order = np.lexsort((stamps, codes))
    return np.split(stamps[order], np.cumsum(np.bincount(codes))[:-1])


def _evenness(groups: Sequence[Stamps]) -> float:
    """Return the share of the most frequent step between neighbouring stamps."""
    steps = np.concatenate([np.diff(group) for group in groups])
    return float(np.unique(steps, return_counts=True)[1].max() / len(steps)) if len(steps) else 1.0


def _common_step(steps: NDArray[np.int64]) -> int:
    """Return the most frequent step if nearly all are multiples of it, else the greatest common divisor.

    If the divisor is far below the median step, the clock is inexact, and the median is returned.
    """
    values, counts = np.unique(steps.astype(np.int64), return_counts=True)
    frequent = int(values[counts.argmax()])
    if (counts[values % frequent == 0]).sum() >= _MOST * counts.sum():
        return frequent
    divisor, median = int(np.gcd.reduce(values)), int(np.median(steps.astype(np.int64)))
    return divisor if median <= 4 * divisor else median


def _clock_step(groups: Sequence[Stamps], steps: Stamps) -> int:
    """Return the common step in microseconds; of an inexact clock, the usual step of clocks near the median
    step that leaves the fewest steps without a stamp of their own."""
    step = _common_step(steps)
    if (steps.astype(np.int64) % step == 0).mean() >= _MOST:
        return step
    near = [s * 1_000_000 for s in _CLOCK_SECONDS if 0.8 * step <= s * 1_000_000 <= 1.25 * step]
    rounded = [(step + unit // 2) // unit * unit for unit in _ROUND_US if unit < 4 * step]
    candidates = [count for count in (*near, *rounded, step) if count]
    return min(candidates, key=lambda count: defects(Frequency("us", count), groups))


def _business(stamps: Stamps, steps: Stamps) -> Frequency | None:
    """Return business days for daily stamps that leave out all weekends."""
    days = steps.astype("timedelta64[D]").astype(np.int64)
    daily = np.median(days) == 1 and (days >= 3).any()
    weekdays = daily and bool(np.is_busday(stamps.astype("datetime64[D]")).all())
    return Frequency("business", 1) if weekdays else None


def _monthly(groups: Sequence[Stamps], stamps: Stamps, steps: Stamps) -> Frequency | None:
    """Return months, quarters or years: the same day of each, its last day, or any one stamp in each."""
    if steps.min() < np.timedelta64(26, "D"):
        return None
    days, week = _days(stamps)
    months = np.concatenate(
        [np.diff(g.astype("datetime64[M]")).astype(np.int64) for g in groups if len(g) > 1]
    )
    even = len(np.unique(steps)) == 1 and len(steps) > 2
    if (months < 1).any() or (even and not days):
        return None  # exactly every 28 or 30 days
    return Frequency("month", _common_step(months), days, week)


def _parts_of_months(groups: Sequence[Stamps], stamps: Stamps, steps: Stamps) -> Frequency | None:
    """Return half months or thirds of months, if all stamps lie on the same two or three days of months."""
    if np.median(steps.astype("timedelta64[h]").astype(np.int64)) < 8 * 24 or len(stamps) < 4:
        return None
    day, last = _days_of_month(stamps)
    for days in (np.unique(np.where(day == last, 31, day)), np.unique([day.min(), day.max()])):
        if 2 <= len(days) <= 3 and np.diff(days).min() >= 8:
            frequency = Frequency("month", 1, tuple(days.tolist()))
            exact = [frequency.slots(group[0], group)[1].all() for group in groups if len(group)]
            if all(exact):
                return frequency
    return None


def _days(stamps: Stamps) -> tuple[tuple[int, ...], str]:
    """Return the day of the month on which all stamps lie, and the days of the week that it counts, as in
    `Frequency`. There is none if they lie on several days."""
    day, last = _days_of_month(stamps)
    one = np.unique(day)
    if len(one) == 1:
        return (int(one[0]),), ""
    if (day == np.minimum(one[-1], last)).all():
        return (LAST if (day == last).all() else (int(one[-1]),)), ""
    for days, week in ((FIRST, BUSINESS), (LAST, BUSINESS)):
        expected = Frequency("month", 1, days, week).stamps(stamps[0], _months_from_first(stamps))
        if (expected.astype("datetime64[D]") == stamps.astype("datetime64[D]")).mean() >= _MOST:
            return days, week
    return _nth_weekday(stamps, day, last)


def _nth_weekday(
    stamps: Stamps, day: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[tuple[int, ...], str]:
    """Return `_days` of stamps all of which lie on the first to fourth, or the last, of one weekday."""
    weekday = (stamps.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday
    nth = np.unique((day - 1) // 7 + 1)
    if len(np.unique(weekday)) == 1:
        week = WEEKS[1 + int(weekday[0])]
        if len(nth) == 1 and nth[0] < 5:
            return (int(nth[0]),), week
        if (last - day < 7).all():
            return LAST, week
    return (), ""


def _months_from_first(stamps: Stamps) -> NDArray[np.int64]:
    months = stamps.astype("datetime64[M]").astype(np.int64)
    return np.asarray(months - months[0])


def _days_of_month(stamps: Stamps) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the day of the month of each stamp, and the last day of its month."""
    dates = stamps.astype("datetime64[D]")
    first, last = first_and_last_day(dates.astype("datetime64[M]"))
    return (dates - first).astype(np.int64) + 1, (last - first).astype(np.int64) + 1
