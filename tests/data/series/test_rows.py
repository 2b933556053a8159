"""Rows as arrays: exact numbers, merged duplicates, static values that may be missing."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.data.series.columns import Columns
from elman.data.series.frequency import Frequency
from elman.data.series.rows import AGGREGATES, Rows, exact_numbers
from elman.data.table.table import read_table
from elman.errors import DataError
from elman.tasks.forecast.settings import DUPLICATES


def rows(table: dict[str, Any], **options: Any) -> Rows:
    static = ("kind",) if "kind" in table else ()
    future = ("p",) if "p" in table else ()
    columns = Columns("ds", "y", "id" if "id" in table else None, future, static)
    return Rows.of(read_table(table), columns, None, **options)


DOUBLED = {
    "ds": [1, 1, 1, 2, 3, 3],
    "y": [4.0, None, 1.0, 7.0, None, None],
    "p": [1.0, 2.0, 6.0, 0.0, 1.0, 1.0],
}


@pytest.mark.parametrize(
    ("duplicates", "first", "covariate"),
    [
        ("mean", 2.5, 3),
        ("sum", 5, 3),
        ("median", 2.5, 3),
        ("min", 1, 3),
        ("max", 4, 3),
        ("first", 4, 1),
        ("last", 1, 6),
    ],
)
def test_rows_of_a_step_are_merged(duplicates: str, first: float, covariate: float) -> None:
    read = rows(DOUBLED, duplicates=duplicates)
    steps, values, future = read.merged(read.groups()["y"], np.array([0, 0, 0, 1, 2, 2]))
    assert steps.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(values, [first, 7, np.nan])
    np.testing.assert_array_equal(future[:, 0], [covariate, 0, 1])


def test_every_word_for_duplicates_is_a_setting() -> None:
    assert list(DUPLICATES) == ["error", *AGGREGATES]


def test_without_a_word_they_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"row 0 .* and row 1 both hold 1; .* duplicates='mean', 'sum', 'first'"
    ):
        rows(DOUBLED).groups()
    steps, values, _ = rows(DOUBLED).merged(np.arange(3), np.array([0, 0, 1]))
    assert steps.tolist() == [0, 1]
    np.testing.assert_array_equal(values, [np.nan, 1]), "the later of two late stamps counts"


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([1, 2**53 + 1], "row 1 .* holds 9007199254740993, whose last digits a 64-bit float cannot hold"),
        (["1", "-9007199254740993"], "whose last digits"),
        ([1e301], "too large to calculate with"),
        (["1e308"], "too large to calculate with"),
    ],
)
def test_numbers_that_would_lose_digits_are_refused(cells: list[Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        exact_numbers(read_table({"y": cells}), "y")


def test_numbers_keep_their_digits() -> None:
    numbers = [2.0**53, 2.0**62, 1e300, -1e300, 5e-324, 0.1]
    assert exact_numbers(read_table({"y": numbers}), "y").tolist() == numbers
    assert exact_numbers(read_table({"y": [str(n) for n in numbers]}), "y").tolist() == numbers
    assert exact_numbers(read_table({"y": [2**62, 2**54]}), "y").tolist() == [2.0**62, 2.0**54]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["x", "x", None], [("x",), (None,)]),
        ([1.0, None, float("nan")], [(1.0,), (None,)]),
        (["1", "NA", "2"], [(1.0,), (2.0,)]),
        (["A", "A", "2"], [("A",), ("2",)]),
        (["NA", "NA", "NA"], [("NA",), ("NA",)]),
        ([True, True, False], [(1.0,), (0.0,)]),
        ([None, None, None], [(None,), (None,)]),
        (["", "y", " "], [("y",), (None,)]),
    ],
)
def test_static_values(cells: list[Any], expected: list[tuple[Any, ...]]) -> None:
    read = rows({"id": ["a", "a", "b"], "ds": [1, 2, 1], "y": [1, 2, 3], "kind": cells})
    assert [read.static_values(name, index) for name, index in read.groups().items()] == expected


def test_static_values_that_change_or_are_none() -> None:
    table = {"id": ["a", "a", "b"], "ds": [1, 2, 1], "y": [1, 2, 3]}
    read = rows(table | {"kind": ["x", "z", "y"]})
    with pytest.raises(DataError, match=r"row 1 .*: static column 'kind' of series 'a' holds z after x"):
        read.static_values("a", read.groups()["a"])
    with pytest.raises(DataError, match="static column 'kind' of dict holds lists"):
        rows(table | {"kind": pl.Series([[1], [2], [3]])})


def test_years_become_dates_for_a_frequency_of_dates() -> None:
    table = {"ds": [1949, 1950], "y": [1, 2]}
    assert rows(table).time.kind == "integer"
    read = rows(table, frequency=Frequency.parse("1y"))
    assert read.time.stamps[1] == np.datetime64("1950-01-01")
    read.check_unit(Frequency.parse("1y"))
    with pytest.raises(DataError, match="are dates, so the frequency cannot be '1'"):
        read.check_unit(Frequency.parse("1"))


@pytest.mark.parametrize(("duplicates", "expected"), [("mean", "sun"), ("first", "rain"), ("last", "fog")])
def test_texts_of_a_step_are_merged(duplicates: str, expected: str) -> None:
    table = {"ds": [1, 1, 1, 1, 2], "y": [1.0, 2, 3, 4, 5], "p": ["rain", "sun", "sun", "fog", None]}
    read = rows(table, duplicates=duplicates)
    _, _, future = read.merged(read.groups()["y"], np.array([0, 0, 0, 0, 1]))
    texts = read.texts[0]
    assert texts is not None
    assert [texts[int(code)] for code in future[:, 0]] == [expected, ""]
