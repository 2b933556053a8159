"""Long-form tables → grids: a slow dictionary is the judge; every repair and refusal is named."""

import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.series.panel import extend, read_moments, read_panel
from elman.data.table.table import read_table
from elman.errors import DataError, UsageError

WALMART = {"value": "Weekly_Sales", "series": "Store"}


def days(*offsets: int) -> list[date]:
    return [date(2020, 1, 1) + timedelta(days=o) for o in offsets]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.one_of(st.none(), st.floats(-1e9, 1e9))),
        unique_by=lambda row: row[:2],
        min_size=1,
        max_size=60,
    )
)
def test_any_rows_in_any_order_land_on_their_days(rows: list[tuple[str, int, float | None]]) -> None:
    names, offsets, values = zip(*rows, strict=True)
    frame = pl.DataFrame({"unique_id": names, "ds": days(*offsets), "y": pl.Series(values, dtype=pl.Float64)})
    known = {(name, day): y for name, day, y in rows if y is not None}
    if not known:
        with pytest.raises(DataError, match="is empty; give at least a few"):
            read_panel(frame, frequency="1d")
        return
    panel = read_panel(frame, frequency="1d")
    found = {}
    for one in panel.series:
        assert not np.isnan(one.values[[0, -1]]).any()
        for stamp, y in zip(panel.stamps(one, 0, len(one.values)), one.values, strict=True):
            if not np.isnan(y):
                found[one.name, (stamp.astype("datetime64[D]") - np.datetime64("2020-01-01")).astype(int)] = y
    assert found == known


def test_gaps_are_filled_with_nan_and_named() -> None:
    panel = read_panel({"ds": days(0, 1, 3, 4, 5, 6), "y": [1.0, None, 3.0, 4.0, 5.0, None]})
    np.testing.assert_array_equal(panel.series[0].values, [1, np.nan, np.nan, 3, 4, 5])
    assert panel.notes == ("series 'y': 2 of 6 steps have no value (first 2020-01-02)",)


def test_stamps_off_the_grid_are_moved_and_named() -> None:
    stamps = [
        "2020-01-01 10:00",
        "2020-01-01 11:02",
        "2020-01-01 12:00",
        "2020-01-01 12:10",
        "2020-01-01 13:00",
    ]
    panel = read_panel({"ds": stamps, "y": [1, 2, 3, 4, 5]}, frequency="1h")
    np.testing.assert_array_equal(panel.series[0].values, [1, 2, 4, 5])
    assert "2 of 5 stamps are off the grid of 1h (first 2020-01-01 11:02)" in panel.notes[0]
    assert "1 stamp shares a step with a later one (first 2020-01-01 12:00)" in panel.notes[1]


def test_covariates_ahead_reach_further_than_the_values() -> None:
    frame = {"ds": days(0, 1, 2, 3), "y": [1, 2, None, None], "sale": [0, 1, 0, 1]}
    panel = read_panel(frame, future=["sale"])
    assert panel.series[0].values.tolist() == [1, 2]
    assert panel.series[0].future[:, 0].tolist() == [0, 1, 0, 1]
    later = extend(panel, {"ds": days(4, 5), "sale": [1, 1]})
    assert later.series[0].future[:, 0].tolist() == [0, 1, 0, 1, 1, 1]
    assert later.series[0].values.tolist() == [1, 2]


def test_static_columns() -> None:
    frame = {"unique_id": ["a", "a", "b", "b"], "ds": days(0, 1, 0, 1), "y": [1, 2, 3, 4]}
    panel = read_panel(frame | {"town": ["X", "X", "Y", "Y"], "size": [1, 1, 2, 2]}, static=["town", "size"])
    assert [one.static for one in panel.series] == [("X", 1.0), ("Y", 2.0)]
    with pytest.raises(DataError, match=r"row 3 .*: static column 'town' of series 'b' holds Z after Y"):
        read_panel(frame | {"town": ["X", "X", "Y", "Z"]}, static=["town"])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"ds": days(0, 1, 1), "y": [1, 2, 3]}, "and row 2 both hold ds 2020-01-02; keep one of them"),
        (
            {"unique_id": ["a", "b", "b"], "ds": days(0, 1, 1), "y": [1, 2, 3]},
            "row 1 (counted from 0) and row 2 both hold 2020-01-02 of series 'b'; keep one of them, or merge",
        ),
        (
            {"ds": days(0, 1, 2), "y": [1, float("inf"), 3]},
            "from 0): column 'y' holds inf",
        ),
        ({"ds": days(0, 1, 2), "y": ["1", "two", "3"]}, "from 0): column 'y' holds 'two'"),
        (
            {"ds": [*days(0, 1), None], "y": [1, 2, 3]},
            "from 0): column 'ds' has no time stamp",
        ),
        ({"ds": days(0, 1, 2), "y": [None, None, float("nan")]}, "is empty; give at least a few"),
        ({"ds": days(0, 1, 100_000), "y": [1, 2, 3]}, "spans 100001 steps of 1d"),
        ({"ds": days(0), "y": [1]}, "no series with two stamps"),
    ],
)
def test_refusals_name_the_row(frame: dict[str, list[object]], words: str) -> None:
    with pytest.raises(DataError) as caught:
        read_panel(frame, value="y")
    assert words in str(caught.value)


