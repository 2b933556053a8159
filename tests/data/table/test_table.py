"""Tables: standard input, columns as texts and numbers, and the names of rows."""

import io
import os
import sys
import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.table.table import read_table, table_from_bytes
from elman.errors import DataError
from tabular import write

PAIR = {"text": ["a b", "c"], "label": ["1", "0"]}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ('text,label\n"a b",1\nc,0\n', PAIR),
        ("text\tlabel\na b\t1\nc\t0\n", PAIR),
        ('{"text": "a b", "label": "1"}\n{"text": "c", "label": "0"}\n', PAIR),
        ("text;label\na b;1\nc;0\n", PAIR),
        ("Good film, but long\nbad\n", {"text": ["Good film, but long", "bad"]}),
        ("Good,bad\n", {"text": ["Good,bad"]}),
        ("just a line", {"text": ["just a line"]}),
        ('"review","stars"\n"x",1\n', {"review": ["x"], "stars": ["1"]}),
    ],
)
def test_standard_input_is_told_from_its_first_line(
    monkeypatch: pytest.MonkeyPatch, typed: str, expected: dict[str, list[str]]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(typed.encode())))
    table = read_table("-")
    assert table.frame.to_dict(as_series=False) == expected
    assert table.name == "standard input"


@pytest.mark.parametrize(
    ("typed", "columns"), [("a\t1\nb\t2\n", 2), ("a,1\nb,2\n", 2), ("Well, no\nyes\n", 1), ("a\nb\n", 1)]
)
def test_standard_input_without_a_header(monkeypatch: pytest.MonkeyPatch, typed: str, columns: int) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(typed.encode())))
    assert read_table("-", header=False).frame.shape == (2, columns)


def test_standard_input_may_be_parquet(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"y": [1, 2]}).write_parquet(buffer)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(buffer.getvalue())))
    assert read_table("-").numbers("y").to_list() == [1.0, 2.0]


def test_missing_columns_list_those_there_are(tmp_path: Path) -> None:
    table = read_table({"review": ["a"], "stars": [1]})
    table.require("stars", "review")
    with pytest.raises(
        DataError, match=r"dict has no column 'star'; it has 'review', 'stars'; did you mean 'stars'\?$"
    ):
        table.require("review", "star")
    with pytest.raises(DataError, match=r"it has 'c0', .*'c11' and 88 more\.$"):
        read_table({f"c{i}": [1] for i in range(100)}).require("zzz")
    headless = read_table(write(tmp_path, "a.csv", "bad,0\ngood,1\n"))
    with pytest.raises(DataError, match="if its first line is not a header, give header=False"):
        headless.texts("text")


