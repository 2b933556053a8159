"""Rows that can't be used: refused one by one, or skipped and reported once."""

import json
import logging
import re
from pathlib import Path

import pytest

from elman.data.table.bad_rows import STOP, BadRows
from elman.data.table.table import read_table
from elman.data.text.conversations import read_conversations
from elman.data.text.pairs import read_pairs
from elman.errors import DataError
from tabular import write


def test_the_first_bad_row_stops_unless_rows_are_skipped() -> None:
    with pytest.raises(DataError, match="line 3"):
        STOP.add(3, DataError("line 3 is bad."))
    assert len(STOP) == 0


def test_skipped_rows_are_counted_once_and_the_first_is_named(caplog: pytest.LogCaptureFixture) -> None:
    bad = BadRows(skip=True)
    for line in (7, 3, 7):
        bad.add(line, DataError(f"line {line} is bad."))
    bad.report("a.csv", 3723)
    bad.report("a.csv", 3723)
    assert caplog.messages == ["skipped 2 of 3,725 rows of a.csv; the first: line 3 is bad."]
    assert caplog.records[0].levelno == logging.WARNING


def test_data_that_are_mostly_bad_are_refused() -> None:
    bad = BadRows(skip=True)
    for line in (1, 2, 3):
        bad.add(line, DataError(f"line {line} is bad."))
    with pytest.raises(
        DataError, match=r"^3 of 5 rows of a\.csv can't be used, too many .*: line 1 is bad\.$"
    ):
        bad.report("a.csv", 2)


GOOD = [f"good text {i},{i % 2}" for i in range(8)]
TABLES = {
    "a field too many": ("a.csv", [*GOOD[:3], "a,b,c", *GOOD[3:]], "row 5 has 3 fields"),
    "a stray quote": ("a.csv", [*GOOD[:3], '"a stray quote,1', *GOOD[3:]], "row 5.*double quote"),
    "a quote that swallows": ("a.csv", ['"x ""y""",1', *GOOD[:3], '"a,1', *GOOD[3:]], "row 6.*double quote"),
    "an empty label": ("a.csv", [*GOOD[:3], "a text,", *GOOD[3:]], "row 5: column 'label' is empty"),
    "an empty text": ("a.csv", [*GOOD[:3], " ,1", *GOOD[3:]], "row 5: column 'text' is empty"),
    "a byte that is not UTF-8": ("a.csv", [*GOOD[:3], "caf\udce9,1", *GOOD[3:]], "line 5: byte 4 is 0xE9"),
    "a NUL": ("a.csv", [*GOOD[:3], "a\0b,1", *GOOD[3:]], "line 5: byte 2 is a NUL"),
    "a lone carriage return": ("a.csv", [*GOOD[:3], "a\rb,1", *GOOD[3:]], "row 5 has a carriage return"),
    "a field too few": ("a.tsv", [*GOOD[:3], "a", *GOOD[3:]], "row 5 has 1 field,"),
    "no JSON": ("a.jsonl", [*GOOD[:3], "{", *GOOD[3:]], "line 4 is not valid JSON"),
}


@pytest.mark.parametrize(("name", "lines", "first"), TABLES.values(), ids=TABLES)
def test_a_table_without_its_one_bad_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, lines: list[str], first: str
) -> None:
    if name == "a.jsonl":
        cells = [line.split(",") for line in lines]
        rows = [json.dumps({"text": c[0], "label": c[1]}) if len(c) > 1 else c[0] for c in cells]
        content = "\n".join(rows)
    else:
        content = "\n".join(["text,label", *lines])
    content = content.replace(",", "\t") if name == "a.tsv" else content
    path = write(tmp_path, name, content.encode(errors="surrogateescape"))
    with pytest.raises(DataError):
        read_table(path).usable("text", "label").texts("label")
        read_table(path).texts("text")
    table = read_table(path, skip_bad=True).usable("text", "label")
    good = [text for text in table.texts("text") if text.startswith("good")]
    assert good == [line.split(",")[0] for line in GOOD]
    table.report()
    assert len(caplog.messages) == 1
    assert re.search(first, caplog.messages[0])


def test_rows_after_a_skipped_one_keep_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,label\na,1\nb\n\nc,x\n" + "d,2\n" * 4)
    table = read_table(path, skip_bad=True)
    assert table.texts("text") == ["a", "c", "d", "d", "d", "d"]
    assert table.row(1).endswith("row 4 (line 5)")
    assert table.numbers("label").to_list() == [1, None, 2, 2, 2, 2]
    assert len(table.bad) == 2


def test_many_stray_quotes_do_not_read_the_file_again_and_again(tmp_path: Path) -> None:
    lines = ['"a' + '""b' * (i % 7) + ",1" if i % 3 == 0 else "a,1" for i in range(20_000)]
    path = write(tmp_path, "a.csv", "text,label\n" + "\n".join(lines))
    with pytest.raises(DataError, match="double quote"):
        read_table(path)
    read_table(path, skip_bad=True)


def test_pairs_and_conversations_without_their_bad_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = "Go.\tGeh.\nno tab\nStop.\tHalt.\nOnly\t\nYes.\tJa.\n"
    path = write(tmp_path, "a.tsv", lines)
    with pytest.raises(DataError, match="line 2 has no tab"):
        read_pairs(path)
    assert read_pairs(path, skip_bad=True).target == ["Geh.", "Halt.", "Ja."]
    assert len(read_conversations(path, skip_bad=True)) == 3
    assert [message.split(";")[0].split(" rows")[0] for message in caplog.messages] == ["skipped 2 of 5"] * 2
    source = write(tmp_path, "a.de", "ein\n\nzwei\ndrei\n")
    target = write(tmp_path, "a.en", "one\nx\ntwo\nthree\n")
    assert read_pairs((source, target), skip_bad=True).target == ["one", "two", "three"]
    talks = [["Hi!", "Hello."], ["Hi!", 3], ["Who?", "Me."]]
    assert len(read_conversations(talks, skip_bad=True)) == 2


def test_the_error_names_the_setting_that_skips_where_there_is_one(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "hello\thi\nno tab\n")
    for read in (read_conversations, lambda path, skip_bad: read_pairs(path, None, None, skip_bad)):
        with pytest.raises(DataError, match=r"line 2 has no tab.*--skip-bad \(in Python, skip_bad=True\)"):
            read(path, False)
    with pytest.raises(DataError, match="line 2 has no tab") as caught:
        read_conversations(path)
    assert "skip" not in str(caught.value)
