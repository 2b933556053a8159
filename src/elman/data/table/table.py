"""Tables from files, standard input, frames and the hub, with errors that name the row and the column."""

import hashlib
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from elman.data.table.bad_rows import STOP, BadRows
from elman.data.table.csv import guess_separator, read_delimited
from elman.data.table.encoding import clean
from elman.data.table.formats import (
    ENDINGS,
    STDIN,
    Parsed,
    ending,
    lines_of,
    open_file,
    read_file,
    read_lines,
    read_pipe,
    reading,
    shorten,
    unpack,
)
from elman.data.table.frames import column_name, from_hub, to_frame
from elman.data.table.jsonl import read_jsonl
from elman.data.table.parquet import read_parquet
from elman.errors import DataError, UsageError, suggestion
from elman.lazy import Lazy

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

# Endings of tables that cannot be read → what to do.
ADVICE = {
    ".json": "; write one object per line, for example with `jq -c '.[]'`, and call the file .jsonl",
    ".xlsx": "; save the sheet as CSV (UTF-8)",
    ".xls": "; save the sheet as CSV (UTF-8)",
    ".zip": "; unpack it first",
}

# Text for a missing number, in lower case.
MISSING_NUMBERS = ["", "na", "n/a", "nan", "null", "none", "?", "."]
NO_NUMBER: Final = "which is not a number; correct it, or leave the cell empty if the value is missing."
MAX_NUMBER_LENGTH: Final = 100  # of a cell about which more can be said


@dataclass(frozen=True, eq=False)
class Table:
    """Rows and named columns that messages can refer to."""

    frame: "pl.DataFrame"  # in a CSV or TSV file all cells are text, and empty cells are null
    name: str  # in messages: the path, "standard input" or the type of the frame
    fingerprint: str  # SHA-256 of the file's bytes, or of the frame written as Parquet, in hexadecimal
    first_row: int = 1  # number of the first data row: 2 below a header, 1 without one, 0 in a frame or list
    lines: NDArray[np.int64] | None = None  # (rows,) where each row starts in the file; None: at its number
    origins: NDArray[np.int64] | None = None  # (rows,) index of each row among all that were read
    bad: BadRows = STOP  # what to do about rows that can't be used

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

    def line(self, index: int) -> int:
        """Return the line of a file on which row `index` (from 0) starts, or a row's number in memory."""
        if self.lines is not None:
            return int(self.lines[index])
        return (index if self.origins is None else int(self.origins[index])) + self.first_row

    def require(self, *columns: Any) -> None:
        """Raise DataError unless the table has all `columns`; the message lists those it has."""
        names = self.frame.columns
        for column in map(column_name, columns):
            if column not in names:
                listed = ", ".join(shorten(c) for c in names[:12])
                more = f" and {len(names) - 12} more" if len(names) > 12 else ""
                hint = suggestion(column, names) or self._no_header_hint()
                raise DataError(f"{self.name} has no column {shorten(column)}; it has {listed}{more}{hint}")

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

    def complete(self, *columns: Any) -> "Table":
        """Return the rows that have a value in each of `columns`.

        Raises:
            DataError: a column is missing, or no row is left.
        """
        self.require(*columns)
        filled = np.ones(len(self), dtype=bool)
        for column in map(column_name, columns):
            filled &= ~_missing(self.frame[column]).to_numpy()
        if not filled.any():
            listed = " and ".join(shorten(column_name(column)) for column in columns)
            raise DataError(f"{self.name} has no row with a value in {listed}; give at least one.")
        return self if filled.all() else self.select(np.flatnonzero(filled).tolist())

    def usable(self, *columns: Any) -> "Table":
        """Return the rows with a value in each of `columns`, if bad rows are skipped, else the table itself.

        Raises:
            DataError: a column is missing, or no row is left.
        """
        self.require(*columns)
        filled = np.ones(len(self), dtype=bool)
        for column in map(column_name, columns) if self.bad.skip else ():
            empty = _missing(self.frame[column]).to_numpy()
            for index in np.flatnonzero(empty & filled).tolist():
                self.bad.add(self.line(index), self._is_empty(index, column))
            filled &= ~empty
        if not filled.any():
            self.bad.report(self.name, 0)  # raises DataError for rows that were skipped
            raise DataError(f"{self.name} has no row that can be used; give at least one.")
        return self if filled.all() else self.select(np.flatnonzero(filled).tolist())

    def report(self) -> None:
        """Warn once of bad rows that were skipped. Raises DataError if they are more than half of all."""
        self.bad.report(self.name, len(self))

    def _is_empty(self, index: int, column: str, more: str = "") -> DataError:
        where = self.row(index)
        return DataError(f"{where}: column {shorten(column)} is empty{more}; fill it in or remove the row.")

    def texts(self, column: Any, *, blank: bool = False) -> list[str]:
        """Return the column as text; with `blank`, also blank cells, and "" for an empty cell of a file.

        Raises:
            DataError: the column is missing, holds lists or bytes, or has an empty cell (see `complete`).
        """
        self.require(column)
        cells: pl.Series = self.frame[column_name(column)]
        if not _has_text(cells.dtype):
            raise DataError(
                f"column {shorten(cells.name)} of {self.name} holds {_kind(cells.dtype)}; give text."
            )
        missing = cells.is_null() if blank and is_text(cells.dtype) else _missing(cells)
        if blank and self.first_row:
            return cells.cast(pl.String).fill_null("").to_list()
        empty = missing.arg_true()
        if len(empty):
            more = f" ({len(empty)} such rows)" if len(empty) > 1 else ""
            raise self._is_empty(int(empty[0]), cells.name, more)
        return cells.cast(pl.String).to_list()

    def numbers(self, column: Any) -> "pl.Series":
        """Return the column as Float64; missing values ("", "NA", "nan", "null", "?", ...) are null.

        So are cells that are no numbers, if bad rows are skipped.

        Raises:
            DataError: the column is missing, or a cell is infinite or not a number.
        """
        self.require(column)
        cells: pl.Series = self.frame[column_name(column)]
        if cells.dtype == pl.Null or cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
            numbers = cells.cast(pl.Float64).fill_nan(None)
            bad = numbers.is_infinite().fill_null(False)
        elif is_text(cells.dtype):
            stripped = cells.cast(pl.String).str.strip_chars()
            filled = ~(stripped.is_null() | stripped.str.to_lowercase().is_in(MISSING_NUMBERS))
            numbers = stripped.cast(pl.Float64, strict=False).fill_nan(None)
            bad = filled & (numbers.is_null() | numbers.is_infinite())
        else:
            kind = _kind(cells.dtype)
            raise DataError(f"column {shorten(cells.name)} of {self.name} holds {kind}; give numbers.")
        for index in bad.arg_true().to_list():
            why = _why_not_a_number(str(cells[index]))
            what = f"column {shorten(cells.name)} holds {shorten(cells[index])}, {why}"
            self.bad.add(self.line(index), DataError(f"{self.row(index)}: {what}"))
        return numbers.set(bad, None)