def test_texts_name_the_empty_cell_and_complete_leaves_it_out(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", 'text,label\na,1\n ,0\nb,\n"",1\nc,x\n'))
    with pytest.raises(DataError, match=r"a\.csv, row 3: column 'text' is empty \(2 such rows\); fill it in"):
        table.texts("text")
    rest = table.complete("text", "label")
    assert rest.texts("text") == ["a", "c"]
    assert rest.fingerprint == table.fingerprint
    with pytest.raises(DataError, match=r"a\.csv, row 6: column 'label' holds 'x'"):
        rest.numbers("label")
    assert rest.complete("text") is rest
    with pytest.raises(DataError, match="no row with a value in 'y'"):
        read_table({"y": [None, float("nan")]}).complete("y")


def test_selected_rows_keep_their_names(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", 'text\n"a\nb"\nc\n\nd\n'))
    assert [table.row(i).rpartition(", ")[2] for i in range(3)] == [
        "row 2 (line 2)",
        "row 3 (line 4)",
        "row 4 (line 6)",
    ]
    chosen = table.select([2, 0]).select([1, 0])
    assert chosen.texts("text") == ["a\nb", "d"]
    assert [chosen.row(i).rpartition(", ")[2] for i in range(2)] == ["row 2 (line 2)", "row 4 (line 6)"]


def test_texts_of_other_types() -> None:
    frame = pl.DataFrame({"i": [1, 2], "d": [date(2024, 1, 2)] * 2, "l": [["a"], []], "b": [b"x", b"y"]})
    table = read_table(frame.with_columns(c=pl.Series(["x", "y"], dtype=pl.Categorical)))
    assert table.texts("i") == ["1", "2"]
    assert table.texts("d") == ["2024-01-02"] * 2
    assert table.texts("c") == ["x", "y"]
    with pytest.raises(DataError, match="column 'l' of DataFrame holds lists; give text"):
        table.texts("l")
    with pytest.raises(DataError, match="column 'b' of DataFrame holds bytes; give text"):
        table.texts("b")


def test_numbers_of_text_and_other_types() -> None:
    table = read_table(
        {
            "t": [" 1 ", "-2.5", "1e3", "NA", "nan", "", None, "?", "+.5"],
            "f": [1.5, float("nan"), None, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0],
            "b": [True, False, None, True, True, True, True, True, True],
            "n": [None] * 9,
            "d": [date(2024, 1, 1)] * 9,
        }
    )
    assert table.numbers("t").to_list() == [1.0, -2.5, 1000.0, None, None, None, None, None, 0.5]
    assert table.numbers("f").to_list()[:4] == [1.5, None, None, 0.0]
    assert table.numbers("b").to_list()[:3] == [1.0, 0.0, None]
    assert table.numbers("n").null_count() == 9
    assert table.numbers("n").dtype == pl.Float64
    with pytest.raises(DataError, match="column 'd' of dict holds dates or times; give numbers"):
        table.numbers("d")


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_written_by_python_come_back_exactly(values: list[float | None]) -> None:
    texts = ["" if value is None else repr(value) for value in values]
    assert read_table({"y": texts}).numbers("y").to_list() == values


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("abc", "which is not a number; correct it, or leave the cell empty"),
        ("1,234,567.8", "without thousands separators"),
        ("3,14", "write a decimal point, not a comma"),
        ("$12.50", "write it without the unit"),
        ("12 %", "write it without the unit"),
        ("€ 12", "write it without the unit"),
        (" 3,14 ", "write a decimal point, not a comma"),
        ("1" + " " * 200_000 + "x", "which is not a number; correct it"),
        ("$" + "1" * 200_000, "which is not a number; correct it"),
        ("-inf", "which is not finite"),
        ("1_000", "which is not a number"),
        ("word " * 50, "wo…', which is not a number"),
    ],
)
def test_what_is_no_number_is_named_with_its_row(tmp_path: Path, value: str, why: str) -> None:
    table = read_table(write(tmp_path, "a.csv", f'y\n1\n"{value}"\n'))
    with pytest.raises(DataError, match=rf"a\.csv, row 3: column 'y' holds '.*{why}"):
        table.numbers("y")
    with pytest.raises(
        DataError, match=r"DataFrame, row 1 \(counted from 0\): column 'y' holds inf, which is not finite"
    ):
        read_table(pl.DataFrame({"y": [1.0, float("inf")]})).numbers("y")


@pytest.fixture
def public() -> Path:
    if "ELMAN_DATA" not in os.environ:
        pytest.skip("ELMAN_DATA does not name the folder of public data")
    return Path(os.environ["ELMAN_DATA"])


def test_real_files_are_read_right_and_fast(public: Path) -> None:
    start = time.process_time()
    imdb = read_table(public / "sentiment/imdb/train.tsv")
    assert time.process_time() - start < 2
    assert imdb.frame.shape == (25000, 3)
    assert set(imdb.texts("label")) == {"0", "1"}
    raw = (public / "sentiment/imdb/train.tsv").read_text("utf-8").split("\n")
    assert imdb.texts("text") == [line.split("\t")[2] for line in raw[1:25001]]
    sst = read_table(public / "sentiment/sst2/train.tsv", header=False)
    assert sst.frame.shape == (6920, 2)
    assert sst.frame.columns == ["1", "2"]
    assert (
        read_table(public / "timeseries/prophet_examples/example_air_passengers.csv").numbers("y").len()
        == 144
    )
    assert read_table(public / "timeseries/m4/Hourly-train.csv").frame.shape == (414, 961)


@pytest.mark.parametrize(
    ("ending", "content"),
    [(".csv", b"text;label\na b;1\nc;0\n"), (".tsv", b"text\tlabel\na b\t1\nc\t0\n"), (".parquet", b"")],
)
def test_the_content_of_a_file_is_its_table(ending: str, content: bytes, tmp_path: Path) -> None:
    if ending == ".parquet":
        pl.DataFrame(PAIR).write_parquet(tmp_path / "a.parquet")
        content = (tmp_path / "a.parquet").read_bytes()
    file = read_table(write(tmp_path, f"a{ending}", content))
    table = table_from_bytes(content, ending, "upload")
    assert table.frame.equals(file.frame) and table.fingerprint == file.fingerprint
    assert table.row(1) == file.row(1).replace(str(tmp_path / f"a{ending}"), "upload")
    with pytest.raises(DataError, match=r"^upload"):
        table_from_bytes(b"", ending, "upload")
