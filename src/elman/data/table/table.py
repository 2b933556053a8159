"""Tables from files, standard input, frames and the hub, with errors that name the row and the column."""

import hashlib
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
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
    ending,
    read_bytes,
    read_jsonl,
    read_lines,
    read_parquet,
    shorten,
    unpack,
)
from elman.data.table.frames import from_hub, to_frame
from elman.errors import DataError, UsageError, suggestion

# Endings of tables that cannot be read → what to do.
ADVICE = {
    ".json": "; write one object per line, for example with `jq -c '.[]'`, and call the file .jsonl",
    ".xlsx": "; save the sheet as CSV (UTF-8)",
    ".xls": "; save the sheet as CSV (UTF-8)",
    ".zip": "; unpack it first",
}

# Text for a missing number, in lower case.
MISSING_NUMBERS = ["", "na", "n/a", "nan", "null", "none", "?", "."]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows and named columns that messages can refer to."""

    frame: pl.DataFrame  # in a CSV or TSV file all cells are text, and empty cells are null
    name: str  # in messages: the path, "standard input" or the type of the frame
    fingerprint: str  # SHA-256 of the file's bytes, or of the frame written as Parquet, in hexadecimal
    first_row: int = 1  # number of the first data row: 2 below a header, 1 without one, 0 in a frame or list
    lines: NDArray[np.int64] | None = None  # (rows,) where each row starts in the file; None: at its number
    origins: NDArray[np.int64] | None = None  # (rows,) index of each row before `select` or `complete`

    def __len__(self) -> int:
        return self.frame.height

    def row(self, index: int) -> str:
        """Return a description of row `index` (from 0), such as "reviews.csv, row 7".

        Rows of a file are counted as in a spreadsheet, with the header as row 1. If cells hold line ends or
        lines are blank, the line is added: "reviews.csv, row 7 (line 9)". Rows in memory are counted from 0:
        "DataFrame, row 6 (counted from 0)".
        """
        origin = index if self.origins is None else int(self.origins[index])
        where = f"{self.name}, row {origin + self.first_row}"
        if self.lines is not None:
            return f"{where} (line {self.lines[index]})"
        return where if self.first_row else f"{where} (counted from 0)"

    def require(self, *columns: str) -> None:
        """Raise DataError unless the table has all `columns`; the message lists those it has."""
        names = self.frame.columns
        for column in columns:
            if column not in names:
                listed = ", ".join(shorten(c) for c in names[:12])
                more = f" and {len(names) - 12} more" if len(names) > 12 else ""
                hint = suggestion(column, names) or self._no_header_hint()
                raise DataError(f"{self.name} has no column {column!r}; it has {listed}{more}{hint}")

    def _no_header_hint(self) -> str:
        odd = any(len(c) > 40 or re.fullmatch(r"[-+]?\d+(\.\d+)?", c) for c in self.frame.columns)
        if self.first_row == 2 and odd:
            return "; if its first line is not a header, give header=False (--no-header)."
        return "."

    def select(self, indices: Sequence[int]) -> "Table":
        """Return the rows at `indices`, in that order; messages refer to them by their original numbers."""
        chosen = np.asarray(indices, dtype=np.int64)
        origins = chosen if self.origins is None else self.origins[chosen]
        lines = None if self.lines is None else self.lines[chosen]
        return replace(self, frame=self.frame[chosen], origins=origins, lines=lines)

    def complete(self, *columns: str) -> "Table":
        """Return the rows that have a value in each of `columns`.

        Raises:
            DataError: a column is missing, or no row is left.
        """
        self.require(*columns)
        filled = np.ones(len(self), dtype=bool)
        for column in columns:
            filled &= ~_missing(self.frame[column]).to_numpy()
        if not filled.any():
            listed = " and ".join(map(repr, columns))
            raise DataError(f"{self.name} has no row with a value in {listed}; give at least one.")
        return self if filled.all() else self.select(np.flatnonzero(filled).tolist())

    def texts(self, column: str) -> list[str]:
        """Return the column as text.

        Raises:
            DataError: the column is missing, holds lists or bytes, or has an empty cell (see `complete`).
        """
        self.require(column)
        cells = self.frame[column]
        if cells.dtype.is_nested() or cells.dtype == pl.Binary:
            raise DataError(f"column {column!r} of {self.name} holds {_kind(cells.dtype)}; give text.")
        empty = _missing(cells).arg_true()
        if len(empty):
            more = f" ({len(empty)} such rows)" if len(empty) > 1 else ""
            raise DataError(
                f"{self.row(int(empty[0]))}: column {column!r} is empty{more}; fill it in or remove the row."
            )
        return cells.cast(pl.String).to_list()

    def numbers(self, column: str) -> pl.Series:
        """Return the column as Float64; missing values ("", "NA", "nan", "null", "?", ...) are null.

        Raises:
            DataError: the column is missing, or a cell is infinite or not a number.
        """
        self.require(column)
        cells = self.frame[column]
        if cells.dtype == pl.Null or cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
            numbers = cells.cast(pl.Float64).fill_nan(None)
            bad = numbers.is_infinite().fill_null(False)
        elif cells.dtype in (pl.String, pl.Categorical, pl.Enum):
            stripped = cells.cast(pl.String).str.strip_chars()
            filled = ~(stripped.is_null() | stripped.str.to_lowercase().is_in(MISSING_NUMBERS))
            numbers = stripped.cast(pl.Float64, strict=False).fill_nan(None)
            bad = filled & (numbers.is_null() | numbers.is_infinite())
        else:
            raise DataError(f"column {column!r} of {self.name} holds {_kind(cells.dtype)}; give numbers.")
        if bad.any():
            index = int(bad.arg_true()[0])
            why = _why_not_a_number(str(cells[index]))
            raise DataError(f"{self.row(index)}: column {column!r} holds {shorten(cells[index])}, {why}")
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


def _why_not_a_number(value: str) -> str:
    if re.fullmatch(r"\s*[-+]?\d{1,3}(,\d{3})+(\.\d+)?\s*", value):
        return "which is not a number here; write it without thousands separators."
    if re.fullmatch(r"\s*[-+]?\d*,\d+\s*", value):
        return "which is not a number here; write a decimal point, not a comma."
    if re.fullmatch(r"\s*[-+]?[$€£¥]?\s*[\d.,]+\s*[%$€£¥]?\s*", value) and re.search(r"[%$€£¥]", value):
        return "which is not a number; write it without the unit."
    if re.fullmatch(r"\s*[-+]?inf(inity)?\s*", value, re.IGNORECASE):
        return "which is not finite; give a number or leave the cell empty."
    return "which is not a number; correct it, or leave the cell empty if the value is missing."


def read_table(source: Any, *, header: bool = True) -> Table:
    """Read a table from a file, standard input, the Hugging Face hub or an object in memory.

    Args:
        source: a path (.csv, .tsv, .jsonl, .ndjson, .parquet, or .txt with one text per line for the column
            "text"; all but Parquet also gzipped); "-" for standard input, whose format is inferred from its
            first line; "hf:user/name" or "hf:user/name:split"; a pandas, polars, pyarrow or other table with
            the Arrow interface; a dict of lists; a list of dicts; or a `Table`, which is returned unchanged.
        header: whether the first line of a CSV or TSV names the columns; if not, they are "1", "2", ...

    Raises:
        DataError: the file is missing or malformed; the message says where and what would be right.
        UsageError: `source` cannot hold a table, or a package is not installed.
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str) and source.startswith("hf:"):
        return _from_frame(from_hub(source), source)
    if isinstance(source, str) and source == "-":
        return _from_stdin(header)
    if isinstance(source, (str, Path)):
        if not str(source) or "\0" in str(source) or "://" in str(source):
            what = "is a web address; download it and give" if "://" in str(source) else "is not a path; give"
            raise UsageError(f"{str(source)!r} {what} a file, or '-' for standard input.")
        return _from_file(Path(source), header)
    return _from_frame(to_frame(source, type(source).__name__), type(source).__name__)


