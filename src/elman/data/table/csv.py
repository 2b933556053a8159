"""CSV and TSV: exact about quotes, ragged rows and line numbers.

Files without quotes go to polars after numpy has counted the fields of every line. Files with quotes go to
Python's csv module, which knows the line on which each record starts. All cells come out as text; an empty
one is null.
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

# A field that RFC 4180 would call quoted, in a file whose fields are divided by tabs.
QUOTED = re.compile(rb'"(?<![^\t\n]")[^"]*+(?:""[^"]*+)*+"(?![^\t\n])')


def read_delimited(data: bytes, name: str, separator: str, header: bool) -> Parsed:
    """The table in `data` (UTF-8, lines ended by line feeds).

    With `header` the first line names the columns; without, they are named "1", "2", ...

    Raises:
        DataError: a row has more or fewer fields than the first; a quote is not closed; two columns share a
            name; there is a header but no row.
    """
    if b'"' in data and (separator != "\t" or _quotes_are_syntax(data)):
        return _read_quoted(data.decode(), name, separator, header)
    return _read_plain(data, name, separator, header)


def guess_separator(data: bytes, header: bool) -> str:
    """ "," unless the header can only be divided by ";", as where the comma marks decimals."""
    first = data.lstrip(b"\n").split(b"\n", 1)[0]
    return ";" if header and b";" in first and b"," not in first else ","


def _quotes_are_syntax(data: bytes) -> bool:
    """Whether the double quotes of a TSV enclose fields, or are mere characters of its texts.

    They enclose fields if every one of them takes part in a well-formed quoted field. If so and some such
    field spans a tab or a line end, that could still be chance: then lines that all hold equally many tabs
    speak against it.
    """
    if b'"' in QUOTED.sub(b"", data):
        return False
    spans = any(b"\t" in found or b"\n" in found for found in QUOTED.findall(data))
    if not spans:
        return True
    tabs = {line.count(b"\t") for line in data.split(b"\n") if line}
    return len(tabs) > 1 or tabs == {0}


def _read_plain(data: bytes, name: str, separator: str, header: bool) -> Parsed:
    """Every line a row, every separator a division."""
    fields, lines = _count_fields(data, separator)
    _even(fields, lines, lines, name)
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
    """For every line that is not blank: its number of fields, and its number in the file."""
    text = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    divisions = np.searchsorted(np.flatnonzero(text == ord(separator)), ends)
    filled = np.diff(ends, prepend=-1) > 1
    return np.diff(divisions, prepend=0)[filled] + 1, np.flatnonzero(filled) + 1


def _read_quoted(text: str, name: str, separator: str, header: bool) -> Parsed:
    """Fields may be enclosed in double quotes and then hold separators, line ends and doubled quotes."""
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
    _even(np.array([len(r) for r in records]), lines, np.array(ends), name)
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


def _place(name: str, row: int, line: int) -> str:
    return f"{name}, row {row}" + (f" (line {line})" if line != row else "")


def _bad_quote(reason: str, name: str, row: int, start: int, end: int) -> str:
    place = _place(name, row, start)
    if "end of data" in reason:
        return f"{place}: a double quote opens a field and nothing closes it; close it or double it."
    at = f" on line {end}" if end != start else ""
    if "expected after" in reason:
        return f"{place}: text follows a closing double quote{at}; double the quotes inside a field."
    if "new-line character" in reason:
        return f"{place}: there is a lone carriage return{at}; remove it, or put quotes around its field."
    return f"{place} cannot be read{at} ({reason}); write the file again with standard quoting."


def _even(fields: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], name: str) -> None:
    """Raises DataError for the first row whose number of fields is not the first row's."""
    uneven = np.flatnonzero(fields != fields[0])
    if not len(uneven):
        return
    at = int(uneven[0])
    found = f"{fields[at]} field" + ("s" if fields[at] != 1 else "")
    message = f"{_place(name, at + 1, int(starts[at]))} has {found} where row 1 has {fields[0]}"
    if ends[at] > starts[at]:
        raise DataError(f"{message}; it runs up to line {ends[at]}, so a double quote may be amiss.")
    raise DataError(f"{message}; add or remove separators, or put quotes around a field that holds one.")


def _names(cells: Sequence[str], name: str, header: bool) -> list[str]:
    """Names of the columns; one without a name is called by its position, from "1"."""
    if not header:
        return [str(i + 1) for i in range(len(cells))]
    names: dict[str, int] = {}
    for i, cell in enumerate(cells, start=1):
        column = cell.strip() or str(i)
        if column in names:
            pair = f"columns {names[column]} and {i}"
            raise DataError(f"{name}, row 1: {pair} are both named {shorten(column)}; rename one.")
        names[column] = i
    return list(names)
