"""CSV and TSV, with exact errors for quotes and ragged rows.

Files without quotes are read by polars after numpy has counted the fields of each line. Files with quotes are
read by Python's csv module, which knows the line on which each record starts. All cells are text, and empty
cells are null.
"""

import csv
import re
import sys
from collections.abc import Sequence
from io import StringIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.data.table.formats import Parsed, shorten
from elman.errors import DataError

# A quoted field as in RFC 4180, in a file whose fields are separated by tabs.
QUOTED = re.compile(rb'"(?<![^\t\n]")[^"]*+(?:""[^"]*+)*+"(?![^\t\n])')


def read_delimited(data: bytes, name: str, separator: str, header: bool) -> Parsed:
    """Read the table in `data` (UTF-8, with line feeds as line ends).

    With `header`, the first line names the columns; without, they are named "1", "2", ...

    Raises:
        DataError: a row has more or fewer fields than the first, a quote is not closed, two columns share a
            name, or there is a header but no row.
    """
    if b'"' in data and (separator != "\t" or _quotes_are_syntax(data)):
        return _read_quoted(data.decode(), name, separator, header)
    return _read_plain(data, name, separator, header)


def guess_separator(data: bytes, header: bool) -> str:
    """Return ";" if the header has semicolons but no commas (decimal commas are common then), else ","."""
    first = data.lstrip(b"\n").split(b"\n", 1)[0]
    return ";" if header and b";" in first and b"," not in first else ","


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


def _read_plain(data: bytes, name: str, separator: str, header: bool) -> Parsed:
    fields, lines = _count_fields(data, separator)
    _require_even(fields, lines, lines, name)
    data = re.sub(rb"\n\n+", b"\n", data).strip(b"\n")
    head, _, rest = data.partition(b"\n")
    columns = _names(head.decode().split(separator), name, header)
    if header and len(lines) == 1:
        raise DataError(f"{name} has a header but no rows; add at least one row below it.")
    frame = pl.read_csv(
        rest if header else data,
        has_header=False,
        separator=separator,
        quote_char=None,
        schema=dict.fromkeys(columns, pl.String),
    )
    return _parsed(frame, header, lines)


def _count_fields(data: bytes, separator: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each line that is not blank, its number of fields and its number in the file."""
    text = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    separators = np.searchsorted(np.flatnonzero(text == ord(separator)), ends)
    filled = np.diff(ends, prepend=-1) > 1
    return np.diff(separators, prepend=0)[filled] + 1, np.flatnonzero(filled) + 1


def _read_quoted(text: str, name: str, separator: str, header: bool) -> Parsed:
    records: list[list[str]] = []
    starts: list[int] = []
    ends: list[int] = []
    limit = csv.field_size_limit(sys.maxsize)
    reader = csv.reader(StringIO(text, newline="\n"), delimiter=separator, strict=True)
    start = 1
    try:
        for record in reader:
            if record:
                records.append(record)
                starts.append(start)
                ends.append(reader.line_num)
            start = reader.line_num + 1
    except csv.Error as problem:
        raise DataError(_bad_quote(str(problem), name, len(records) + 1, start, reader.line_num)) from None
    finally:
        csv.field_size_limit(limit)
    lines = np.array(starts, dtype=np.int64)
    _require_even(np.array([len(r) for r in records]), lines, np.array(ends), name)
    columns = _names(records[0], name, header)
    rows = records[1:] if header else records
    if not rows:
        raise DataError(f"{name} has a header but no rows; add at least one row below it.")
    cells = zip(columns, zip(*rows, strict=True), strict=True)
    frame = pl.DataFrame([pl.Series(c, values, dtype=pl.String) for c, values in cells])
    return _parsed(frame.select(pl.all().replace("", None)), header, lines)


def _parsed(frame: pl.DataFrame, header: bool, lines: NDArray[np.int64]) -> Parsed:
    first = 2 if header else 1
    return Parsed(frame, first, lines[first - 1 :] if lines[-1] != len(lines) else None)


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


def _require_even(
    fields: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], name: str
) -> None:
    """Raise DataError for the first row whose number of fields differs from the first row's."""
    uneven = np.flatnonzero(fields != fields[0])
    if not len(uneven):
        return
    at = int(uneven[0])
    count = f"{fields[at]} field" + ("s" if fields[at] != 1 else "")
    message = f"{_where(name, at + 1, int(starts[at]))} has {count}, but row 1 has {fields[0]}"
    if ends[at] > starts[at]:
        raise DataError(f"{message}; it ends on line {ends[at]}, so check its double quotes.")
    raise DataError(f"{message}; add or remove separators, or put quotes around a field that holds one.")


def _names(cells: Sequence[str], name: str, header: bool) -> list[str]:
    """Return the names of the columns; a column without one is named by its position, from "1"."""
    if not header:
        return [str(i + 1) for i in range(len(cells))]
    names: dict[str, int] = {}
    for i, cell in enumerate(cells, start=1):
        column = cell.strip() or str(i)
        if column in names:
            both = f"columns {names[column]} and {i}"
            raise DataError(f"{name}, row 1: {both} are both named {shorten(column)}; rename one.")
        names[column] = i
    return list(names)