def _from_frame(frame: pl.DataFrame, name: str) -> Table:
    # Parquet rather than Arrow IPC, whose bytes depend on the invisible values under nulls.
    buffer = io.BytesIO()
    try:
        frame.rechunk().write_parquet(buffer, compression="uncompressed", statistics=False)
    except pl.exceptions.PolarsError as problem:
        raise DataError(f"{name} holds a column of a type that Parquet lacks: {problem}.") from None
    return Table(frame, name, hashlib.sha256(buffer.getbuffer()).hexdigest(), first_row=0)


def _from_file(path: Path, header: bool) -> Table:
    raw, kind = read_bytes(path), ending(path)
    if kind not in ENDINGS:
        has = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise DataError(
            f"{path} {has}, but a table ends in one of {', '.join(ENDINGS)} (or .gz after it)"
            f"{ADVICE.get(kind, '')}."
        )
    data = unpack(raw, path)
    parsed = _parse(data if kind == ".parquet" else clean(data, str(path)), str(path), kind, header)
    return Table(parsed.frame, str(path), hashlib.sha256(raw).hexdigest(), parsed.first_row, parsed.lines)


def arriving_texts(header: bool) -> Iterator[str] | Table:
    """Return the lines of standard input as they arrive, blank ones too, or the table that it turns out to
    hold. Raises DataError as `read_table` does, and for a line that is not UTF-8."""
    start = b""
    for line in sys.stdin.buffer:
        start += line
        if line.strip():
            break
    if not start.strip() or start.startswith(b"PAR1"):
        return _from_stdin(header, start)
    # a first line that may be a header is taken for one if lines follow
    if _sniff(clean(start, "standard input") + b"\nnext", header) != ".txt":
        return _from_stdin(header, start)
    return _decoded(chain(start.removeprefix(b"\xef\xbb\xbf").splitlines(True), sys.stdin.buffer))


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            advice = "save it as UTF-8, for example with `iconv -f WINDOWS-1252 -t UTF-8`."
            raise DataError(f"standard input, line {number} is not UTF-8; {advice}") from None


