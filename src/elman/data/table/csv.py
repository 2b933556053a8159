"""CSV and TSV, with exact errors for quotes and ragged rows.

Files without quotes are read by polars after numpy has counted the fields of each line. Files with quotes are
read by Python's csv module, which knows the line on which each record starts. All cells are text, and empty
cells are null.
"""

import csv
import re
import sys
from array import array
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from elman.data.table.bad_rows import STOP, BadRows
from elman.data.table.formats import Parsed, normal_name, require_columns, shorten
from elman.errors import DataError
from elman.lazy import Lazy

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

BLOCK_BYTES: Final = 1 << 24  # whose fields are counted at a time
BLOCK_CELLS: Final = 1 << 20  # of quoted records, which take ten times a frame's memory
MAX_REREADS: Final = 20  # times that all lines may be read again after bad records

# A quoted field as in RFC 4180, in a file whose fields are separated by tabs.
QUOTED = re.compile(rb'"(?<![^\t\n]")[^"]*+(?:""[^"]*+)*+"(?![^\t\n])')


def read_delimited(data: bytes, name: str, separator: str, header: bool, bad: BadRows = STOP) -> Parsed:
    """Read the table in `data` (UTF-8, with line feeds as line ends).

    With `header`, the first line names the columns; without, they are named "1", "2", ...

    Raises:
        DataError: a row has more or fewer fields than the first, a quote is not closed, two columns share a
            name, or there is a header but no row.
    """
    if b'"' in data and (separator != "\t" or _quotes_are_syntax(data)):
        return _read_quoted(data.decode(), name, separator, header, bad)
    return _read_plain(data, name, separator, header, bad)


def guess_separator(data: bytes, header: bool) -> str:
    """Return "," if the header has commas, else the first of semicolon (decimal commas are common then), tab
    and bar that it has."""
    first = data.lstrip(b"\n").split(b"\n", 1)[0].decode()
    return next((mark for mark in ",;\t|" if header and mark in first), ",")


def _quotes_are_syntax(data: bytes) -> bool:
    """Return whether the double quotes of a TSV enclose fields or are ordinary characters of its texts.

    They enclose fields if each of them belongs to a well-formed quoted field. Where such a field spans a tab
    or a line end, that may be chance: if all lines hold the same number of tabs, quotes are ordinary then.
    """
    if b'"' in QUOTED.sub(b"", data):
        return False
    if not any(b"\t" in field or b"\n" in field for field in QUOTED.findall(data)):
        return True
    tabs = {line.count(b"\t") for line in data.split(b"\n") if line}
    return len(tabs) > 1 or tabs == {0}


def _read_plain(data: bytes, name: str, separator: str, header: bool, bad: BadRows) -> Parsed:
    fields, lines = _count_fields(data, separator)
    require_columns(int(fields[0]), name)
    even = fields == fields[0]
    for row, line in zip(np.flatnonzero(~even).tolist(), lines[~even].tolist(), strict=True):
        bad.add(line, _uneven(name, row, line, int(fields[row]), int(fields[0])))
    if b"\r" in data or not even.all():
        every = data.split(b"\n")
        for row in np.flatnonzero(even).tolist():
            if b"\r" in every[lines[row] - 1]:
                line, even[row] = int(lines[row]), False
                bad.add(line, DataError(_bad_quote("new-line character", name, row + 1, line, line)))
        data = b"\n".join([every[line - 1] for line in lines[even]])
    elif b"\n\n" in data:
        data = re.sub(rb"\n\n+", b"\n", data)
    data = data.strip(b"\n")
    columns = _names(data.split(b"\n", 1)[0].decode().split(separator), name, header)
    kept = np.flatnonzero(even)
    _require_rows(len(kept), name, header, bad)
    frame = pl.read_csv(
        data,
        has_header=False,
        skip_rows=int(header),
        separator=separator,
        quote_char=None,
        schema=dict.fromkeys(columns, pl.String),
    )
    return _parsed(frame, header, lines[kept], kept)


