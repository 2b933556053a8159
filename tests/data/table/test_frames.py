"""Tables in memory and on the hub."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from elman.data.table.table import read_table
from elman.errors import DataError, UsageError
from tabular import rows

FRAME = {"text": ["a", None, "c"], "y": [1.0, 2.5, None]}


@pytest.mark.parametrize(
    "source",
    [
        FRAME,
        [dict(zip(FRAME, values, strict=True)) for values in zip(*FRAME.values(), strict=True)],
        pl.DataFrame(FRAME),
        pa.table(FRAME),
        pa.table(FRAME).to_reader(),
        pd.DataFrame(FRAME),
        pd.DataFrame(FRAME, index=[7, 7, 9]),
        pd.DataFrame({"text": pd.array(FRAME["text"], dtype="string[pyarrow]"), "y": FRAME["y"]}),
        {"text": pd.Series(FRAME["text"]), "y": pa.chunked_array([FRAME["y"]])},
    ],
    ids=[
        "dict",
        "list",
        "polars",
        "pyarrow",
        "reader",
        "pandas",
        "indexed",
        "arrow strings",
        "dict of series",
    ],
)
def test_every_frame_gives_the_same_table(source: Any) -> None:
    table = read_table(source)
    assert table.frame.to_dict(as_series=False) == FRAME
    assert table.row(2) == f"{type(source).__name__}, row 2 (counted from 0)"
    assert table.fingerprint == read_table(pl.DataFrame(FRAME)).fingerprint
    assert table.fingerprint != read_table({"text": ["a"], "y": [1.0]}).fingerprint


def test_pandas_without_pyarrow_and_with_mixed_types(monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = pd.DataFrame(
        {"a": ["x", 3, None], "d": pd.to_datetime(["2024-01-01", None, "2024-01-03"]), 5: [1, 2, 3]}
    )
    table = read_table(mixed)
    assert table.frame["a"].to_list() == ["x", "3", None]
    assert table.frame["d"].null_count() == 1
    assert table.frame["5"].to_list() == [1, 2, 3]
    assert rows(read_table(pd.DataFrame({"a": ["x"], 5: [1]}))) == [("x", 1)]
    plain = pd.DataFrame({"text": ["a", None], "y": [1.5, None]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert rows(read_table(plain)) == [("a", 1.5), (None, None)]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("", UsageError, "'' is not a path; give a file"),
        ("a\0.csv", UsageError, "is not a path; give a file"),
        ("https://host/a.csv", UsageError, "is a web address; download it"),
        (3, UsageError, "an object of type int is not a table; give a path, '-'"),
        (["a", "b"], UsageError, "an object of type list is not a table"),
        ({"a": "xyz"}, UsageError, "column 'a' is of type str; it should be a list"),
        ({"a": [1], "b": [1, 2]}, DataError, r"differ in length \('a' 1, 'b' 2\)"),
        ({}, DataError, "dict holds no rows"),
        (pl.DataFrame({"a": []}), DataError, "DataFrame holds no rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), DataError, "DataFrame has several columns named 'a'"),
        ({"a": [object()]}, DataError, r"column 'a' of dict holds Python objects \(object\)"),
        (pd.Series([1, 2]), (DataError, UsageError), "Series (cannot be read as|is not) a table"),
    ],
)
def test_what_is_no_table_is_refused(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_table(source)


def hub(splits: dict[str, pl.DataFrame], **features: Any) -> Any:
    """A stand-in for the `datasets` package that knows one data set."""

    def load_dataset(path: str) -> dict[str, Any]:
        if path != "user/reviews":
            raise FileNotFoundError(f"Dataset '{path}' doesn't exist on the Hub.")
        return {
            name: SimpleNamespace(to_polars=lambda frame=frame: frame, features=features)
            for name, frame in splits.items()
        }

    return SimpleNamespace(load_dataset=load_dataset)


def test_hub_names_pick_a_split_and_name_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    train = pl.DataFrame({"text": ["a", "b", "c"], "label": [0, 1, -1]})
    test = pl.DataFrame({"text": ["d"], "label": [1]})
    stand_in = hub({"train": train, "test": test}, label=SimpleNamespace(names=["neg", "pos"]), text=object())
    monkeypatch.setitem(sys.modules, "datasets", stand_in)
    table = read_table("hf:user/reviews")
    assert rows(table) == [("a", "neg"), ("b", "pos"), ("c", None)]
    assert table.name == "hf:user/reviews"
    assert rows(read_table("hf:user/reviews:test")) == [("d", "pos")]
    with pytest.raises(UsageError, match=r"has no split 'tset'; it has train, test; did you mean 'test'\?$"):
        read_table("hf:user/reviews:tset")
    with pytest.raises(
        DataError, match=r"hf:user/nothing cannot be loaded from the hub \(Dataset 'user/nothing'"
    ):
        read_table("hf:user/nothing")
    with pytest.raises(UsageError, match="'hf:' does not name a data set"):
        read_table("hf:")
    monkeypatch.setitem(sys.modules, "datasets", hub({"all": test}))
    assert rows(read_table("hf:user/reviews")) == [("d", 1)]
    monkeypatch.setitem(sys.modules, "datasets", hub({"one": test, "two": test}))
    with pytest.raises(UsageError, match=r"has several splits; it has one, two\.$"):
        read_table("hf:user/reviews")


def test_without_datasets_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'elman\[hub\]'"):
        read_table("hf:user/reviews")


NAMED: dict[str, tuple[Any, Any]] = {
    "numbers of pandas": (pd.DataFrame([["a", "x"], ["b", "y"]]), 0),
    "numbers of NumPy": (pd.DataFrame([["x", "a"], ["y", "b"]]), np.int64(1)),
    "tuples": (pd.DataFrame({("t", "text"): ["a", "b"], ("t", 1): ["x", "y"]}), ("t", "text")),
    "tuples with numbers": (pd.DataFrame({("t", 1): ["a", "b"], ("t", 2): ["x", "y"]}), ("t", 1)),
    "half": (pd.DataFrame({0.5: ["a", "b"]}), 0.5),
    "true": (pd.DataFrame({True: ["a", "b"], False: ["x", "y"]}), True),
    "None, by its text": ({None: ["a", "b"], "x": [1, 2]}, "None"),
    "stamps": (pd.DataFrame({pd.Timestamp("2024-01-31"): ["a", "b"]}), pd.Timestamp("2024-01-31")),
    "an accent of its own": (pd.DataFrame({"cafe\u0301": ["a", "b"]}), "café"),
    "an accent of its own in polars": (pl.DataFrame({"cafe\u0301": ["a", "b"]}), "café"),
    "a dict": ({0: ["a", "b"], 1: ["x", "y"]}, 0),
    "a list of dicts": ([{0: "a", 1: "x"}, {0: "b"}], 0),
    "a lazy frame": (pl.LazyFrame({"1": ["a", "b"]}), 1),
}


@pytest.mark.parametrize(("source", "column"), NAMED.values(), ids=NAMED)
def test_columns_whose_names_are_no_text_are_found(source: Any, column: Any) -> None:
    table = read_table(source)
    table.require(column)
    assert table.texts(column) == ["a", "b"]
    assert table.complete(column).usable(column).texts(column) == ["a", "b"]


@pytest.mark.parametrize("column", [None, ["text"], {"text"}, pd.Series(["text"]), np.array(["text"])])
def test_what_names_no_column_is_refused(column: Any) -> None:
    with pytest.raises(UsageError, match=r"a column is named by its text or number, not by a value"):
        read_table({"text": ["a"]}).texts(column)


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame([["a", "b"]], columns=[0, "0"]),
        pd.DataFrame([["a", "b"]], columns=["é", "e\u0301"]),
        {0: ["a"], "0": ["b"]},
        [{0: "a", "0": "b"}],
    ],
)
def test_names_that_become_the_same_are_refused(source: Any) -> None:
    with pytest.raises(DataError, match=r"has several columns named '.'; rename all but one"):
        read_table(source)


def test_the_callers_frame_keeps_its_names() -> None:
    frame = pl.DataFrame({"cafe\u0301": ["a"]})
    read_table(frame)
    assert frame.columns == ["cafe\u0301"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"t": {"a", "b"}}, "of type set; it should be a list"),
        ({"t": np.array(1)}, "of type ndarray; it should be a list"),
        (pd.DataFrame({"t": pd.to_timedelta([1, 2], unit="D")}), "holds spans of time; give text"),
        (
            pd.DataFrame({"t": pd.period_range("2024", periods=2, freq="M")}),
            "holds values of type .*; give text",
        ),
        (pd.DataFrame({"t": pd.interval_range(0, 2)}), "holds values of type .*; give text"),
        (pl.LazyFrame({"t": [1]}).select("u"), "LazyFrame cannot be read"),
        (pd.DataFrame({"t": [1 + 2j]}), "holds Python objects"),
        (np.array([["a", "b"]]), "an object of type ndarray is not a table"),
        ([("a", "b")], "an object of type list is not a table"),
    ],
)
def test_columns_of_odd_types_are_refused_in_words(source: Any, message: str) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        read_table(source).texts("t")
