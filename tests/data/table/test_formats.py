"""Files: every format in every disguise, and bytes that are no table."""

import gzip
import hashlib
import json
import os
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.table.formats import input_lines
from elman.data.table.table import read_table
from elman.errors import DataError
from tabular import FOLDER, rows, write

REVIEWS = [("good, really", "1"), ("bad", "0"), ("naïve “café” 👍", "1")]
CONTENTS = {
    "a.csv": 'text,label\n"good, really",1\nbad,0\nnaïve “café” 👍,1\n',
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
        content, name = gzip.compress(content, mtime=0), name + ".gz"
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


def test_lines_of_text_keep_their_numbers(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.txt", "one, two\n\nthree\n"))
    assert table.frame.to_dict(as_series=False) == {"text": ["one, two", None, "three"]}
    assert table.row(2).endswith("a.txt, row 3")


def test_parquet_keeps_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"text": ["a", None], "y": [1.5, 2.0], "turns": [["hi", "yes"], []]})
    frame.write_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.frame.equals(frame)
    assert table.row(1).endswith("a.parquet, row 2")


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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"a\.csv is empty"),
        ("a.csv", "\n \n", r"a\.csv is empty"),
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
        ("a.csv", gzip.compress(b"a\n1\n", mtime=0), r"a\.csv is compressed with gzip; give it the ending"),
        ("a.csv.gz", b"a\n1\n", r"a\.csv\.gz is not a gzip file, or is a damaged one"),
        (
            "a.csv.gz",
            gzip.compress(b"a\n1\n", mtime=0)[:-9],
            r"a\.csv\.gz is not a gzip file, or is a damaged one",
        ),
        ("a.parquet", b"PAR1....", r"a\.parquet is not a complete Parquet file"),
        (
            "a.jsonl",
            '{"a": 1}\n\n{"a": 1\n',
            r"a\.jsonl, line 3 is not valid JSON \(Expecting .* at character 8\)",
        ),
        ("a.jsonl", '{"a": 1}\n[1]\n', r"a\.jsonl, line 2 is a list, not an object"),
        ("a.jsonl", '"hello"\n', r"a\.jsonl, line 1 is the value 'hello', not an object"),
        ("a.jsonl", '[{"a": 1}]', r"a\.jsonl is one JSON array; write one object per line"),
        ("a.jsonl", "{}\n", r"a\.jsonl holds objects without keys"),
        ("a.jsonl", '{"a": "\\ud83d"}\n', r"a\.jsonl, line 1 holds half of a surrogate pair"),
        ("a.jsonl", '{"a":' * 50_000, r"a\.jsonl, line 1 is nested too deeply"),
        ("a.jsonl", '{"a": ' + "1" * 5000 + "}", r"a\.jsonl, line 1 holds a number of thousands of digits"),
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
    with pytest.raises(DataError, match=r"^'x+…' cannot be read: File name too long\.$"):
        read_table("x" * 300 + ".csv")


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


def test_lines_come_from_a_pipe_as_from_a_file(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\n\ntwo\n")
    os.close(writer)
    try:
        assert list(input_lines(f"/dev/fd/{reader}")) == ["one", "", "two"]
    finally:
        os.close(reader)
    assert list(input_lines(str(tmp_path))) == [str(tmp_path)]  # a folder's name may be a text
    assert list(input_lines("no\0path")) == ["no\0path"]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("x.dee", "did you mean 'x.de'?"),
        ("new.txt", "to answer this text, give it to standard input (-)"),
        ("new.csv.gz", "to answer this text"),
        ("./new.de", "to answer this text"),
        ("below/new", "to answer this text"),
        ("/no/such/place.de", "to answer this text"),
    ],
)
def test_a_mistyped_file_is_no_text(
    name: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    (tmp_path / "x.de").write_text("eins\n")
    with pytest.raises(DataError, match=re.escape(f"there is no file {name!r}; {advice}")):
        input_lines(name)
    assert input_lines(f"a text with {name}") == [f"a text with {name}"]
    assert list(input_lines("x.de")) == ["eins"]


@pytest.mark.parametrize(
    "text",
    ["good", "good.", "and/or", "24/7", "/help", "U.S.A", "3.14", "example.com", "e.g.", "http://a.de/b.txt",
     "", " ", ".", "..", "...", "/", "a/", "😀", "x" * 5000 + ".txt", "no\0path.txt"],
)  # fmt: skip
def test_a_word_is_a_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.txt").write_text("")
    assert input_lines(text) == [text]