def is_text(dtype: "pl.DataType") -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def _missing(cells: "pl.Series") -> "pl.Series":
    if cells.dtype.is_float():
        return cells.is_null() | cells.is_nan().fill_null(False)
    if is_text(cells.dtype):
        return (cells.cast(pl.String).str.strip_chars() == "").fill_null(True)
    return cells.is_null()


def _has_text(dtype: "pl.DataType") -> bool:
    return (
        is_text(dtype) or dtype.is_numeric() or dtype in (pl.Boolean, pl.Null, pl.Date, pl.Datetime, pl.Time)
    )


def _kind(dtype: "pl.DataType") -> str:
    if dtype == pl.Duration:
        return "spans of time"
    if dtype.is_temporal():
        return "dates or times"
    if dtype.is_nested():
        return "objects" if dtype == pl.Struct else "lists"
    return "bytes" if dtype == pl.Binary else "values of type " + shorten(str(dtype))


def _why_not_a_number(value: str) -> str:
    value = value.strip()
    if len(value) > MAX_NUMBER_LENGTH:
        return NO_NUMBER
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", value):
        return "which is not a number here; write it without thousands separators."
    if re.fullmatch(r"[-+]?\d*,\d+", value):
        return "which is not a number here; write a decimal point, not a comma."
    if re.fullmatch(r"[-+]?[$€£¥]? ?[\d.,]+ ?[%$€£¥]?", value) and re.search(r"[%$€£¥]", value):
        return "which is not a number; write it without the unit."
    if re.fullmatch(r"[-+]?inf(inity)?", value, re.IGNORECASE):
        return "which is not finite; give a number or leave the cell empty."
    return NO_NUMBER


def read_table(source: Any, *, header: bool = True, skip_bad: bool = False) -> Table:
    """Read a table from a file, standard input, the Hugging Face hub or an object in memory.

    Args:
        source: a path (.csv, .tsv, .jsonl, .ndjson, .parquet, or .txt with one text per line for the column
            "text"; all but Parquet also gzipped); "-" for standard input, whose format is inferred from its
            first line; "hf:user/name" or "hf:user/name:split"; a pandas, polars, pyarrow or other table with
            the Arrow interface; a dict of lists; a list of dicts; or a `Table`, which is returned unchanged.
            Columns whose names are no text, such as 0, are named by their text, "0".
        header: whether the first line of a CSV or TSV names the columns; if not, they are "1", "2", ...
        skip_bad: whether to skip rows that can't be read, and cells that can't be used later, rather than to
            raise DataError for the first; `Table.report` then warns of them.

    Raises:
        DataError: the file is missing, malformed or too large (see `elman.data.table.limits`); the message
            says where and what would be right.
        UsageError: `source` cannot hold a table, or a package is not installed.
    """
    if isinstance(source, Table):
        return source
    bad = BadRows(skip_bad)
    if isinstance(source, (str, Path)):
        what = str(source)
        with reading(shorten(what)):
            if what.startswith("hf:"):
                return _from_frame(from_hub(what), what, bad)
            if what == "-":
                return _from_stdin(header, bad)
            check_path(source)
            return _from_file(Path(source), header, bad)
    name = getattr(type(source), "called", type(source).__name__)
    return _from_frame(to_frame(source, name), name, bad)


