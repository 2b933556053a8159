"""Spellings of dates, each against the date it stands for; times, zones and what is no date."""

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.series.dates import date_readings, looks_like_date


def readings(*texts: str) -> list[list[str | None]]:
    """The stamps of every reading, without zero times."""
    found = date_readings(pl.Series(texts))
    return [[str(s).removesuffix("T00:00:00.000000") for s in reading.stamps] for reading in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2014-03-05", "2014-03-05"),
        ("2014/3/5", "2014-03-05"),
        ("25.03.2014", "2014-03-25"),
        ("3-25-2014", "2014-03-25"),
        ("25/3/14", "2014-03-25"),
        ("3/25/99", "1999-03-25"),
        ("25.12.68", "2068-12-25"),
        ("25.12.69", "1969-12-25"),
        ("5-Jan-14", "2014-01-05"),
        ("5 JANUARY 2014", "2014-01-05"),
        ("5th January, 2014", "2014-01-05"),
        ("Jan 5, 2014", "2014-01-05"),
        ("Sept. 5 2014", "2014-09-05"),
        ("Friday, January 5, 2014", "2014-01-05"),
        ("2014 Jan 5", "2014-01-05"),
        ("Jan-14", "2014-01-01"),
        ("jan 2014", "2014-01-01"),
        ("Jan'14", "2014-01-01"),
        ("2014-Jan", "2014-01-01"),
        ("2014M03", "2014-03-01"),
        ("2014-13", "NaT"),
        ("3/2014", "2014-03-01"),
        ("2014Q3", "2014-07-01"),
        ("2014-Q3", "2014-07-01"),
        ("Q3 2014", "2014-07-01"),
        ("3Q14", "2014-07-01"),
        ("2014H2", "2014-07-01"),
        ("2014-W07", "2014-02-10"),
        ("2014W7", "2014-02-10"),
        ("2014-W07-3", "2014-02-12"),
        ("week 7 2014", "2014-02-10"),
        ("2015-W53", "2015-12-28"),
        ("2014-W53", "NaT"),
        ("2014-060", "2014-03-01"),
        ("2014-366", "NaT"),
        ("FY2014", "2014-01-01"),
        ("2013/14", "2013-01-01"),
        ("2014-01-06/2014-01-12", "2014-01-06"),
        ("20140305", "2014-03-05"),
        ("2014-02-29", "NaT"),
        ("0014-01-01", "NaT"),
        ("hello", "NaT"),
        ("", "NaT"),
        ("2014-03-05 24:00", "2014-03-06"),
        ("2014-03-05 24:01", "NaT"),
        ("2014-03-05 25:00", "NaT"),
        ("2014-03-05 10:60", "NaT"),
        ("2014-03-05 13:00 pm", "NaT"),
        ("  2014-03-05\u00a0", "2014-03-05"),
    ],
)
def test_one_date(text: str, expected: str) -> None:
    assert readings(text)[0] == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2014-03-05T10:30:15.250Z", "10:30:15.250000"),
        ("2014-03-05 10:30:15,25", "10:30:15.250000"),
        ("2014-03-05 10", "10:00:00.000000"),
        ("25/03/2014 1:05 PM", "13:05:00.000000"),
        ("25/03/2014 12:05:01 a.m.", "00:05:01.000000"),
        ("25.3.2014 1 pm", "13:00:00.000000"),
        ("20140305T103015", "10:30:15.000000"),
        ("201403051030", "10:30:00.000000"),
        ("Wed, 05 Mar 2014 10:30:15 GMT", "10:30:15.000000"),
        ("2014-03-05 10:30:15.123456789+05:30", "10:30:15.123456"),
        ("2014-03-05T10:30+01:00[Europe/Paris]", "10:30:00.000000"),
    ],
)
def test_one_time(text: str, expected: str) -> None:
    assert readings(text)[0][0] is not None
    assert str(readings(text)[0][0]).endswith("T" + expected)


def test_open_orders_have_several_readings() -> None:
    assert readings("3/1/2014") == [["2014-03-01"], ["2014-01-03"]]
    assert readings("3.1.2014") == [["2014-01-03"], ["2014-03-01"]]
    assert readings("3/1/14", "4/1/31") == [
        ["2014-03-01", "2031-04-01"],
        ["2014-01-03", "2031-01-04"],
        ["2003-01-14", "2004-01-31"],
    ]
    assert readings("1-01", "1-02") == [["2001-01-01", "2001-02-01"], ["2001-01-01", "2002-01-01"]]
    assert readings("2014-1", "2014-2") == [["2014-01-01", "2014-02-01"], ["2014-01-01", "2014-04-01"]]
    assert [one.form for one in date_readings(pl.Series(["2014-1"]))] == ["", "quarter"]


def test_offsets_and_short_years_are_told() -> None:
    reading = date_readings(pl.Series(["2014-03-05 10:00-03:30", "2014-03-05 10:00Z"]))[0]
    assert reading.offsets is not None
    assert reading.offsets.tolist() == [-210, 0]
    assert not reading.short_years
    assert date_readings(pl.Series(["5-Jan-14"]))[0].short_years


def test_a_row_of_another_spelling_is_not_read() -> None:
    assert readings("2014-03-05", "05.03.2014", "2014-03-07")[0] == ["2014-03-05", "NaT", "2014-03-07"]


def test_day_and_month_without_a_year_are_no_date() -> None:
    assert readings("14-Jan", "14-Feb", "14-Mar")[0] == ["2014-01-01", "2014-02-01", "2014-03-01"]
    assert readings("1-Jan", "2-Jan", "3-Jan")[0] == ["NaT"] * 3
    january_and_february = [f"{d}-{m}" for m in ("Jan", "Feb") for d in range(1, 29)]
    assert set(readings(*january_and_february)[0]) == {"NaT"}


FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d %B %Y", "%b %d, %Y", "%Y%m%d", "%G-W%V-%u", "%Y-%j")


@settings(max_examples=60, deadline=None)
@given(st.dates(date(1000, 1, 1), date(9998, 12, 31)), st.sampled_from(FORMS))
def test_every_date_is_among_its_readings(day: date, form: str) -> None:
    assert [str(day)] in readings(day.strftime(form))


@settings(max_examples=30, deadline=None)
@given(st.datetimes(datetime(1000, 1, 1), datetime(9998, 1, 1)))
def test_every_iso_time(moment: datetime) -> None:
    found = date_readings(pl.Series([moment.isoformat(), moment.isoformat(sep=" ")]))[0].stamps
    np.testing.assert_array_equal(found, np.array([moment] * 2, "datetime64[us]"))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("0123456789-/.: TZQWjanp+,'[]", max_size=20), min_size=1, max_size=4))
def test_any_text_is_read_or_not(texts: list[str]) -> None:
    found = date_readings(pl.Series(texts))
    assert found
    assert all(len(one.stamps) == len(texts) for one in found)


def test_numbers_do_not_look_like_dates() -> None:
    assert looks_like_date(pl.Series(["2020-01-01"]))
    for texts in (["1", "2"], ["12.5"], ["2014.05"], ["MSFT"], []):
        assert not looks_like_date(pl.Series(texts, dtype=pl.String))


def test_years_of_two_digits_leave_no_wider_gap_than_they_must() -> None:
    days = np.arange("1950-01", "2020-01", dtype="datetime64[M]").astype("datetime64[D]")
    written = pl.Series([f"01/{day.month:02}/{day.year % 100:02}" for day in days.astype(object)])
    readings = [reading.stamps.astype("datetime64[D]").tolist() for reading in date_readings(written)]
    assert days.tolist() in readings
