"""Tables: every format round-trips, and everything that can be wrong is named with its place."""

import csv
import gzip
import hashlib
import io
import json
import os
import sys
import time
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from elman.data.tables import Table, read_table
from elman.errors import DataError, UsageError

FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(table: Table) -> list[tuple[Any, ...]]:
    return table.frame.rows()


def blank_is_none(records: list[list[str]]) -> list[tuple[str | None, ...]]:
    return [tuple(cell or None for cell in record) for record in records]


# --- what is read ------------------------------------------------------------------------------------------


REVIEWS = [("good, really", "1"), ("bad", "0"), ("naïve “café” 👍", "1")]
CONTENTS = {
    "a.csv": 'text,label\n"good, really",1\nbad,0\nnaïve “café” 👍,1\n',
    "semicolons.csv": "text;label\n" + "".join(f"{t};{n}\n" for t, n in REVIEWS if "," not in t) + "x;1\n",
    "a.tsv": "text\tlabel\n" + "".join(f"{t}\t{n}\n" for t, n in REVIEWS),
    "a.jsonl": "".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in REVIEWS),
    "a.ndjson": "".join(json.dumps({"text": t, "label": n}, ensure_ascii=False) + "\n" for t, n in REVIEWS),
}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.ndjson"])
@pytest.mark.parametrize("disguise", ["plain", "bom", "crlf", "mac", "gzip", "capitals", "no last line end"])
def test_every_text_format_in_every_disguise(tmp_path: Path, name: str, disguise: str) -> None:
    content = CONTENTS[name].encode()
    if disguise == "bom":
        content = b"\xef\xbb\xbf" + content
    elif disguise == "crlf":
        content = content.replace(b"\n", b"\r\n")
    elif disguise == "mac":
        content = content.replace(b"\n", b"\r")
    elif disguise == "gzip":
        content, name = gzip.compress(content), name + ".gz"
    elif disguise == "capitals":
        name = name.upper()
    elif disguise == "no last line end":
        content = content.rstrip(b"\n")
    table = read_table(write(tmp_path, name, content))
    assert rows(table) == REVIEWS
    assert table.frame.columns == ["text", "label"]
    assert table.fingerprint == hashlib.sha256(content).hexdigest()
    assert table.name == str(tmp_path / name)
    assert len(table) == 3
    assert read_table(table) is table


def test_semicolons_divide_where_no_comma_does(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", CONTENTS["semicolons.csv"]))
    assert rows(table) == [("bad", "0"), ("naïve “café” 👍", "1"), ("x", "1")]


def test_lines_of_text_keep_their_numbers(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.txt", "one, two\n\nthree\n"))
    assert table.frame.to_dict(as_series=False) == {"text": ["one, two", None, "three"]}
    assert table.row(2).endswith("a.txt, row 3")


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    for name, content in (("a.csv", "a,1\nb,2\n"), ("q.csv", '"a",1\nb,2\n'), ("a.tsv", "a\t1\nb\t2\n")):
        table = read_table(write(tmp_path, name, content), header=False)
        assert table.frame.columns == ["1", "2"]
        assert rows(table) == [("a", "1"), ("b", "2")]
        assert table.row(0).endswith(", row 1")


def test_parquet_keeps_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"text": ["a", None], "y": [1.5, 2.0], "turns": [["hi", "yes"], []]})
    frame.write_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.frame.equals(frame)
    assert table.row(1).endswith("a.parquet, row 2")


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


def test_json_columns_take_the_type_their_values_share(tmp_path: Path) -> None:
    lines = [
        {"i": 1, "f": 1, "mixed": 1, "turns": ["a", "b"], "big": 1},
        {"i": 2, "f": 2.5, "mixed": "x", "turns": [], "big": 10**30, "late": True},
    ]
    table = read_table(write(tmp_path, "a.jsonl", "\n\n".join(map(json.dumps, lines))))
    assert table.frame["i"].dtype == pl.Int64
    assert table.numbers("f").to_list() == [1.0, 2.5]
    assert table.frame["mixed"].to_list() == ["1", "x"]
    assert table.frame["turns"].to_list() == [["a", "b"], []]
    assert table.numbers("big").to_list() == [1.0, 1e30]
    assert table.frame["late"].to_list() == [None, True]
    assert table.row(1).endswith("a.jsonl, row 2 (line 3)")


