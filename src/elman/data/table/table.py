"""Tables from files, standard input, frames and the hub, with errors that name the row and the column."""

import hashlib
import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.data.table.csv import guess_separator, read_delimited
from elman.data.table.formats import (
    ENDINGS,
    Parsed,
    clean,
    nearest,
    read_bytes,
    read_jsonl,
    read_lines,
    read_parquet,
    shorten,
    unzip,
)
from elman.data.table.frames import from_hub, to_frame
from elman.errors import DataError, UsageError

# What to do with files that hold tables in a way that is not read here.
ADVICE = {
    ".json": "; write one object per line, for example with `jq -c '.[]'`, and call the file .jsonl",
    ".xlsx": "; save the sheet as CSV (UTF-8)",
    ".xls": "; save the sheet as CSV (UTF-8)",
    ".zip": "; unpack it first",
}

# What people and programs write where a number is missing, in lower case.
NO_NUMBER = ["", "na", "n/a", "nan", "null", "none", "?", "."]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows and named columns, and the words to speak of them.

    Attributes:
        frame: the cells; those of a CSV or TSV file are all text, and an empty one is null.
        name: what messages call the table: its path, "standard input" or the type of the frame.
        fingerprint: SHA-256 of the file's bytes, or of the frame written as Parquet, in hexadecimal.
        first_row: the number that a person gives the first data row: 2 below a header line, 1 in a file
            without one, 0 in a frame or list, as Python counts.
        lines: (rows,) the line of the file on which each row starts, where rows and lines are not one to one.
        kept: (rows,) where each row stood before `select` or `complete` left some out.
    """

    frame: pl.DataFrame
    name: str
    fingerprint: str
    first_row: int = 1
    lines: NDArray[np.int64] | None = None
    kept: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return self.frame.height

    def row(self, index: int) -> str:
        """Where row `index` (from 0) stands: "reviews.csv, row 7".

        The rows of a file are counted as a spreadsheet does, the header being row 1. That is the line, too,
        unless cells hold line ends or lines are blank: then it is "reviews.csv, row 7 (line 9)". Rows in
        memory are counted from 0: "DataFrame, row 6 (counted from 0)".
        """
        origin = index if self.kept is None else int(self.kept[index])
        place = f"{self.name}, row {origin + self.first_row}"
        if self.lines is not None:
            return f"{place} (line {self.lines[index]})"
        return place if self.first_row else f"{place} (counted from 0)"

    def require(self, *columns: str) -> None:
        """Raises DataError unless the table has all `columns`; the message lists those it has."""
        there = self.frame.columns
        for column in columns:
            if column not in there:
                listed = ", ".join(shorten(c) for c in there[:12])
                more = f" and {len(there) - 12} more" if len(there) > 12 else ""
                hint = nearest(column, there) or self._no_header_hint()
                raise DataError(f"{self.name} has no column {column!r}; it has {listed}{more}{hint}")

    def _no_header_hint(self) -> str:
        odd = any(len(c) > 40 or re.fullmatch(r"[-+]?\d+(\.\d+)?", c) for c in self.frame.columns)
        if self.first_row == 2 and odd:
            return "; if its first line is no header, say so with header=False (--no-header)."
        return "."

    def select(self, indices: Sequence[int]) -> "Table":
        """The rows at `indices`, in that order; they keep their names in messages."""
        chosen = np.asarray(indices, dtype=np.int64)
        kept = chosen if self.kept is None else self.kept[chosen]
        lines = None if self.lines is None else self.lines[chosen]
        return replace(self, frame=self.frame[chosen], kept=kept, lines=lines)

    def complete(self, *columns: str) -> "Table":
        """The rows that have a value in each of `columns`.

        Raises:
            DataError: a column is missing, or no row is left.
        """
        self.require(*columns)
        good = np.ones(len(self), dtype=bool)
        for column in columns:
            good &= ~_missing(self.frame[column]).to_numpy()
        if not good.any():
            raise DataError(f"{self.name} has no row with a value in {' and '.join(map(repr, columns))}.")
        return self if good.all() else self.select(np.flatnonzero(good).tolist())

    def texts(self, column: str) -> list[str]:
        """The column as text.

        Raises:
            DataError: it is missing, holds lists or bytes, or has an empty cell (see `complete`).
        """
        self.require(column)
        cells = self.frame[column]
        if cells.dtype.is_nested() or cells.dtype == pl.Binary:
            raise DataError(f"column {column!r} of {self.name} holds {_kind(cells.dtype)}, not text.")
        empty = _missing(cells).arg_true()
        if len(empty):
            more = f" ({len(empty)} such rows)" if len(empty) > 1 else ""
            raise DataError(
                f"{self.row(int(empty[0]))}: column {column!r} is empty{more}; fill it in or remove the row."
            )
        return cells.cast(pl.String).to_list()

    def numbers(self, column: str) -> pl.Series:
        """The column as Float64; missing values ("", "NA", "nan", "null", "?", ...) are null.

        Raises:
            DataError: it is missing, or a cell is no number or infinite; names the row and the value.
        """
        self.require(column)
        cells = self.frame[column]
        if cells.dtype == pl.Null or cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
            numbers, given = cells.cast(pl.Float64).fill_nan(None), cells.is_not_null()
            bad = numbers.is_infinite().fill_null(False)
        elif cells.dtype in (pl.String, pl.Categorical, pl.Enum):
            stripped = cells.cast(pl.String).str.strip_chars()
            given = ~(stripped.is_null() | stripped.str.to_lowercase().is_in(NO_NUMBER))
            numbers = stripped.cast(pl.Float64, strict=False).fill_nan(None)
            bad = given & (numbers.is_null() | numbers.is_infinite())
        else:
            raise DataError(f"column {column!r} of {self.name} holds {_kind(cells.dtype)}, not numbers.")
        if bad.any():
            index = int(bad.arg_true()[0])
            value = cells[index]
            raise DataError(
                f"{self.row(index)}: column {column!r} holds {shorten(value)}, {_why_no_number(str(value))}"
            )
        return numbers


def _missing(cells: pl.Series) -> pl.Series:
    if cells.dtype.is_float():
        return cells.is_null() | cells.is_nan().fill_null(False)
    if cells.dtype in (pl.String, pl.Categorical, pl.Enum):
        return (cells.cast(pl.String).str.strip_chars() == "").fill_null(True)
    return cells.is_null()


def _kind(dtype: pl.DataType) -> str:
    if dtype.is_temporal():
        return "dates or times"
    if dtype.is_nested():
        return "objects" if dtype == pl.Struct else "lists"
    return "bytes" if dtype == pl.Binary else str(dtype)


def _why_no_number(value: str) -> str:
    if re.fullmatch(r"\s*[-+]?\d{1,3}(,\d{3})+(\.\d+)?\s*", value):
        return "which is not a number here; write it without the thousands commas."
    if re.fullmatch(r"\s*[-+]?\d*,\d+\s*", value):
        return "which is not a number here; write a point, not a comma, before the decimals."
    if re.fullmatch(r"\s*[-+]?[$€£¥]?\s*[\d.,]+\s*[%$€£¥]?\s*", value) and re.search(r"[%$€£¥]", value):
        return "which is not a number; write it without the sign."
    if re.fullmatch(r"\s*[-+]?inf(inity)?\s*", value, re.IGNORECASE):
        return "which is not finite; give a number or leave the cell empty."
    return "which is not a number; correct it, or leave the cell empty if it is missing."


def read_table(source: Any, *, header: bool = True) -> Table:
    """A table from whatever holds one.

    Args:
        source: a path (.csv, .tsv, .jsonl, .ndjson, .parquet, or .txt with one text per line for the column
            "text"; the text kinds also gzipped); "-" for standard input, whose kind is told from its first
            line; "hf:user/name" or "hf:user/name:split"; a pandas, polars, pyarrow or other Arrow-speaking
            table; a dict of lists; a list of dicts; or a `Table`, which comes back as it is.
        header: whether the first line of a CSV or TSV names the columns; if not, they are "1", "2", ...

    Raises:
        DataError: the file is missing, or something in it is wrong; says where, and what would be right.
        UsageError: `source` is nothing that holds a table, or a package is not installed.
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str) and source.startswith("hf:"):
        return _of_frame(from_hub(source), source)
    if isinstance(source, str) and source == "-":
        return _of_stdin(header)
    if isinstance(source, (str, Path)):
        if not str(source) or "\0" in str(source) or "://" in str(source):
            what = "is a web address; download it and give" if "://" in str(source) else "is no path; give"
            raise UsageError(f"{str(source)!r} {what} a file, or '-' for standard input.")
        return _of_file(Path(source), header)
    return _of_frame(to_frame(source, type(source).__name__), type(source).__name__)