def test_rows_are_steps_where_there_are_no_times() -> None:
    panel = read_panel({"who": ["x", "y", "x"], "sales": [1, 2, 3]})
    assert panel.series[0].values.tolist() == [1, 2, 3]
    assert panel.notes == ("dict has no column of times, so its rows are the steps",)
    assert read_panel({"sales": [1, 2, 3]}).notes == ()


def test_frequency_of_the_wrong_kind() -> None:
    with pytest.raises(DataError, match="are whole numbers, so the frequency cannot be '1d'"):
        read_panel({"y": [1, 2, 3]}, frequency="1d")
    with pytest.raises(DataError, match="are dates, so the frequency cannot be '1'"):
        read_panel({"ds": days(0, 1), "y": [1, 2]}, frequency="1")


def test_notes_stay_few() -> None:
    frame = {
        "unique_id": [f"s{i}" for i in range(30) for _ in range(2)],
        "ds": days(*[d for _ in range(30) for d in (0, 2)]),
        "y": [1.0] * 60,
    }
    notes = read_panel(frame, frequency="1d").notes
    assert len(notes) == 9
    assert notes[-1] == "and 22 more notes like these"


# What a person sees in each file: frequency, season, number of series, steps of the first.
@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("darts/AirPassengers.csv", {}, ("1mo", 12, 1, 144)),
        ("darts/ausbeer.csv", {}, ("1q", 4, 1, 211)),
        ("darts/taylor.csv", {}, ("1", 1, 1, 4032)),
        ("darts/us_gasoline.csv", {}, ("1w", 52, 1, 1578)),
        ("prophet_examples/example_yosemite_temps.csv", {}, ("5min", 288, 1, 18721)),
        ("prophet_examples/example_air_passengers.csv", {}, ("1mo", 12, 1, 144)),
        ("bokeh_sampledata/stocks.csv", {"value": "Close"}, ("1bd", 5, 5, 3393)),
        ("vega_datasets/stocks.csv", {}, ("1mo", 12, 5, 123)),
        ("vega_datasets/sf-temps.csv", {}, ("1h", 24, 1, 8760)),
        ("walmart_weekly/walmart_weekly_sales.csv", WALMART, ("1w", 52, 45, 143)),
    ],
)  # fmt: skip
def test_public_files(path: str, options: dict[str, str], expected: tuple[object, ...]) -> None:
    root = os.environ.get("ELMAN_DATA")
    if not root:
        pytest.skip("set ELMAN_DATA to the folder of public data to read its series")
    panel = read_panel(Path(root, "timeseries", path), **options)
    found = (str(panel.frequency), panel.frequency.season, len(panel.series), len(panel.series[0].values))
    assert found == expected


def test_parts_of_dates_make_the_time() -> None:
    months = {"year": [2013, 2013, 2014], "month": ["Nov", "Dec", "Jan"], "y": [1, 2, 3]}
    for time in (None, ["year", "month"]):
        panel = read_panel(months, time=time)
        assert (str(panel.frequency), panel.columns.time) == ("1mo", "year,month")
        assert panel.notes == ("dict: columns year,month were joined to the time",)
    with pytest.raises(DataError, match=r"row 1 .*: column 'year,month' holds '2013-13'"):
        read_panel(months | {"month": [11, 13, 1]})


def test_rows_of_one_step_are_merged_or_dropped_and_named() -> None:
    doubled = {"ds": days(0, 0, 1, 2), "y": [1, 3, 5, 7]}
    panel = read_panel(doubled, duplicates="mean")
    assert panel.series[0].values.tolist() == [2, 5, 7]
    assert panel.notes == (
        "series 'y': 1 stamp shares a step with a later one (first 2020-01-01) and was merged (mean)",
    )
    weeks = read_panel({"ds": days(*range(28)), "y": [1] * 28}, frequency="1w", duplicates="sum")
    assert weeks.series[0].values.sum() == 28


