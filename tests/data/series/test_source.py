"""Series as people hold them: with dates in the index, alone, split over columns."""

from datetime import date, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from elman.data.series.panel import read_panel
from elman.data.series.source import is_joined, join_names, series_table, with_joined_time
from elman.data.table.table import read_table
from elman.errors import DataError, UsageError

DAYS = pd.date_range("2020-01-01", periods=3)
Y = [1.0, 2.0, 3.0]


def columns(source: Any, **options: Any) -> dict[str, list[Any]]:
    return series_table(source, **options).frame.to_dict(as_series=False)


@pytest.mark.parametrize(
    ("frame", "options", "name"),
    [
        (pd.DataFrame({"y": Y}, index=DAYS), {}, "ds"),
        (pd.DataFrame({"y": Y}, index=DAYS), {"time": "day"}, "day"),
        (pd.DataFrame({"y": Y}, index=DAYS.rename("day")), {}, "day"),
        (pd.DataFrame({"y": Y}, index=DAYS.to_period("D")), {}, "ds"),
        (pd.DataFrame({"y": Y}, index=DAYS.astype(str)), {}, "ds"),
        (pd.Series(Y, index=DAYS), {}, "ds"),
        (pd.Series(Y, index=DAYS, name="x"), {"value": "y"}, "ds"),
        (pd.DataFrame({"day": DAYS.to_period("D"), "y": Y}), {}, "day"),
        ({"y": pd.Series(Y, index=DAYS)}, {}, "ds"),
        (dict(zip(DAYS.date, Y, strict=True)), {}, "ds"),
        (dict(zip(DAYS.astype(str), Y, strict=True)), {}, "ds"),
    ],
)
def test_dates_of_an_index(frame: Any, options: dict[str, str], name: str) -> None:
    found = columns(frame, **options)
    assert list(found) == [name, "y"]
    assert [str(day)[:10] for day in found[name]] == [str(day.date()) for day in DAYS]
    assert found["y"] == Y


def test_levels_of_an_index() -> None:
    both = pd.concat({name: pd.Series(Y, index=DAYS) for name in "ab"})
    for frame in (both, both.swaplevel().to_frame("y")):
        found = columns(frame)
        assert sorted(found) == ["ds", "unique_id", "y"]
        assert found["unique_id"] == list("aaabbb")
    assert list(columns(both.rename_axis(["store", "day"]))) == ["store", "day", "y"]


def test_what_only_numbers_the_rows_is_left_out() -> None:
    assert list(columns(pd.DataFrame({"y": Y}, index=[5, 6, 9]))) == ["y"]
    assert list(columns(pd.Series(Y))) == ["y"]
    assert columns(pd.Series(Y, index=[1949, 1950, 1951])) == {"ds": [1949, 1950, 1951], "y": Y}
    kept = pd.DataFrame({"ds": DAYS, "y": Y}).set_index("ds", drop=False)
    assert list(columns(kept)) == ["ds", "y"]


@pytest.mark.parametrize("values", [pl.Series("y", Y), np.array(Y), Y, tuple(Y)])
def test_values_alone(values: Any) -> None:
    assert columns(values) == {"y": Y}
    assert columns(values, value="sales") == {"sales": Y}
    assert series_table(values).name == type(values).__name__


def test_offsets_of_pandas_are_kept_as_text() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    found = columns(pd.Series(Y, index=DAYS.tz_localize(zone)))
    assert found["ds"][0] == "2020-01-01T00:00:00+05:30"
    named = series_table(pd.Series(Y, index=DAYS.tz_localize("Asia/Kolkata")))
    assert named.frame["ds"].dtype.time_zone == "Asia/Kolkata"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"year": [2014], "month": [1]}, "2014-1"),
        ({"Year": [2014.0], "Month": ["Jan"]}, "2014-Jan"),
        ({"year": ["2014"], "quarter": ["Q2"]}, "2014-Q2"),
        ({"year": [2014], "week": [7]}, "2014-W7"),
        ({"year": [2014], "month": [1], "day": [31], "hour": [5]}, "2014-1-31 5:00"),
        ({"year": [2014], "month": [1], "day": [31], "hour": [5], "minute": [3]}, "2014-1-31 5:03"),
        (
            {"year": [2014], "month": [1], "day": [31], "hour": [5], "minute": [3], "second": [7.5]},
            "2014-1-31 5:03:07.5",
        ),
        ({"year": [2014], "quarter": [1], "month": [2]}, "2014-2"),
    ],
)
def test_parts_of_dates_are_joined(parts: dict[str, list[Any]], expected: str) -> None:
    name = ",".join(parts)
    for time in (None, name):
        assert columns(parts | {"y": [1]}, time=time) == {name: [expected], "y": [1]}
    assert is_joined(name)