def _of_frame(frame: pl.DataFrame, name: str) -> Table:
    # Parquet and not Arrow IPC, whose bytes also show what stands unseen under the nulls.
    buffer = io.BytesIO()
    try:
        frame.rechunk().write_parquet(buffer, compression="uncompressed", statistics=False)
    except pl.exceptions.PolarsError as problem:
        raise DataError(f"{name} holds a column of a kind that cannot be stored: {problem}.") from None
    return Table(frame, name, hashlib.sha256(buffer.getbuffer()).hexdigest(), first_row=0)


def _of_file(path: Path, header: bool) -> Table:
    name = str(path)
    packed = path.suffix.lower() == ".gz"
    kind = Path(path.stem if packed else path.name).suffix.lower()
    raw = read_bytes(path)
    if kind not in ENDINGS:
        ending = f"ends in {path.suffix}" if path.suffix else "has no ending"
        known = ", ".join(ENDINGS)
        raise DataError(
            f"{name} {ending}, but a table ends in one of {known} (or .gz after it){ADVICE.get(kind, '')}."
        )
    data = unzip(raw, name) if packed else raw
    return _table(_reader(kind, header), data if kind == ".parquet" else clean(data, name), raw, name)


def _of_stdin(header: bool) -> Table:
    raw = sys.stdin.buffer.read()
    name = "standard input"
    if raw.startswith(b"PAR1"):
        return _table(read_parquet, raw, raw, name)
    data = clean(raw, name)
    return _table(_reader(_sniff(data, header), header), data, raw, name)


