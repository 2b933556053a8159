"""Bytes of a file → checked UTF-8 text, or a sentence that says what they are instead."""

from typing import Final

import numpy as np

from elman.data.table.bad_rows import STOP, BadRows
from elman.errors import DataError

BLOCK_BYTES: Final = 1 << 24  # decoded at a time

# First bytes of files that are not UTF-8 text → what they are and what to do.
MAGIC = {
    b"PAR1": "a Parquet file; give it the ending .parquet",
    b"ARROW1": "an Arrow file; write it as Parquet or CSV",
    b"PK\x03\x04": "a zip archive or an Excel workbook; save the sheet as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV (UTF-8)",
    b"\x1f\x8b": "compressed with gzip; give it the ending .gz after its own, as in a.csv.gz, and only once",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it, or compress it with gzip",
    b"BZh": "compressed with bzip2; unpack it, or compress it with gzip",
    b"\xfd7zXZ": "compressed with xz; unpack it, or compress it with gzip",
    b"%PDF": "a PDF document; save its text as CSV, TSV, JSONL or plain lines",
    b"\x89PNG": "a PNG picture; give a CSV, TSV, JSONL, Parquet or text file",
    b"\xff\xfe\0\0": "UTF-32 text; save it as UTF-8, for example with `iconv -f UTF-32 -t UTF-8`",
    b"\0\0\xfe\xff": "UTF-32 text; save it as UTF-8, for example with `iconv -f UTF-32 -t UTF-8`",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`",
}
BOM: Final = b"\xef\xbb\xbf"


def clean(data: bytes, name: str, bad: BadRows = STOP) -> bytes:
    """Check that `data` is UTF-8 text; return it without byte order marks, its line ends as line feeds.

    Where bad rows are skipped, lines that are not UTF-8 or hold a NUL become blank.

    Raises:
        DataError: the bytes are empty, binary or UTF-16, hold a NUL, or are not UTF-8 (with line and byte).
    """
    for magic, kind in MAGIC.items():
        if data.startswith(magic):
            raise DataError(f"{name} is {kind}.")
    data = data.removeprefix(BOM)
    if b"\r" in data:
        # Windows, and Windows twice
        plain = data.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n")
        if b"\n" not in plain:  # line ends of Mac OS 9
            plain = plain.replace(b"\r", b"\n")
    else:
        plain = data
    if b"\0" in plain:
        _refuse_binary(plain, name)
    at = _bad_byte(plain)
    if at is not None:
        plain = _without_bad_lines(plain, name, at, bad)
    if BOM in plain:  # of files that were joined
        plain = plain.replace(b"\n" + BOM, b"\n")
    if not plain or plain.isspace():
        raise DataError(f"{name} is empty; it should hold at least one row.")
    return plain


def _without_bad_lines(data: bytes, name: str, first: int, bad: BadRows) -> bytes:
    """Blank the lines with bytes that are not text, or raise DataError for the first such byte."""
    lines = data.split(b"\n") if bad.skip else []
    for number, line in enumerate(lines, start=1):
        at = _bad_byte(line)
        if at is not None:
            bad.add(number, DataError(_describe(line, at, name, number)))
            lines[number - 1] = b""
    if not bad.skip:
        start = data.rfind(b"\n", 0, first) + 1
        raise DataError(_describe(data[start:], first - start, name, data.count(b"\n", 0, first) + 1))
    return b"\n".join(lines)


def _bad_byte(data: bytes) -> int | None:
    """Return the position of the first NUL, or else of the first byte that is not UTF-8."""
    nul = data.find(b"\0")
    if nul >= 0 or data.isascii():
        return nul if nul >= 0 else None
    view, start = memoryview(data), 0
    while start < len(data):
        end = min(start + BLOCK_BYTES, len(data))
        while start + BLOCK_BYTES - 3 < end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1  # not inside a character
        try:
            str(view[start:end], "utf-8")
        except UnicodeDecodeError as problem:
            return start + problem.start
        start = end
    return None


def _refuse_binary(data: bytes, name: str) -> None:
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


def _describe(line: bytes, at: int, name: str, number: int) -> str:
    """Say what byte `at` is and what to do; `line` begins with its line."""
    where = f"{name}, line {number}: byte {at + 1}"
    if line[at] == 0:
        return f"{where} is a NUL, which is not a character of text; remove it."
    try:
        line[at : at + 4].decode()
    except UnicodeDecodeError as problem:
        if problem.reason == "unexpected end of data" and len(line) - at < 4:
            return f"{name} ends in the middle of a character; it was cut off, so copy or download it again."
    letter = line[at : at + 1].decode("cp1252", errors="replace")
    guess = f" ({letter!r} in Windows-1252)" if letter.isprintable() and letter != "\ufffd" else ""
    return (
        f"{where} is 0x{line[at]:02X}{guess}, so the file is not UTF-8; "
        "save it as UTF-8, for example with `iconv -f WINDOWS-1252 -t UTF-8`."
    )
