"""Stamps in many spellings against Python's own datetime, and every stamp that cannot be read."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.series.infer import choose
from elman.data.series.stamps import (
    Clock,
    StampColumn,
    alike,
    format_stamp,
    looks_like_time,
    read_stamps,
    to_local,
    with_zone,
)
from elman.data.table.table import read_table
from elman.errors import DataError


def read(cells: object) -> StampColumn:
    return choose(read_stamps(read_table(pl.DataFrame({"when": cells})), "when"), None)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["2020-03-01", "2020-03-02"], ["2020-03-01", "2020-03-02"]),
        (["2020/3/1", "2020/03/02"], ["2020-03-01", "2020-03-02"]),
        (["30.04.2021", "01.05.2021"], ["2021-04-30", "2021-05-01"]),
        (["04/30/2021", "05/01/2021"], ["2021-04-30", "2021-05-01"]),
        (["Jan 1 2000", "Feb 1, 2000"], ["2000-01-01", "2000-02-01"]),
        (["1 January 2000", "2 Feb 2000"], ["2000-01-01", "2000-02-02"]),
        (["31-Dec-2020", "01-Jan-2021"], ["2020-12-31", "2021-01-01"]),
        (["1949-01", "1949-12"], ["1949-01-01", "1949-12-01"]),
        (["Jan 2000", "December 2000"], ["2000-01-01", "2000-12-01"]),
        (["2020Q1", "2020-Q4"], ["2020-01-01", "2020-10-01"]),
        (["2020-W01", "2020W53"], ["2019-12-30", "2020-12-28"]),
        (["20200131", "20200201"], ["2020-01-31", "2020-02-01"]),
        (["2020-01-01 10:30", "2020-01-01T11:30:15"], ["2020-01-01T10:30", "2020-01-01T11:30:15"]),
        (["2020-01-01 10:00:00.250"], ["2020-01-01T10:00:00.250"]),
        (["2020-01-01 10:00 PM"], ["2020-01-01T22:00"]),
        (["2020-01-01T10"], ["2020-01-01T10:00"]),
        (["2020-01-01", "2020-01-01 12:00"], ["2020-01-01T00:00", "2020-01-01T12:00"]),
        (["2020-01-01T10:00:00Z", "2020-01-01 12:00+01:00"], ["2020-01-01T10:00", "2020-01-01T11:00"]),
        (["2020-03-28 00:00+0100", "2020-03-30 00:00+0200"], ["2020-03-28", "2020-03-30"]),
    ],
)
def test_spellings(written: list[str], expected: list[str]) -> None:
    found = read(written)
    np.testing.assert_array_equal(found.stamps, np.array(expected, "datetime64[us]"))
    assert found.kind == ("datetime" if any("T" in e for e in expected) else "date")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=8))
def test_iso_text_and_columns_agree_with_datetime(moments: list[datetime]) -> None:
    expected = np.array(moments, "datetime64[us]")
    np.testing.assert_array_equal(read(moments).stamps, expected)
    np.testing.assert_array_equal(read([m.isoformat(sep=" ") for m in moments]).stamps, expected)


def test_dates_and_numbers() -> None:
    assert read([date(2020, 1, 1), date(2020, 1, 2)]).kind == "date"
    for steps in ([5, 6, 9], ["5", "6", "9"], [5.0, 6.0, 9.0], [1949, 1950, 1951]):
        found = read(steps)
        assert found.kind == "integer"
        assert found.stamps.tolist() == [int(float(s)) for s in steps]


def test_hours_of_a_zone_are_read_in_utc_but_days_of_it_as_local_times() -> None:
    start = datetime(2020, 3, 28, 0, tzinfo=UTC)
    hours = pl.Series("when", [start + timedelta(hours=h) for h in range(48)]).dt.convert_time_zone(
        "Europe/Paris"
    )
    found = read(hours)
    assert set(np.diff(found.stamps).tolist()) == {timedelta(hours=1)}, (
        "no hour lost or doubled at the change"
    )
    assert found.clock == Clock("datetime", "", "Europe/Paris", local=False)
    for hour in (0, 6):
        days = [datetime(2020, 3, d, hour) for d in (28, 29, 30)]
        found = read(pl.Series("when", days).dt.replace_time_zone("Europe/Paris"))
        assert found.clock == Clock("datetime" if hour else "date", "", "Europe/Paris", local=True)
        assert found.stamps.tolist() == days


@pytest.mark.parametrize(
    ("offset", "zone"),
    [
        ("Z", "UTC"),
        ("+01:00", "Etc/GMT-1"),
        ("-0500", "Etc/GMT+5"),
        ("+05:30", "Asia/Kolkata"),
        ("+23", "UTC"),
    ],
)
def test_offsets_come_back(offset: str, zone: str) -> None:
    found = read([f"2020-01-01T10:00{offset}", f"2020-01-01T11:00{offset}"])
    assert found.clock.zone == zone
    text = with_zone(found.stamps, found.clock).dt.to_string("%H:%M%z").to_list()
    if offset != "+23":
        assert text[0] == "10:00" + offset.replace("Z", "+0000").replace(":", "")


def test_several_offsets_are_named() -> None:
    found = read([f"2020-10-25T0{h}:00+0{o}:00" for h, o in ((0, 2), (1, 2), (2, 2), (2, 1), (3, 1))])
    assert np.unique(np.diff(found.stamps)).tolist() == [timedelta(hours=1)]
    assert "several offsets from UTC; forecasts have the last" in found.notes[0]


def test_stamps_are_written_in_their_zone() -> None:
    utc = np.array(["2020-03-29T00:00", "2020-03-29T01:00"], "datetime64[us]")
    paris = with_zone(utc, Clock("datetime", "", "Europe/Paris"))
    assert paris.dt.hour().to_list() == [1, 3]
    assert to_local(utc, "Europe/Paris").tolist()[1].hour == 3
    # Cairo's clocks skip an hour at midnight.
    days = np.array(["2024-04-25", "2024-04-26", "2024-04-27"], "datetime64[us]")
    cairo = with_zone(days, Clock("date", "", "Africa/Cairo", local=True))
    assert cairo.dt.hour().to_list() == [0, 1, 0]
    assert with_zone(days, Clock("date")).dtype == pl.Date


def test_later_stamps_are_read_like_the_first() -> None:
    table = read_table({"when": ["01/05/2020", "01/06/2020"]})
    readings = read_stamps(table, "when")
    assert [one.clock.form for one in readings] == ["month/day/year", "day/month/year"]
    assert alike(readings, Clock("date", "day/month/year"), "x") == readings[1:]
    zoned = read_stamps(read_table({"when": ["2020-01-01T23:00Z"]}), "when")
    assert [str(s) for s in alike(zoned, Clock("datetime", "", "Asia/Tokyo", local=True), "x")[0].stamps] == [
        "2020-01-02T08:00:00.000000"
    ]
    assert alike(zoned, Clock("datetime", zone=None), "x") == [zoned[0]], "as 0.1.0 read them"
    with pytest.raises(DataError, match=r"x has a time zone, but the training data have none"):
        alike(zoned, Clock("datetime"), "x")
    with pytest.raises(DataError, match=r"x has no time zone, but the training data have \(UTC\)"):
        alike(readings, Clock("datetime", "", "UTC"), "x")


def test_day_and_month_in_the_order_that_leaves_the_fewest_steps_out() -> None:
    year = [f"01/{m:02}/2020" for m in range(1, 13)]
    days = [f"{d:02}/03/2020" for d in range(1, 13)]
    assert read(days).stamps[1] == np.datetime64("2020-03-02")
    assert "day/month/year" in read(days).notes[0]
    assert read(year).stamps[1] == np.datetime64("2020-02-01"), "the firsts of months rather than twelve days"
    assert read(["03/01/2014", "03/02/2014", "03/31/2014"]).clock.form == "month/day/year"


@pytest.mark.parametrize(
    ("cells", "row", "words"),
    [
        (["2020-01-01", "soon", "2020-01-03"], 1, "'soon'"),
        (["2020-01-01", "2020-02-30"], 1, "'2020-02-30'"),
        (["2020-01-01", None], 1, "no time stamp"),
        (["2020-01-01", "  "], 1, "no time stamp"),
        ([1.0, 2.5], 1, "2.5"),
        ([1.0, 1e27], 1, "1e+27"),
        ([10**20, 10**27], 0, "1" + "0" * 20),
        (["1", "2.5"], 0, "'1'"),
        (["2020-01-01", "01/02/2020"], 1, "'01/02/2020', which is not a date or time like '2020-01-01'"),
        (["0014-01-01", "0014-01-02"], 0, "'0014-01-01'"),
        (["1-Jan", "2-Jan", "3-Jan"], 0, "'1-Jan'"),
        (["Monday", "Tuesday"], 0, "'Monday'"),
    ],
)
def test_what_cannot_be_read_is_named(cells: list[object], row: int, words: str) -> None:
    with pytest.raises(DataError, match=rf"row {row} \(counted from 0\): column 'when'") as caught:
        read(cells)
    assert words in str(caught.value)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_any_text_is_read_or_refused(cells: list[str]) -> None:
    looks_like_time(pl.Series(cells))
    try:
        assert len(read(cells).stamps) == len(cells)
    except DataError as problem:
        assert "'when'" in str(problem)


def test_numbers_do_not_look_like_time() -> None:
    assert looks_like_time(pl.Series(["2020-01-01"]))
    assert looks_like_time(pl.Series(["1949-01"]))
    for cells in (["1", "2"], ["12.5"], ["-3e5"], ["MSFT"], [None], [3], []):
        assert not looks_like_time(pl.Series(cells))


def test_stamps_as_text() -> None:
    for text in ("2020-01-01", "2020-01-01 10:00", "2020-01-01 10:00:30", "2020-01-01 10:00:00.500000"):
        assert format_stamp(np.datetime64(text, "us")) == text
    assert format_stamp(np.int64(7)) == "7"


@pytest.mark.parametrize("number", [9223372036854774784.0, 2.0**63, -(2.0**63)])
def test_numbers_at_the_end_of_the_integers_are_refused_in_a_sentence(number: float) -> None:
    with pytest.raises(DataError, match=r"row 1 .*is not a whole number or a time"):
        read_stamps(read_table({"ds": [1.0, number]}), "ds")