CELLS = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=6)
BARE = st.text(st.characters(exclude_characters='\r\0\n\t,;"', exclude_categories=["Cs"]), max_size=6)


def records(cells: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    return st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8)
    )


def line_of_each(text: str, separator: str) -> list[int]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    ends = [reader.line_num for _ in reader]
    return [1, *(end + 1 for end in ends[:-1])]


@FOLDER
@given(records(CELLS), st.sampled_from([("a.csv", ","), ("a.tsv", "\t")]), st.sampled_from(["\n", "\r\n"]))
def test_quoted_files_give_back_what_was_written(
    tmp_path: Path, table: list[list[str]], kind: tuple[str, str], end: str
) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=kind[1], lineterminator=end, quoting=csv.QUOTE_ALL).writerows(table)
    text = buffer.getvalue()
    tabs = {line.count("\t") for line in text.replace("\r\n", "\n").split("\n") if line}
    assume(kind[1] == "," or len(table[0]) > 1 or tabs == {0})  # else the tabs may look like divisions
    assume(kind[1] == "," or len(tabs) > 1 or not any("\t" in c or "\n" in c for r in table for c in r))
    got = read_table(write(tmp_path, kind[0], text), header=False)
    assert rows(got) == blank_is_none(table)
    for i, line in enumerate(line_of_each(text, kind[1])):
        place = f"row {i + 1}" if got.lines is None else f"row {i + 1} (line {line})"
        assert got.row(i) == f"{tmp_path / kind[0]}, {place}"
        assert got.lines is not None or line == i + 1


@FOLDER
@given(records(BARE), st.sampled_from([("a.csv", ","), ("a.tsv", "\t")]), st.integers(0, 3))
def test_bare_files_give_back_what_was_written(
    tmp_path: Path, table: list[list[str]], kind: tuple[str, str], blank: int
) -> None:
    table = [[cell if len(row) > 1 else cell or "x" for cell in row] for row in table]
    assume(any(cell.strip() for row in table for cell in row))
    assume(not table[0][0].startswith("\ufeff"))
    lines = [kind[1].join(row) for row in table]
    lines[blank:blank] = ["", ""]
    got = read_table(write(tmp_path, kind[0], "\n".join(lines)), header=False)
    assert rows(got) == blank_is_none(table)
    for i in range(len(table)):
        line = i + 1 + (2 if i >= blank else 0)
        assert got.row(i).endswith(f"row {i + 1} (line {line})" if got.lines is not None else f"row {line}")


@pytest.mark.parametrize(
    "text", ['"Good" film', 'a "good" film', 'say ""', '"', '"one\n1\ttwo"', '"one"\n1\t"two" "']
)
def test_quotes_of_a_tsv_that_enclose_nothing_are_characters(tmp_path: Path, text: str) -> None:
    table = read_table(write(tmp_path, "a.tsv", f"1\t{text}\n0\tx\n"), header=False)
    assert "\n".join("\t".join(row) for row in rows(table)) == f"1\t{text}\n0\tx"


@FOLDER
@given(
    st.lists(
        st.tuples(st.sampled_from("01"), st.text('ab" ', min_size=1, max_size=8)), min_size=1, max_size=8
    )
)
def test_tsv_with_bare_quotes_is_taken_literally(tmp_path: Path, table: list[tuple[str, str]]) -> None:
    table.append(("1", 'a 5" pipe'))  # no writer that quotes would leave this one bare
    got = read_table(write(tmp_path, "a.tsv", "".join(f"{a}\t{b}\n" for a, b in table)), header=False)
    assert rows(got) == table


@FOLDER
@given(
    st.lists(
        st.tuples(st.sampled_from("01"), st.text('ab"\t\n ', min_size=1, max_size=8)), min_size=1, max_size=8
    )
)
def test_tsv_written_by_pandas_is_read_right(tmp_path: Path, table: list[tuple[str, str]]) -> None:
    table.append(("1", "a\nline"))
    pd.DataFrame(table, columns=["label", "text"]).to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    assert rows(read_table(tmp_path / "a.tsv")) == table


def test_a_cell_may_be_longer_than_the_csv_module_likes(tmp_path: Path) -> None:
    long = "word " * 60_000
    table = read_table(write(tmp_path, "a.csv", f'text,label\n"{long}",1\n'))
    assert table.texts("text") == [long]


