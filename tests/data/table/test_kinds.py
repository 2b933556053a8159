"""Tables as the kind of frame that the caller gave."""

import subprocess
import sys
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.table.kinds import column_in_kind_of, in_kind, in_kind_of, kind_of

BERLIN = ZoneInfo("Europe/Berlin")
TABLE = pl.DataFrame(
    {
        "unique_id": ["a", "b", None],
        "ds": [datetime(2024, 3, 31, hour, tzinfo=BERLIN) for hour in (1, 3, 4)],
        "day": [date(2024, 1, 1), None, date(1600, 1, 3)],
        "q0.5": [1.25, None, 3.0],
        "count": [1, 2, 3],
        "right": [True, False, True],
        "labels": [["x"], [], ["x", "y"]],
    }
)


@pytest.mark.parametrize(
    "data, kind",
    [
        (pd.DataFrame({"y": [1.0]}), "pandas"),
        (pd.Series([1.0]), "pandas"),
        (pd.Index([1.0]), "pandas"),
        (pl.DataFrame({"y": [1.0]}), "polars"),
        (pl.LazyFrame({"y": [1.0]}), "polars"),
        (pa.table({"y": [1.0]}), "pyarrow"),
        (pa.array([1.0]), "pyarrow"),
        ({"y": [1.0]}, "polars"),
        ("sales.csv", "polars"),
        (None, "polars"),
    ],
)
def test_the_table_is_of_the_kind_of_the_data(data: Any, kind: str) -> None:
    assert kind_of(data) == kind
    types = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}
    assert type(in_kind_of(TABLE, data)) is types[kind]
    assert type(in_kind(TABLE, kind_of(data))) is types[kind]


def test_a_polars_table_stays_itself_and_an_arrow_one_is_equal() -> None:
    assert in_kind_of(TABLE, pl.DataFrame({"y": [1]})) is TABLE
    assert pl.from_arrow(in_kind_of(TABLE, pa.table({"y": [1]}))).equals(TABLE)  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["object", "string"])
def test_pandas_agrees_with_the_conversion_of_polars(text: str) -> None:
    """The oracle needs pyarrow, which the conversion must not."""
    data = pd.DataFrame({"y": [1.0], "text": pd.Series(["a"], dtype=text)})
    table = TABLE.drop("labels", "day")
    expected = table.to_pandas().astype({"ds": "datetime64[ns, Europe/Berlin]", "unique_id": text})
    # the unit of stamps and the type of text differ between releases of pandas
    pd.testing.assert_frame_equal(in_kind_of(table, data), expected, check_dtype=False)


def test_stamps_take_the_zone_and_the_unit_of_the_caller() -> None:
    stamps = pd.DatetimeIndex(["2024-01-01", "2024-01-02"], tz=BERLIN).as_unit("s")
    for data in (pd.DataFrame({"y": [1.0, 2.0]}, index=stamps), pd.DataFrame({"ds": stamps})):
        ds = in_kind_of(TABLE, data)["ds"]
        assert ds.dtype == stamps.dtype
        assert ds.dt.tz is BERLIN
        assert ds.tolist() == TABLE["ds"].to_list()


def test_dates_become_stamps_and_years_beyond_nanoseconds_are_kept() -> None:
    frame = in_kind_of(TABLE, pd.DataFrame({"y": [1.0]}))
    assert frame["day"].dtype == "datetime64[us]"
    assert frame["day"].isna().tolist() == [False, True, False]
    assert (frame["day"][2].year, frame["labels"].tolist()) == (1600, [["x"], [], ["x", "y"]])
    assert in_kind_of(TABLE[:2], pd.DataFrame({"y": [1.0]}))["day"].dtype.kind == "M"


def test_rows_of_the_callers_keep_their_index() -> None:
    data = pd.DataFrame({"text": list("abc")}, index=pd.Index([7, 7, 9], name="id"))
    for given_data in (data, data["text"]):
        assert in_kind_of(TABLE, given_data, same_rows=True).index.equals(data.index)
        assert in_kind_of(TABLE, given_data).index.equals(pd.RangeIndex(3))
    columns = pd.MultiIndex.from_product([["a"], ["b", "c"]])
    several = pd.DataFrame(
        np.zeros((3, 2)), index=pd.MultiIndex.from_product([["a"], [1, 2, 3]]), columns=columns
    )
    assert in_kind_of(TABLE, several, same_rows=True).index.equals(several.index)


@given(
    st.lists(st.none() | st.integers(-(2**53), 2**53), max_size=5),
    st.lists(st.none() | st.text(max_size=3), max_size=5),
    st.lists(st.none() | st.booleans(), max_size=5),
)
def test_no_value_is_lost(numbers: list[Any], texts: list[Any], flags: list[Any]) -> None:
    for values, dtype in ((numbers, pl.Int64), (texts, pl.String), (flags, pl.Boolean)):
        frame = in_kind_of(pl.DataFrame({"x": pl.Series(values, dtype=dtype)}), pd.DataFrame({"y": [1.0]}))
        assert [None if pd.isna(value) else value for value in frame["x"].tolist()] == values


def test_missing_values_leave_numbers_and_booleans_what_they_are() -> None:
    table = pl.DataFrame({"label": [1, None], "right": [None, True], "p": [None, 0.5]})
    frame = in_kind_of(table, pd.DataFrame({"y": [1.0]}))
    assert frame.dtypes.astype(str).to_dict() == {"label": "Int64", "right": "boolean", "p": "float64"}


def test_columns_go_back_with_the_callers_index() -> None:
    data = pd.DataFrame({"text": ["a", "b"]}, index=[7, 9])
    for given_data in (data, data["text"]):
        expected = pd.Series([1, 0], index=[7, 9], name="stars")
        pd.testing.assert_series_equal(column_in_kind_of([1, 0], given_data, "stars"), expected)
    for polars in (pl.DataFrame({"text": ["a"]}), pl.Series(["a"]), pl.LazyFrame({"text": ["a"]})):
        assert column_in_kind_of(["good"], polars, "label").equals(pl.Series("label", ["good"]))
    assert column_in_kind_of([1.5], pa.table({"text": ["a"]}), "label").to_pylist() == [1.5]
    values = [1]
    assert all(column_in_kind_of(values, data, "label") is values for data in (["a"], {"text": ["a"]}, None))


def test_pandas_comes_without_pyarrow_and_only_for_its_users() -> None:
    code = """
import sys
sys.modules["pyarrow"] = None
import polars as pl
from elman.data.table.kinds import in_kind_of
ds = pl.Series(["2024-01-01", None]).str.to_datetime()
frame = pl.DataFrame({"t": ["a", None], "y": [1.0, None], "ds": ds})
assert in_kind_of(frame, {"y": [1.0]}) is frame
assert "pandas" not in sys.modules
import pandas
back = in_kind_of(frame, pandas.DataFrame({"y": [1.0]}))
assert list(back.columns) == ["t", "y", "ds"], back
print(back["ds"][0].year)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("2024\n", "")