def table_from_bytes(data: bytes, kind: str, name: str, *, header: bool = True) -> Table:
    """Return the table in the content of a file.

    Args:
        kind: the file's ending, one of `ENDINGS`.
        name: of the table, in messages.
        header: as in `read_table`.

    Raises DataError as `read_table` does.
    """
    text = data if kind == ".parquet" else clean(data, name)
    return _table(_parse(text, name, kind, header, STOP), name, data, STOP)


def check_path(source: str | Path) -> None:
    """Raise UsageError for a text that can't be a path."""
    if not str(source) or "\0" in str(source) or "://" in str(source):
        what = "is a web address; download it and give" if "://" in str(source) else "is not a path; give"
        raise UsageError(f"{shorten(str(source), 200)} {what} a file, or '-' for standard input.")


def _from_frame(frame: "pl.DataFrame", name: str, bad: BadRows) -> Table:
    # Parquet rather than Arrow IPC, whose bytes depend on the invisible values under nulls.
    buffer = io.BytesIO()
    try:
        frame.rechunk().write_parquet(buffer, compression="uncompressed", statistics=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as problem:
        raise DataError(f"{name} holds a column of a type that Parquet lacks: {problem}.") from None
    return Table(frame, name, hashlib.sha256(buffer.getbuffer()).hexdigest(), first_row=0, bad=bad)


def _from_file(path: Path, header: bool, bad: BadRows) -> Table:
    kind, name = ending(path), str(path)
    with open_file(path) as file:
        if kind not in ENDINGS:
            has = f"ends in {path.suffix}" if path.suffix else "has no ending"
            raise DataError(
                f"{path} {has}, but a table ends in one of {', '.join(ENDINGS)} (or .gz after it)"
                f"{ADVICE.get(kind, '')}."
            )
        raw = read_file(file, name)
    data = unpack(raw, path)
    parsed = _parse(data if kind == ".parquet" else clean(data, name, bad), name, kind, header, bad)
    return _table(parsed, name, raw, bad)


def arriving_texts(header: bool) -> Iterator[str] | Table:
    """Return the lines of standard input as they arrive, blank ones too, or the table that it turns out to
    hold. Raises DataError as `read_table` does, and for a line that is not UTF-8."""
    lines, start = lines_of(sys.stdin.buffer, STDIN), b""
    for line in lines:
        start += line
        if line.strip():
            break
    if not start.strip() or start.startswith(b"PAR1"):
        return _from_stdin(header, BadRows(False), start)
    # a first line that may be a header is taken for one if lines follow
    if _sniff(clean(start, STDIN) + b"\nnext", header) != ".txt":
        return _from_stdin(header, BadRows(False), start)
    return _decoded(chain(start.removeprefix(b"\xef\xbb\xbf").splitlines(True), lines))


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            advice = "save it as UTF-8, for example with `iconv -f WINDOWS-1252 -t UTF-8`."
            raise DataError(f"{STDIN}, line {number} is not UTF-8; {advice}") from None


def _from_stdin(header: bool, bad: BadRows, start: bytes = b"") -> Table:
    name, raw = STDIN, read_pipe(sys.stdin.buffer, STDIN, start)
    if raw.startswith(b"PAR1"):
        return _table(read_parquet(raw, name), name, raw, bad)
    data = clean(raw, name, bad)
    return _table(_parse(data, name, _sniff(data, header), header, bad), name, raw, bad)


def _table(parsed: Parsed, name: str, raw: bytes, bad: BadRows) -> Table:
    fingerprint = hashlib.sha256(raw).hexdigest()
    return Table(parsed.frame, name, fingerprint, parsed.first_row, parsed.lines, parsed.origins, bad)


def _parse(data: bytes, name: str, kind: str, header: bool, bad: BadRows) -> Parsed:
    match kind:
        case ".csv":
            return read_delimited(data, name, guess_separator(data, header), header, bad)
        case ".tsv":
            return read_delimited(data, name, "\t", header, bad)
        case ".parquet":
            return read_parquet(data, name)
        case ".txt":
            return read_lines(data, name)
        case _:
            return read_jsonl(data, name, bad)


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