def test_a_frequency_that_contradicts_the_stamps() -> None:
    daily = {"ds": days(*range(30)), "y": list(range(30))}
    with pytest.raises(DataError, match=r"25 of 30 rows share a step of 1w with another; .* duplicates="):
        read_panel(daily, frequency="1w")
    with pytest.raises(DataError, match="only 30 of 697 steps of 1h have a row"):
        read_panel(daily, frequency="1h")
    wild = np.cumsum(np.random.default_rng(0).exponential(3.6e9, 200)).astype("timedelta64[us]")
    with pytest.raises(DataError, match=r"of 200 rows share a step of 1h .* longer one for irregular stamps"):
        read_panel({"ds": np.datetime64("2020-01-01", "us") + wild, "y": [1] * 200})


def test_a_table_of_another_step_than_that_of_a_model_is_told_what_the_model_needs() -> None:
    daily = {"ds": days(*range(70)), "y": list(range(70))}
    clock = read_panel(daily).clock
    told = (
        r"6\d of 70 rows share a step of 1mo with another; the model forecasts by the month: sum or average "
        r"the rows of each month first\.$"
    )
    with pytest.raises(DataError, match=told):
        read_panel(daily, frequency="1mo", clock=clock)
    with pytest.raises(
        DataError, match="steps of 1h, with which the model was trained, have a row; give it a"
    ):
        read_panel(daily, frequency="1h", clock=clock)


def test_stamps_given_one_by_one_are_read_like_those_of_the_panel() -> None:
    monthly = {"ds": [f"01/{m:02}/2014" for m in range(1, 13)], "y": [1] * 12}
    panel = read_panel(monthly)
    assert "read as day/month/year" in panel.notes[0]
    assert read_moments(panel, ["01/02/2015"], "stamp")[0] == np.datetime64("2015-02-01")
    assert read_moments(panel, [date(2015, 2, 1)], "stamp")[0] == np.datetime64("2015-02-01")
    later = read_panel({"ds": ["01/02/2015"], "y": [1]}, frequency=panel.frequency, clock=panel.clock)
    assert (later.series[0].start, later.notes) == (np.datetime64("2015-02-01"), ())
    with pytest.raises(
        DataError, match="stamp 3 is not a stamp like those of the training data, which are da"
    ):
        read_moments(panel, [3], "stamp")
    with pytest.raises(UsageError, match="no covariates known ahead, so it takes no table of them"):
        extend(panel, monthly)


def test_rows_with_bad_stamps_and_values_are_skipped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    stamps = [f"2024-01-{day:02}" for day in range(1, 21)]
    values = [str(day) for day in range(20)]
    stamps[4], stamps[9], values[12] = "not a day", "", "much"
    frame = {"ds": stamps, "y": values}
    with pytest.raises(DataError):
        read_panel(frame)
    panel = read_panel(read_table(frame, skip_bad=True), time="ds", value="y")
    assert len(panel.series[0].values) == 20
    assert np.flatnonzero(np.isnan(panel.series[0].values)).tolist() == [4, 9, 12]
    assert [message.split(";")[0] for message in caplog.messages] == ["skipped 3 of 20 rows of dict"]
    assert "row 4 (counted from 0): column 'ds' holds 'not a day'" in caplog.messages[0]
    with pytest.raises(DataError, match="13 of 20 rows of dict can't be used"):
        read_panel(
            read_table({"ds": ["x"] * 12 + stamps[:3] + stamps[14:19], "y": values}, skip_bad=True), time="ds"
        )


def test_bad_stamps_that_repeat_are_skipped_before_repeats_are_looked_for() -> None:
    stamps = ["n/a", "n/a"] + [f"2024-01-{day:02}" for day in range(1, 11)]
    panel = read_panel(read_table({"ds": stamps, "y": list(range(12))}, skip_bad=True))
    assert len(panel.series[0].values) == 10


@pytest.mark.parametrize("stamp", ["", " ", None])
def test_a_column_of_blank_stamps_is_refused_in_a_sentence(stamp: str | None) -> None:
    with pytest.raises(DataError, match=r"3 of 3 rows of dict can't be used, .*column 'ds' is empty"):
        read_panel(read_table({"ds": [stamp] * 3, "y": [1, 2, 3]}, skip_bad=True))
