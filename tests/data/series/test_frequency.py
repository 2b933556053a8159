"""The grid against pandas' date ranges."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.series.frequency import Frequency, calendar
from elman.data.series.infer import infer_frequency
from elman.errors import DataError, UsageError

# pandas' alias, ours, season
GRIDS = [
    ("s", "1s", 60),
    ("min", "1min", 60),
    ("5min", "5min", 288),
    ("30min", "30min", 48),
    ("h", "1h", 24),
    ("6h", "6h", 4),
    ("D", "1d", 7),
    ("B", "1bd", 5),
    ("W", "1w", 52),
    ("14D", "2w", 26),
    ("10D", "10d", 37),
    ("MS", "1mo", 12),
    ("ME", "1mo", 12),
    ("QS", "1q", 4),
    ("QE", "1q", 4),
    ("YS", "1y", 1),
    ("YE", "1y", 1),
]


def stamps(alias: str, count: int = 40, start: str = "2019-02-03") -> np.ndarray:
    return pd.date_range(start, periods=count, freq=alias).to_numpy().astype("datetime64[us]")


@pytest.mark.parametrize(("alias", "name", "season"), GRIDS)
def test_inferred_and_rebuilt(alias: str, name: str, season: int) -> None:
    expected = stamps(alias)
    found = infer_frequency([expected], "test")
    assert (str(found), found.season) == (name, season)
    np.testing.assert_array_equal(found.stamps(expected[0], np.arange(40)), expected)
    slots, exact = found.slots(expected[0], expected)
    np.testing.assert_array_equal(slots, np.arange(40))
    assert exact.all()
    assert str(Frequency.parse(name)) == name


@pytest.mark.parametrize(("alias", "name", "season"), GRIDS)
def test_missing_rows_do_not_mislead(alias: str, name: str, season: int) -> None:
    full = stamps(alias, 60)
    kept = full[np.sort(np.random.default_rng(0).permutation(60)[:48])]
    found = infer_frequency([kept], "test")
    assert str(found) == name
    np.testing.assert_array_equal(full[found.slots(full[0], kept)[0]], kept)


def test_jitter_is_moved_to_the_nearest_step() -> None:
    exact = stamps("h", 50)
    late = exact + np.random.default_rng(1).integers(0, 90, 50).astype("timedelta64[s]")
    found = Frequency.parse("1h")
    slots, on_grid = found.slots(exact[0], late)
    np.testing.assert_array_equal(slots, np.arange(50))
    assert not on_grid.all()


def test_first_business_days_are_months() -> None:
    first = stamps("BMS", 30)
    found = infer_frequency([first], "test")
    assert str(found) == "1mo"
    np.testing.assert_array_equal(found.slots(first[0], first)[0], np.arange(30))


def test_every_thirty_days_is_no_month() -> None:
    assert str(infer_frequency([stamps("30D", 20)], "test")) == "30d"


def test_step_numbers() -> None:
    found = infer_frequency([np.array([10, 20, 30, 50])], "test")
    assert (str(found), found.season) == ("10", 1)
    assert found.slots(np.int64(10), np.array([10, 30, 50]))[0].tolist() == [0, 2, 4]
    assert str(infer_frequency([np.array([4, 6, 9])], "test")) == "1"


def test_too_little_to_tell() -> None:
    with pytest.raises(DataError, match="no series with two stamps"):
        infer_frequency([stamps("D", 1), stamps("D", 1)], "sales.csv")


@settings(deadline=None)
@given(st.sampled_from(["1h", "1d", "3d", "1w", "1mo", "1q", "1y", "7", "15min"]), st.integers(-500, 5000))
def test_slots_invert_stamps(name: str, slot: int) -> None:
    frequency = Frequency.parse(name)
    start = np.int64(3) if frequency.unit == "integer" else np.datetime64("2001-01-31T06:00", "us")
    there = frequency.stamps(start, np.array([slot]))
    slots, exact = frequency.slots(start, there)
    assert slots.tolist() == [slot]
    assert exact.all()


@pytest.mark.parametrize("text", ["", "weekly", "0d", "-1h", "1.5h", "1x", "h1"])
def test_bad_frequency(text: str) -> None:
    with pytest.raises(UsageError, match="is not understood; give a count"):
        Frequency.parse(text)


def test_cycles_are_longer_than_a_step_and_seen_twice() -> None:
    year = 365.25 * 86_400
    assert Frequency.parse("1h").cycles(3 * year) == ("day", "week", "year")
    assert Frequency.parse("1h").cycles(1.9 * year) == ("day", "week")
    assert Frequency.parse("1min").cycles(86_400) == ("hour",)
    assert Frequency.parse("1mo").cycles(2 * year) == ("year",)
    assert Frequency.parse("1y").cycles(50 * year) == ()
    assert Frequency.parse("1").cycles(50 * year) == ()


def test_calendar_repeats_with_its_cycle_and_tells_its_steps_apart() -> None:
    days = calendar(stamps("D", 14), ["week"])
    np.testing.assert_allclose(days[:7], days[7:], atol=1e-6)
    assert len(np.unique(days[:7].round(4), axis=0)) == 7
    years = calendar(np.array(["2019-07-01", "2020-07-01"], "datetime64[us]"), ["year"])
    np.testing.assert_allclose(years[0], years[1], atol=0.05)
    assert calendar(stamps("D", 3), []).shape == (3, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("6h", ("hours", 6)),
        ("30min", ("minutes", 30)),
        ("1bd", ("business days", 1)),
        ("1q", ("quarters", 1)),
        ("2w", ("weeks", 2)),
        ("1mo:1,15", ("steps", 1)),
        ("3", ("steps", 1)),
    ],
)
def test_what_a_step_is_called(text: str, words: tuple[str, int]) -> None:
    assert Frequency.parse(text).in_words() == words