def _table(reader: Callable[[bytes, str], Parsed], data: bytes, raw: bytes, name: str) -> Table:
    parsed = reader(data, name)
    return Table(parsed.frame, name, hashlib.sha256(raw).hexdigest(), parsed.first_row, parsed.lines)


def _reader(kind: str, header: bool) -> Callable[[bytes, str], Parsed]:
    readers: dict[str, Callable[[bytes, str], Parsed]] = {
        ".csv": lambda data, name: read_delimited(data, name, guess_separator(data, header), header),
        ".tsv": partial(read_delimited, separator="\t", header=header),
        ".jsonl": read_jsonl,
        ".ndjson": read_jsonl,
        ".parquet": read_parquet,
        ".txt": read_lines,
    }
    return readers[kind]


def _sniff(data: bytes, header: bool) -> str:
    """The ending that standard input would have if it were a file, told from its first line."""
    first = data.decode().lstrip().split("\n", 1)[0]
    if first.startswith("{"):
        return ".jsonl"
    if "\t" in first:
        return ".tsv"
    if not header:
        return ".csv" if "," in first and ", " not in first else ".txt"
    # A line of short names is a header; "Good, but too long" is a text.
    names = first.split(guess_separator(data, header))
    is_header = (
        len(names) > 1
        and b"\n" in data.strip()
        and all(re.fullmatch(r'"?\w[\w .%()/-]{0,39}"?', n) for n in names)
    )
    return ".csv" if is_header else ".txt"