def _from_stdin(header: bool, start: bytes = b"") -> Table:
    raw, name = start + sys.stdin.buffer.read(), "standard input"
    if raw.startswith(b"PAR1"):
        parsed = read_parquet(raw, name)
    else:
        data = clean(raw, name)
        parsed = _parse(data, name, _sniff(data, header), header)
    return Table(parsed.frame, name, hashlib.sha256(raw).hexdigest(), parsed.first_row, parsed.lines)


def _parse(data: bytes, name: str, kind: str, header: bool) -> Parsed:
    match kind:
        case ".csv":
            return read_delimited(data, name, guess_separator(data, header), header)
        case ".tsv":
            return read_delimited(data, name, "\t", header)
        case ".parquet":
            return read_parquet(data, name)
        case ".txt":
            return read_lines(data, name)
        case _:
            return read_jsonl(data, name)


def _sniff(data: bytes, header: bool) -> str:
    """Return the ending for a file like standard input, inferred from its first line."""
    first = data.decode().lstrip().split("\n", 1)[0]
    if first.startswith("{"):
        return ".jsonl"
    if "\t" in first:
        return ".tsv"
    if not header:
        return ".csv" if "," in first and ", " not in first else ".txt"
    # A line of short names is a header, and "Good, but too long" is a text.
    names = first.split(guess_separator(data, header))
    short = all(re.fullmatch(r'"?\w[\w .%()/-]{0,39}"?', n) for n in names)
    return ".csv" if short and len(names) > 1 and b"\n" in data.strip() else ".txt"