def _count_fields(data: bytes, separator: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each line that is not blank, its number of fields and its number in the file."""
    counts, start, first = list[NDArray[np.int64]](), 0, 0
    blank = list[NDArray[np.bool_]]()
    while start < len(data):  # in blocks of whole lines, as the positions of all marks take much memory
        end = data.find(b"\n", start + BLOCK_BYTES) + 1 or len(data)
        block = data[start:end] if data[end - 1 : end] == b"\n" else data[start:end] + b"\n"
        text = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(text == ord("\n"))
        separators = np.searchsorted(np.flatnonzero(text == ord(separator)), ends)
        counts.append(np.diff(separators, prepend=0) + 1)
        blank.append(np.diff(ends, prepend=-1) == 1)
        start, first = end, first + len(ends)
    filled = np.flatnonzero(~np.concatenate(blank))
    return np.concatenate(counts)[filled], filled + 1


def _read_quoted(text: str, name: str, separator: str, header: bool, bad: BadRows) -> Parsed:
    columns: list[str] = []
    block: list[list[str]] = []
    frames: list[pl.DataFrame] = []
    starts, rows = array("q"), array("q")
    limit = csv.field_size_limit(sys.maxsize)
    try:
        for row, start, record in _records(text, name, separator, bad):
            starts.append(start)
            rows.append(row)
            if not columns:
                require_columns(len(record), name)
                columns = _names(record, name, header)
                if header:
                    continue
            block.append(record)
            if len(block) * len(columns) > BLOCK_CELLS:
                frames.append(_frame(columns, block))
                block = []
    finally:
        csv.field_size_limit(limit)
    _require_rows(len(rows), name, header, bad)
    frame = pl.concat([*frames, _frame(columns, block)], rechunk=True)
    return _parsed(frame, header, np.array(starts), np.array(rows))


def _frame(columns: list[str], records: list[list[str]]) -> "pl.DataFrame":
    cells = zip(*records, strict=True) if records else [()] * len(columns)
    named = zip(columns, cells, strict=True)
    frame = pl.DataFrame([pl.Series(column, values, dtype=pl.String) for column, values in named])
    return frame.select(pl.all().replace("", None))


def _records(text: str, name: str, separator: str, bad: BadRows) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the row (from 0), the line (from 1) and the fields of each record.

    After a bad record, reading goes on in the line below its first: a stray quote may have swallowed others.
    """
    file = StringIO(text, newline="\n")
    row, width = 0, 0
    start, offset, budget = 1, 0, MAX_REREADS * (text.count("\n") + 1)
    while True:  # once for each bad record
        file.seek(offset)
        reader = csv.reader(file, delimiter=separator, strict=True)
        first, problem = start, None
        try:
            for record in reader:
                end = first + reader.line_num - 1
                if record and len(record) != (width or len(record)):
                    problem = _uneven(name, row, start, len(record), width, end)
                    break
                if record:
                    yield row, start, record
                    row, width = row + 1, len(record)
                start, offset = end + 1, file.tell()
            else:
                return
        except csv.Error as error:
            end = first + reader.line_num - 1
            problem = DataError(_bad_quote(str(error), name, row + 1, start, end))
        budget -= end - start
        if budget < 0 or row == 0:  # without its first row, nothing tells how many fields there should be
            raise problem
        bad.add(start, problem)
        file.seek(offset)
        file.readline()
        row, start, offset = row + 1, start + 1, file.tell()


def _require_rows(records: int, name: str, header: bool, bad: BadRows) -> None:
    if records > header:
        return
    bad.report(name, 0)  # raises DataError if there are bad rows
    raise DataError(f"{name} has a header but no rows; add at least one row below it.")


def _parsed(frame: "pl.DataFrame", header: bool, lines: NDArray[np.int64], rows: NDArray[np.int64]) -> Parsed:
    """Return the frame of the records that start on `lines` and whose numbers, with bad ones, are `rows`."""
    first = int(header)
    starts = lines[first:] if not np.array_equal(lines, rows + 1) else None
    origins = rows[first:] - first if len(rows) != rows[-1] + 1 else None
    return Parsed(frame, 1 + first, starts, origins)


def _where(name: str, row: int, line: int) -> str:
    return f"{name}, row {row}" + (f" (line {line})" if line != row else "")


def _bad_quote(reason: str, name: str, row: int, start: int, end: int) -> str:
    where = _where(name, row, start)
    if "end of data" in reason:
        return f"{where}: a double quote opens a field and is never closed; close it or double it."
    at = f" on line {end}" if end != start else ""
    if "expected after" in reason:
        return f"{where}: text follows a closing double quote{at}; double the quotes inside a field."
    if "new-line character" in reason:
        return (
            f"{where} has a carriage return without line feed{at}; remove it, or put quotes around its field."
        )
    return f"{where} cannot be read{at} ({reason}); write the file again with standard quoting."


def _uneven(name: str, row: int, start: int, count: int, width: int, end: int = 0) -> DataError:
    """Return the problem of a row (from 0) of another width than the first; it starts and ends on a line."""
    fields = f"{count} field" + ("s" if count != 1 else "")
    message = f"{_where(name, row + 1, start)} has {fields}, but row 1 has {width}"
    if end > start:
        return DataError(f"{message}; it ends on line {end}, so check its double quotes.")
    return DataError(f"{message}; add or remove separators, or put quotes around a field that holds one.")


def _names(cells: Sequence[str], name: str, header: bool) -> list[str]:
    """Return the names of the columns; a column without one is named by its position, from "1"."""
    if not header:
        return [str(i + 1) for i in range(len(cells))]
    names: dict[str, int] = {}
    for i, cell in enumerate(cells, start=1):
        column = normal_name(cell) or str(i)
        if column in names:
            both = f"columns {names[column]} and {i}"
            raise DataError(f"{name}, row 1: {both} are both named {shorten(column)}; rename one.")
        names[column] = i
    return list(names)
