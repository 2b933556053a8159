"""CSV and TSV: what was written comes back, whoever wrote it, and bad rows are named."""

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from elman.data.table.table import read_table
from elman.errors import DataError
from tabular import FOLDER, rows, write


def blank_is_none(records: list[list[str]]) -> list[tuple[str | None, ...]]:
    return [tuple(cell or None for cell in record) for record in records]


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


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    for name, content in (("a.csv", "a,1\nb,2\n"), ("q.csv", '"a",1\nb,2\n'), ("a.tsv", "a\t1\nb\t2\n")):
        table = read_table(write(tmp_path, name, content), header=False)
        assert table.frame.columns == ["1", "2"]
        assert rows(table) == [("a", "1"), ("b", "2")]
        assert table.row(0).endswith(", row 1")


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_the_first_other_mark_of_a_header_divides(tmp_path: Path, mark: str) -> None:
    table = read_table(write(tmp_path, "a.csv", "text,label\nbad,0\n".replace(",", mark)))
    assert rows(table) == [("bad", "0")]


def test_names_lose_blanks_and_marks_that_nobody_sees(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", "\ufeff\ufefftext ,\u00a0cafe\u0301\nbad,0\n"))
    assert table.frame.columns == ["text", "café"]


def test_semicolons_divide_where_no_comma_does(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", "text;label\nbad;0\n3,14;1\n"))
    assert rows(table) == [("bad", "0"), ("3,14", "1")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\n", r"a\.csv has a header but no rows"),
        ("a.csv", '"text","label"\n', r"a\.csv has a header but no rows"),
        ("a.csv", 'text,label\n"a\nb",1\nb\n', r"a\.csv, row 3 \(line 4\) has 1 field, but row 1 has 2"),
        ("a.csv", 'text,label\n"a",1\nb\rc,1\n', r"row 3 has a carriage return without line feed"),
        ("a.csv", "text,label\na,1\nb\rc,1\n", r"row 3 has a carriage return without line feed"),
        ("a.csv", "text,label\na,1\nb\n", r"a\.csv, row 3 has 1 field, but row 1 has 2; add or remove"),
        ("a.csv", "text,label\na,1,2\n", r"a\.csv, row 2 has 3 fields, but row 1 has 2"),
        ("a.csv", "text,label\n\na,1\n\nb\n", r"a\.csv, row 3 \(line 5\) has 1 field, but row 1 has 2"),
        ("a.tsv", "a\tb\n1\t2\t3\n", r"a\.tsv, row 2 has 3 fields, but row 1 has 2"),
        (
            "a.csv",
            'text,label\n"a,1\nb",2,3\n',
            r"row 2 has 3 fields.*; it ends on line 3, so check its double",
        ),
        (
            "a.csv",
            'text,label\na,1\n"b,2\nc,3\n',
            r"row 3: a double quote opens a field and is never closed",
        ),
        (
            "a.csv",
            'text,label\n"a\nb" c,2\n',
            r"row 2: text follows a closing double quote on line 3; double",
        ),
        ("a.csv", "a,b,a\n1,2,3\n", r"a\.csv, row 1: columns 1 and 3 are both named 'a'"),
    ],
)
def test_a_bad_row_is_named_with_its_place_and_the_remedy(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(write(tmp_path, name, content))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
