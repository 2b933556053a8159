"""Bytes of a file → a frame, for every format except CSV and TSV (see `csv`).

Each reader takes the bytes and a name for messages, and returns `Parsed`.
"""

import gzip
import json
import os
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.errors import DataError, suggestion

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt")

# First bytes of files that are not UTF-8 text → what they are and what to do.
MAGIC = {
    b"PAR1": "a Parquet file; give it the ending .parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook; save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "compressed with gzip; give it the ending .gz after its own, as in data.csv.gz",
    b"%PDF": "a PDF document; save its text as CSV, TSV, JSONL or plain lines",
    b"\x89PNG": "a PNG picture; give a CSV, TSV, JSONL, Parquet or text file",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
}


@dataclass(frozen=True)
class Parsed:
    frame: pl.DataFrame
    first_row: int  # number of the first data row as a spreadsheet counts
    lines: NDArray[np.int64] | None = None  # (rows,) where each row starts in the file; None: at its number


def shorten(value: object, limit: int = 40) -> str:
    """Return the `repr` of `value`, cut to at most `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 2] + "…" + text[0]


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        DataError: the file is missing (the message suggests a similar name), is a folder or cannot be read.
    """
    try:
        if path.is_dir():
            example = next((p for p in sorted(path.iterdir()) if p.suffix in ENDINGS), path / "data.csv")
            raise DataError(f"{path} is a folder; name one file in it, such as {example}.")
        if not path.parent.is_dir():
            raise DataError(f"{path} does not exist: there is no folder {path.parent}.")
        if not path.exists():
            hint = suggestion(path.name, (p.name for p in path.parent.iterdir()))
            raise DataError(f"{path} does not exist{hint or '; check the spelling and the folder.'}")
        return path.read_bytes()
    except OSError as problem:
        raise DataError(f"{shorten(str(path))} cannot be read: {problem.strerror}.") from None


def input_lines(data: str) -> Iterable[str]:
    """Return the lines of standard input ("-") as they arrive, or of a file, or else `data` itself."""
    if data == "-":
        return (line.decode(errors="replace").rstrip("\r\n") for line in sys.stdin.buffer)
    if os.path.isfile(data):  # unlike Path.is_file, it accepts any string  # noqa: PTH113
        return clean(read_bytes(Path(data)), data).decode().removesuffix("\n").split("\n")
    return [data]


