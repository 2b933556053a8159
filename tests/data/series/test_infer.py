"""Frequencies of awkward calendars and clocks, and the reading of stamps with the fewest missing steps."""

import numpy as np
import pandas as pd
import pytest

from elman.data.series.frequency import BUSINESS, Frequency
from elman.data.series.infer import choose, defects, first_step, infer_frequency, split, with_days
from elman.data.series.stamps import Clock, StampColumn


def stamps(alias: str, count: int = 60, start: str = "2014-01-01") -> np.ndarray:
    if alias == "LWOM-MON":  # which only the newest pandas knows
        mondays = pd.date_range(start, periods=5 * count, freq="W-MON").to_series()
        return mondays.groupby(mondays.dt.to_period("M")).last().to_numpy().astype("datetime64[us]")[:count]
    return pd.date_range(start, periods=count, freq=alias).to_numpy().astype("datetime64[us]")


def dates(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[us]")


@pytest.mark.parametrize(
    ("alias", "name", "days", "week"),
    [
        ("MS", "1mo", (1,), ""),
        ("ME", "1mo", (31,), ""),
        ("BMS", "1mo", (1,), BUSINESS),
        ("BME", "1mo", (31,), BUSINESS),
        ("BQS", "1q", (1,), BUSINESS),
        ("BQE", "1q", (31,), BUSINESS),
        ("BYE", "1y", (31,), BUSINESS),
        ("QE-JAN", "1q", (31,), ""),
        ("YE-SEP", "1y", (30,), ""),
        ("SMS", "1mo:1,15", (1, 15), ""),
        ("SME", "1mo:15,31", (15, 31), ""),
        ("WOM-3FRI", "1mo", (3,), "0000100"),
        ("WOM-1SUN", "1mo", (1,), "0000001"),
        ("LWOM-MON", "1mo", (31,), "1000000"),
    ],
)
def test_days_of_months(alias: str, name: str, days: tuple[int, ...], week: str) -> None:
    full = stamps(alias, 41)
    found = infer_frequency([full[:-1]], "test")
    assert (str(found), found.days, found.week) == (name, days, week)
    assert found.stamps(full[0], np.array([40]))[0] == full[40]
    assert defects(found, [full]) == 0
    assert found.is_valid()
    assert Frequency.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("written", "name", "ahead"),
    [
        ([f"2014-{m:02}-{d}" for m in range(1, 7) for d in (10, 25)], "1mo:10,25", "2014-07-10"),
        ([f"2014-{m:02}-{d:02}" for m in range(1, 5) for d in (1, 11, 21)], "1mo:1,11,21", "2014-05-01"),
        (["2014-01-30", "2014-02-28", "2014-03-30", "2014-04-30"], "1mo", "2014-05-30"),
        (["2014-02-28", "2014-03-31", "2014-04-30", "2014-05-31"], "1mo", "2014-06-30"),
        (["1904-02-29", "1908-02-29", "1912-02-29", "1916-02-29"], "4y", "1920-02-29"),
        (["2014-02-28", "2015-02-28", "2016-02-29", "2017-02-28"], "1y", "2018-02-28"),
        (["1890-06-30", "1890-09-30", "1890-12-31", "1891-03-31"], "1q", "1891-06-30"),
    ],
)
def test_ends_of_unequal_months(written: list[str], name: str, ahead: str) -> None:
    found = infer_frequency([dates(*written)], "test")
    assert str(found) == name
    assert str(found.stamps(dates(written[0])[0], np.array([len(written)]))[0])[:10] == ahead


@pytest.mark.parametrize(
    ("alias", "seconds", "jitter"),
    [
        ("h", 3600, 90),
        ("h", 3600, 600),
        ("min", 60, 5),
        ("10s", 10, 1),
        ("D", 86_400, 3600),
        ("7h", 25_200, 300),
    ],
)
def test_an_inexact_clock_is_read_as_the_one_it_was_set_to(alias: str, seconds: int, jitter: int) -> None:
    exact = stamps(alias, 200)
    noise = np.random.default_rng(0).integers(-jitter * 1000, jitter * 1000, 200)
    late = exact + noise.astype("timedelta64[ms]")
    found = infer_frequency([late], "test")
    assert found == Frequency("us", seconds * 1_000_000)
    start = first_step(found, late)
    slots, _ = found.slots(start, late)
    np.testing.assert_array_equal(slots, np.arange(200))
    if 86_400 % seconds == 0:
        assert start == exact[0], "full hours and the like"


def test_the_grid_is_that_of_most_stamps() -> None:
    exact = stamps("h", 20)
    late = exact.copy()
    late[0] += np.timedelta64(3, "m")
    assert first_step(Frequency.parse("1h"), late) == exact[0]
    off = exact + np.timedelta64(17, "m")
    assert first_step(Frequency.parse("1h"), off) == off[0]


def test_the_days_of_given_months_come_from_the_stamps() -> None:
    ends = stamps("ME", 12)
    assert with_days(Frequency.parse("1mo"), [ends]).days == (31,)
    assert with_days(Frequency.parse("MS"), [ends]).days == (1,), "said"
    assert with_days(Frequency.parse("1d"), [ends]) == Frequency.parse("1d")


def reading(written: np.ndarray, form: str) -> StampColumn:
    return StampColumn(written, Clock("date", form))


def test_the_reading_with_the_fewest_missing_steps_over_all_series() -> None:
    monthly, daily = stamps("MS", 12), stamps("D", 12)
    assert choose([reading(daily, "d"), reading(monthly, "m")], None).clock.form == "m", "twelve firsts"
    other = dates(*(f"2014-{m:02}-03" for m in range(1, 13)))
    assert choose([reading(other, "m"), reading(stamps("D", 12, "2014-03-01"), "d")], None).clock.form == "d"
    # Two series, of which the second decides.
    codes = np.repeat([0, 1], [3, 12])
    both = [
        reading(np.concatenate([dates("2014-01-03", "2014-02-03", "2014-03-03"), monthly]), "m"),
        reading(
            np.concatenate([dates("2014-03-01", "2014-03-02", "2014-03-03"), dates("2015-01-01"), daily[1:]]),
            "d",
        ),
    ]
    assert choose(both, codes).clock.form == "m"
    assert choose([reading(daily, "d"), reading(monthly, "m")], None, Frequency.parse("1d")).clock.form == "d"
    assert choose([reading(daily[:1], "x"), reading(monthly[:1], "y")], None).clock.form == "x"


def test_defects_are_missing_and_shared_steps() -> None:
    day = Frequency.parse("1d")
    assert defects(day, [dates("2014-01-01", "2014-01-03"), dates("2014-01-01")]) == 1
    assert defects(day, [dates("2014-01-01", "2014-01-01T01:00", "2014-01-02")]) == 1


def test_split_sorts_each_series() -> None:
    found = split(np.array([3, 1, 2, 0]), np.array([1, 0, 1, 0]))
    assert [part.tolist() for part in found] == [[0, 1], [2, 3]]