def test_a_day_and_its_time_are_joined_when_named() -> None:
    table = {"date": [date(2014, 1, 31)], "hour": [5], "at": ["13:00"], "y": [1]}
    assert columns(table, time="date,hour")["date,hour"] == ["2014-01-31 5:00"]
    assert columns(table, time="date,at")["date,at"] == ["2014-01-31 13:00"]
    del table["at"]
    assert list(columns(table)) == ["date", "hour", "y"]
    assert join_names(["date", "hour"]) == "date,hour"
    assert join_names("ds") == "ds"
    assert join_names(None) is None


def test_whole_dates_are_not_joined() -> None:
    assert list(columns({"year": [2014], "month": ["2014-01"], "y": [1]})) == ["year", "month", "y"]
    assert list(columns({"year": [2014], "y": [1]})) == ["year", "y"]
    assert not is_joined("a,b")
    table = read_table({"a,b": ["2014-01-01"], "y": [1]})
    assert with_joined_time(table, "a,b") is table


def test_refusals() -> None:
    with pytest.raises(UsageError, match="an array of 2 dimensions is not a series"):
        series_table(np.zeros((2, 2)))
    with pytest.raises(DataError, match="has no column 'mont'"):
        series_table({"year": [2014], "y": [1]}, time="year,mont")
    with pytest.raises(UsageError, match="not a table"):
        series_table(object())


def test_a_time_of_day_is_joined_to_a_date_in_any_order() -> None:
    table = {"date": ["2014-01-31"], "hour": [5], "minute": [3], "second": [7], "y": [1]}
    assert columns(table, time="date,hour,minute")["date,hour,minute"] == ["2014-01-31 5:03"]
    assert columns(table, time="second,minute,hour,date")["second,minute,hour,date"] == ["2014-01-31 5:03:07"]


@pytest.mark.parametrize(
    ("time", "problem"),
    [
        ("date,minute", "column 'minute' is not a part of the time, which lacks a column of the hour"),
        ("date,hour,second", "column 'second' is not a part of the time, which lacks a column of the minute"),
        ("year,month,minute", "column 'minute' is not a part"),
        ("year,month,shop", "column 'shop' is not a part of the time; leave it out"),
        ("year,month,mon", "several columns of the time hold a month"),
        ("hour,minute", "columns hour, minute hold no date"),
    ],
)
def test_parts_without_a_place_in_the_time_are_refused(time: str, problem: str) -> None:
    names = ("date", "year", "month", "mon", "hour", "minute", "second", "shop", "y")
    table = {"date": ["2014-01-31"], **{name: [1] for name in names[1:]}}
    with pytest.raises(DataError, match=problem):
        series_table(table, time=time)


def test_a_column_called_min_is_no_minute_without_an_hour() -> None:
    table = {"year": [2014], "month": [1], "min": [-3.5]}
    assert columns(table) == {"year,month": ["2014-1"], "min": [-3.5]}


@pytest.mark.parametrize("dates", ["%d.%m.%Y", "%Y-%m-%d", None])
def test_a_column_of_dates_beside_one_of_times_of_day_are_one(dates: str | None) -> None:
    hours = pd.date_range("2020-01-01", periods=60, freq="h")
    days = hours.normalize() if dates is None else hours.strftime(dates)
    frame = pd.DataFrame({"date": days, "time": hours.strftime("%H:%M"), "y": range(60)})
    panel = read_panel(series_table(frame))
    assert len(panel.series) == 1 and str(panel.frequency) == "1h"
    assert panel.stamps(panel.series[0], 59, 1)[0] == np.datetime64("2020-01-03T11:00")


def test_columns_with_names_that_are_no_text() -> None:
    days = pd.date_range("2020-01-01", periods=30)
    frame = pd.DataFrame({0: days, 1: range(30)})
    assert series_table(frame, time=join_names(0)).frame.columns == ["0", "1"]
    frame.columns = pd.MultiIndex.from_tuples([("a", "t"), ("a", "v")])
    name = join_names(("a", "t"))
    assert series_table(frame, time=name).frame.columns[0] == name