def ending(path: Path) -> str:
    """Return the ending of a file in lower case, without the .gz of a compressed one."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def unpack(data: bytes, path: Path) -> bytes:
    """Decompress the content of a file whose name ends in .gz; return any other unchanged.

    Raises:
        DataError: the bytes are damaged or not gzip.
    """
    if path.suffix.lower() != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path} is not a complete gzip file ({problem}); compress it again.") from None


def clean(data: bytes, name: str) -> bytes:
    """Check that `data` is UTF-8 text; return it without byte order mark, its line ends as line feeds.

    Raises:
        DataError: the bytes are empty, binary or UTF-16, hold a NUL, or are not UTF-8 (with line and byte).
    """
    for magic, kind in MAGIC.items():
        if data.startswith(magic):
            raise DataError(f"{name} is {kind}.")
    _no_nul(data, name)
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        data.decode()
    except UnicodeDecodeError as problem:
        raise DataError(_not_utf8(data, name, problem)) from None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data:  # line ends of Mac OS 9
            data = data.replace(b"\r", b"\n")
    if not data.strip():
        raise DataError(f"{name} is empty; it should hold at least one row.")
    return data


def _no_nul(data: bytes, name: str) -> None:
    at = data.find(b"\0")
    if at < 0:
        return
    sample = np.frombuffer(data[:8192], dtype=np.uint8)
    if max((sample[half::2] == 0).sum() for half in (0, 1)) > 0.2 * len(sample):
        raise DataError(
            f"{name} looks like UTF-16 text; save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`."
        )
    control = (sample < 32) & ~np.isin(sample, [9, 10, 12, 13])
    if np.mean(control) > 0.02:
        raise DataError(
            f"{name} is a binary file, not text; give a CSV, TSV, JSONL, Parquet or text file in UTF-8."
        )
    line, byte = _position(data, at)
    where = f"{name}, line {line}: byte {byte}"
    raise DataError(f"{where} is a NUL, which is not a character of text; remove it.")


def _position(data: bytes, at: int) -> tuple[int, int]:
    """Return the line and the byte in it, both counted from 1."""
    return data.count(b"\n", 0, at) + 1, at - data.rfind(b"\n", 0, at)


def _not_utf8(data: bytes, name: str, problem: UnicodeDecodeError) -> str:
    at = problem.start
    if problem.reason == "unexpected end of data":
        return f"{name} ends in the middle of a character; it was cut off, so copy or download it again."
    line, byte = _position(data, at)
    letter = data[at : at + 1].decode("cp1252", errors="replace")
    guess = f" ({letter!r} in Windows-1252)" if letter.isprintable() and letter != "\ufffd" else ""
    return (
        f"{name}, line {line}: byte {byte} is 0x{data[at]:02X}{guess}, so the file is not UTF-8; "
        "save it as UTF-8, for example with `iconv -f WINDOWS-1252 -t UTF-8`."
    )


def read_lines(data: bytes, name: str) -> Parsed:
    """Read one text per line into the column "text"; a blank line is a missing text, so rows are lines."""
    lines = data.decode().removesuffix("\n").split("\n")
    return Parsed(pl.DataFrame({"text": pl.Series(lines, dtype=pl.String).replace("", None)}), first_row=1)


def read_parquet(data: bytes, name: str) -> Parsed:
    """Read a Parquet file.

    Raises:
        DataError: the bytes are not a complete Parquet file, or it holds no rows.
    """
    try:
        frame = pl.read_parquet(BytesIO(data))
    except (pl.exceptions.PolarsError, OSError) as problem:
        reason = str(problem).splitlines()[0]
        raise DataError(f"{name} is not a complete Parquet file ({reason}); write it again.") from None
    if frame.is_empty():
        raise DataError(f"{name} holds no rows; it should hold at least one.")
    return Parsed(frame, first_row=1)


def read_jsonl(data: bytes, name: str) -> Parsed:
    """Read one JSON object per line; the keys are the columns, in the order of their first appearance.

    Raises:
        DataError: a line is not a JSON object; the message names the line and the character.
    """
    if data.lstrip().startswith(b"["):
        raise DataError(
            f"{name} is one JSON array; write one object per line, for example with `jq -c '.[]'`."
        )
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            objects.append(_object(line, f"{name}, line {number}"))
            lines.append(number)
    columns = dict.fromkeys(key for item in objects for key in item)
    if not columns:
        raise DataError(f'{name} holds objects without keys; each should look like {{"text": "…"}}.')
    frame = pl.DataFrame([to_series(key, [item.get(key) for item in objects]) for key in columns])
    return Parsed(frame, 1, np.array(lines, dtype=np.int64) if lines[-1] != len(lines) else None)


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
        if b"\\u" in line:  # "\ud83d" alone is valid JSON
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as problem:
        reason = f"{problem.msg} at character {problem.colno}"
        raise DataError(f"{where} is not valid JSON ({reason}); correct or remove the line.") from None
    except UnicodeEncodeError:
        raise DataError(
            f"{where} holds half of a surrogate pair, which is not a character; remove it."
        ) from None
    except RecursionError:
        raise DataError(f"{where} is nested too deeply; it should be one flat object.") from None
    except ValueError:  # Python limits the digits of an integer
        raise DataError(f"{where} holds a number of thousands of digits; shorten it.") from None
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else f"the value {shorten(value)}"
        raise DataError(f'{where} is {kind}, not an object; it should look like {{"text": "…"}}.')
    return value


def to_series(name: str, values: list[Any]) -> pl.Series:
    """Return `values` in the type they share, or else as text, with objects and lists as JSON."""
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        if all(type(value) in (int, float, type(None)) for value in values):
            return pl.Series(name, values, dtype=pl.Float64, strict=False)
        return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    missing = isinstance(value, float) and value != value
    return None if missing else json.dumps(value, ensure_ascii=False, default=str)