# --- standard input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (CONTENTS["a.csv"], {"text": [t for t, _ in REVIEWS], "label": ["1", "0", "1"]}),
        (CONTENTS["a.tsv"], {"text": [t for t, _ in REVIEWS], "label": ["1", "0", "1"]}),
        (CONTENTS["a.jsonl"], {"text": [t for t, _ in REVIEWS], "label": ["1", "0", "1"]}),
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


# --- the hub -----------------------------------------------------------------------------------------------


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
    with pytest.raises(UsageError, match="'hf:' names no data set"):
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


# --- what is wrong with a file -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"a\.csv is empty"),
        ("a.csv", "\n \n", r"a\.csv is empty"),
        ("a.csv", "text,label\n", r"a\.csv has a header but no rows"),
        ("a.csv", '"text","label"\n', r"a\.csv has a header but no rows"),
        ("a.csv", "text,label\na,1\nb\n", r"a\.csv, row 3 has 1 field where row 1 has 2; add or remove"),
        ("a.csv", "text,label\na,1,2\n", r"a\.csv, row 2 has 3 fields where row 1 has 2"),
        ("a.csv", "text,label\n\na,1\n\nb\n", r"a\.csv, row 3 \(line 5\) has 1 field where"),
        ("a.csv", 'text,label\n"a\nb",1\nb\n', r"a\.csv, row 3 \(line 4\) has 1 field where"),
        (
            "a.csv",
            'text,label\n"a,1\nb",2,3\n',
            r"row 2 has 3 fields .* runs up to line 3, so a double quote may",
        ),
        (
            "a.csv",
            'text,label\na,1\n"b,2\nc,3\n',
            r"row 3: a double quote opens a field and nothing closes it",
        ),
        (
            "a.csv",
            'text,label\n"a\nb" c,2\n',
            r"row 2: text follows a closing double quote on line 3; double",
        ),
        ("a.csv", 'text,label\n"a",1\nb\rc,1\n', r"row 3: there is a lone carriage return"),
        ("a.csv", "a,b,a\n1,2,3\n", r"a\.csv, row 1: columns 1 and 3 are both named 'a'"),
        ("a.tsv", "a\tb\n1\t2\t3\n", r"a\.tsv, row 2 has 3 fields where row 1 has 2"),
        ("a.csv", b"text\nok\ncaf\xe9 x\n", r"a\.csv, line 3: byte 4 is 0xE9 \('é' in Windows-1252\).*iconv"),
        ("a.jsonl", b'{"a": "\xff"}\n', r"a\.jsonl, line 1: byte 8 is 0xFF .*not UTF-8"),
        ("a.csv", b"text\ncaf\xc3", r"a\.csv ends in the middle of a character"),
        ("a.csv", "text,label\na,1\n".encode("utf-16"), r"a\.csv is UTF-16 text.*iconv -f UTF-16"),
        ("a.csv", "text,label\na,1\n".encode("utf-16-le"), r"a\.csv looks like UTF-16 text"),
        ("a.csv", "text,label\na,1\n".encode("utf-16-be"), r"a\.csv looks like UTF-16 text"),
        ("a.csv", b"\0", r"a\.csv looks like UTF-16 text"),
        ("a.csv", bytes(range(256)) * 9, r"a\.csv is a binary file"),
        ("a.csv", b"text\n" + b"long line\n" * 9 + b"a\0b\n", r"a\.csv, line 11: byte 2 is a NUL"),
        ("a.csv", b"PK\x03\x04...", r"a\.csv is a zip archive or an Excel workbook; save the sheet as CSV"),
        ("a.csv", b"PAR1....", r"a\.csv is a Parquet file; give it the ending \.parquet"),
        ("a.csv", gzip.compress(b"a\n1\n"), r"a\.csv is compressed with gzip; give it the ending"),
        ("a.csv.gz", b"a\n1\n", r"a\.csv\.gz is not a whole gzip file"),
        ("a.csv.gz", gzip.compress(b"a\n1\n")[:-9], r"a\.csv\.gz is not a whole gzip file"),
        ("a.parquet", b"PAR1....", r"a\.parquet is not a whole Parquet file"),
        (
            "a.jsonl",
            '{"a": 1}\n\n{"a": 1\n',
            r"a\.jsonl, line 3 is broken JSON \(Expecting .* at character 8\)",
        ),
        ("a.jsonl", '{"a": 1}\n[1]\n', r"a\.jsonl, line 2 is a list, not an object"),
        ("a.jsonl", '"hello"\n', r"a\.jsonl, line 1 is the value 'hello', not an object"),
        ("a.jsonl", '[{"a": 1}]', r"a\.jsonl is one JSON array; write one object per line"),
        ("a.jsonl", "{}\n", r"a\.jsonl holds objects without keys"),
        ("a.jsonl", '{"a": "\\ud83d"}\n', r"a\.jsonl, line 1 holds half of a surrogate pair"),
        ("a.jsonl", '{"a":' * 50_000, r"a\.jsonl, line 1 is nested too deeply"),
        ("a.json", "{}", r"a\.json ends in \.json, but .* \.csv, \.tsv, .*; write one object per line"),
        ("a.xlsx", "x", r"a\.xlsx ends in \.xlsx, .*; save the sheet as CSV \(UTF-8\)\.$"),
        ("data", "x", r"data has no ending, but a table ends in one of \.csv"),
    ],
)
def test_a_bad_file_is_named_with_the_place_and_the_remedy(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(write(tmp_path, name, content))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    write(tmp_path, "reviews.csv", "a\n1\n")
    with pytest.raises(DataError, match=r"reveiws\.csv does not exist; did you mean 'reviews\.csv'\?"):
        read_table(tmp_path / "reveiws.csv")
    with pytest.raises(DataError, match=r"other\.tsv does not exist; check the spelling"):
        read_table(tmp_path / "other.tsv")
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        read_table(tmp_path / "nowhere" / "reviews.csv")
    with pytest.raises(DataError, match=r"is a folder; name one file in it, such as .*reviews\.csv\.$"):
        read_table(str(tmp_path))


@FOLDER
@given(
    st.binary(max_size=200), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.txt", "a.parquet", "a.csv.gz"])
)
def test_no_bytes_at_all_cause_any_other_error(tmp_path: Path, content: bytes, name: str) -> None:
    try:
        table = read_table(write(tmp_path, name, content))
    except DataError as problem:
        assert name in str(problem)
    else:
        assert len(table) > 0


@FOLDER
@given(st.text('ab,;"\t\n\r {}[]:1\\', max_size=30), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.txt"]))
def test_no_text_at_all_causes_any_other_error(tmp_path: Path, content: str, name: str) -> None:
    test_no_bytes_at_all_cause_any_other_error.hypothesis.inner_test(tmp_path, content.encode(), name)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("", UsageError, "'' is no path"),
        ("https://host/a.csv", UsageError, "is a web address; download it"),
        (3, UsageError, "an object of type int is not a table; give a path, '-'"),
        (["a", "b"], UsageError, "an object of type list is not a table"),
        ({"a": "xyz"}, UsageError, "column 'a' of the dict should be a list, not str"),
        ({"a": [1], "b": [1, 2]}, DataError, r"not equally long \('a' 1, 'b' 2\)"),
        ({}, DataError, "dict holds no rows"),
        (pl.DataFrame({"a": []}), DataError, "DataFrame holds no rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), DataError, "DataFrame has several columns named 'a'"),
        ({"a": [object()]}, DataError, r"column 'a' of dict holds Python objects \(object\)"),
        (pd.Series([1, 2]), DataError, "Series cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_table(source)


# --- columns -----------------------------------------------------------------------------------------------


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
    with pytest.raises(DataError, match="if its first line is no header, read it without one"):
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
    with pytest.raises(DataError, match="column 'l' of DataFrame holds lists, not text"):
        table.texts("l")
    with pytest.raises(DataError, match="column 'b' of DataFrame holds bytes, not text"):
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
    with pytest.raises(DataError, match="column 'd' of dict holds dates or times, not numbers"):
        table.numbers("d")


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_written_by_python_come_back_exactly(values: list[float | None]) -> None:
    texts = ["" if value is None else repr(value) for value in values]
    assert read_table({"y": texts}).numbers("y").to_list() == values


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("abc", "which is not a number; correct it, or leave the cell empty"),
        ("1,234,567.8", "without the thousands commas"),
        ("3,14", "write a point, not a comma"),
        ("$12.50", "write it without the sign"),
        ("12 %", "write it without the sign"),
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


# --- public data -------------------------------------------------------------------------------------------


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
