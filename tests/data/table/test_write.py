"""Tables are written as their endings say, and read back the same."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from elman.data.table.table import read_table
from elman.data.table.write import check_table_path, in_text, write_table
from elman.errors import UsageError

FRAME = pl.DataFrame({"text": ['a "quoted", one', "ü\nb"], "value": [0.1, None], "count": [1, 2]})


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "CSV"])
def test_there_and_back(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    write_table(FRAME, path)
    again = read_table(str(path)).frame
    assert again["text"].to_list() == FRAME["text"].to_list()
    assert again.with_columns(pl.col("value").cast(pl.Float64))["value"].to_list() == [0.1, None]


def test_lists_and_stamps_in_a_cell(tmp_path: Path) -> None:
    frame = pl.DataFrame({"on": [date(2024, 1, 31)], "labels": [["a", "b"]], "ranks": [[1, 3]]})
    write_table(frame, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "on,labels,ranks\n2024-01-31,a;b,1;3\n"
    write_table(frame, tmp_path / "t.jsonl")
    assert (tmp_path / "t.jsonl").read_text() == '{"on":"2024-01-31","labels":["a","b"],"ranks":[1,3]}\n'


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2024, 1, 31), "2024-01-31"),
        (datetime(2024, 1, 31, 16), "2024-01-31 16:00"),
        (datetime(2024, 1, 31, 16, 0, 5), "2024-01-31 16:00:05"),
        (datetime(2024, 1, 31, 16, 0, 5, 250_000), "2024-01-31 16:00:05.250"),
        (datetime(2024, 1, 31, tzinfo=UTC), "2024-01-31 00:00+00:00"),
        (None, None),
    ],
)
def test_stamps_are_short(moment: datetime | None, text: str | None) -> None:
    cells = pl.Series("at", [moment], dtype=pl.Datetime("us", "UTC" if moment and moment.tzinfo else None))
    assert in_text(pl.DataFrame([cells]))["at"].to_list() == [text]


@pytest.mark.parametrize("name", ["t.xlsx", "t"])
def test_other_endings(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"written as \.csv, \.tsv, \.jsonl or \.parquet, not"):
        write_table(FRAME, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written"):
        check_table_path(tmp_path / "no" / "t.csv")
