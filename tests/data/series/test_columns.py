"""Which columns are meant, and the sentence when it is not clear."""

import pytest

from elman.data.series.columns import Columns, find_columns
from elman.data.table.table import Table, read_table
from elman.errors import DataError, UsageError

DAYS = ["2020-01-01", "2020-01-02", "2020-01-03"]
TWICE = ["2020-01-01", "2020-01-02", "2020-01-01"]
NIXTLA = Columns("ds", "y", "unique_id")


def table(**columns: list[object]) -> Table:
    return read_table(columns)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"unique_id": ["a", "a", "b"], "ds": DAYS, "y": [1, 2, 3], "x": [1, 2, 3]}, NIXTLA),
        ({"Month": ["1949-01", "1949-02"], "#Passengers": ["112", "118"]}, Columns("Month", "#Passengers")),
        ({"Y": [284, 213], "date": DAYS[:2]}, Columns("date", "Y")),
        ({"Y": [22262, 21756]}, Columns(None, "Y")),
        ({"year": [1949, 1950], "deaths": [7, 8]}, Columns("year", "deaths")),
        ({"n": [1, 2, 3], "level": [7.5, 8.5, 6.0]}, Columns("n", "level")),
        ({"day": DAYS, "note": ["x", "y", "z"], "v": [1, "NA", 3]}, Columns("day", "v")),
        ({"symbol": ["A", "A", "B"], "date": TWICE, "price": [1, 2, 3]}, Columns("date", "price", "symbol")),
        ({"created": DAYS, "date": DAYS, "v": [1, 2, 3]}, Columns("date", "v")),
    ],
)  # fmt: skip
def test_find_columnsd(cells: dict[str, list[object]], expected: Columns) -> None:
    assert find_columns(read_table(cells)) == expected


def test_named_columns_win() -> None:
    data = table(
        unique_id=["a"] * 3,
        ds=DAYS,
        when=["2021-01-01", "2021-01-02", "2021-01-03"],
        y=[1, 2, 3],
        z=[4, 5, 6],
    )
    found = find_columns(data, time="when", value="z", future=["y"], static=["unique_id"])
    assert found == Columns("when", "z", "unique_id", ("y",), ("unique_id",))
    assert found.all == ("unique_id", "when", "z", "y", "unique_id")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"ds": DAYS, "a": [1, 2, 3], "b": [1, 2, 3]}, "columns to forecast; name one with value=: a, b"),
        ({"ds": DAYS, "a": ["x", "y", "3"]}, "no column of numbers to forecast; it has ds, a"),
        ({"p": ["x", "y", "z"], "a": [3, 2, 1], "b": [1, 1, 3]}, "no column that looks like times; name it"),
        ({"ds": TWICE, "y": [1, 2, 3]}, "row 2 both hold ds 2020-01-01; keep one of them, or merge"),
        ({"ds": [*TWICE, None, None], "y": [1] * 5}, "row 2 both hold ds 2020-01-01"),
        ({"ds": TWICE, "y": [1, 2, 3], "id": [1, 1, 2]}, "distinguishes several series with series=: id"),
    ],
)  # fmt: skip
def test_unclear(cells: dict[str, list[object]], words: str) -> None:
    with pytest.raises(DataError) as caught:
        find_columns(read_table(cells))
    assert words in str(caught.value)


def test_missing_and_doubly_used_columns() -> None:
    data = table(ds=DAYS, sales=[1, 2, 3])
    with pytest.raises(DataError, match="has no column 'sale'"):
        find_columns(data, value="sale")
    with pytest.raises(UsageError, match="'sales' is two of"):
        find_columns(data, value="sales", future=["sales"])
