"""Files and pipes → their bytes, and what all readers of them share.

Each reader takes the bytes and a name for messages, and returns `Parsed`.
"""

import gzip
import os
import signal
import stat
import string
import sys
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from elman.data.table.encoding import clean
from elman.data.table.limits import bounded, pipe_limit, require_memory, unpacked_limit
from elman.errors import DataError, suggestion
from elman.lazy import Lazy

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".txt")
# Of names that are files and no texts.
FILE_ENDINGS: Final = (*ENDINGS, ".json", ".xlsx", ".xls", ".md", ".html", ".pdf", ".docx")
LIKENESS: Final = 0.8  # of a mistyped name and that of a file, from which it is meant
MAX_PATH_CHARACTERS: Final = 1000
MAX_LISTED: Final = 1000  # files of a folder
BLOCK_BYTES: Final = 1 << 20  # read at a time
MAX_LINE_BYTES: Final = 64 << 20  # of a pipe that is read line by line
STDIN: Final = "standard input"
MAX_COLUMNS: Final = 100_000  # a table of a million takes minutes
WRITER_SECONDS: Final = 10.0  # to wait until somebody opens the other end of a named pipe

if hasattr(signal, "siginterrupt"):
    # polars makes Ctrl-C resume a read, so that Python would not hear of it before the next line came
    signal.siginterrupt(signal.SIGINT, True)


@dataclass(frozen=True)
class Parsed:
    frame: "pl.DataFrame"
    first_row: int  # number of the first data row as a spreadsheet counts
    lines: NDArray[np.int64] | None = None  # (rows,) where each row starts in the file; None: at its number
    origins: NDArray[np.int64] | None = None  # (rows,) index of each row if bad ones are skipped


def normal_name(column: str) -> str:
    """Return the name of a column without white space and byte order marks at its ends, in Unicode's form C:
    names that look alike are then equal."""
    return unicodedata.normalize("NFC", column).strip("\ufeff" + string.whitespace + "\xa0")


def require_columns(count: int, name: str) -> None:
    if count > MAX_COLUMNS:
        raise DataError(f"{name} has {count:,} columns; it may have {MAX_COLUMNS:,} at most.")


def shorten(value: object, limit: int = 40) -> str:
    """Return the `repr` of `value`, cut to at most `limit` characters."""
    text = repr(value[: 2 * limit] if isinstance(value, str) else value)
    return text if len(text) <= limit else text[: limit - 2] + "…" + text[0]


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        DataError: the file is missing (the message suggests a similar name), is a folder or a device, cannot
            be read, or does not fit into memory.
    """
    with open_file(path) as file:
        return read_file(file, str(path))


def read_file(file: IO[bytes], name: str) -> bytes:
    """Return the content of an open file, as `read_bytes` does."""
    with reading(name):
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size:
            require_memory(status.st_size, name)
            return file.read()
        return read_pipe(file, name)


def read_pipe(file: IO[bytes], name: str, start: bytes = b"") -> bytes:
    """Return `start` and what else comes from a pipe. Raises DataError if it is more than `pipe_limit`."""
    blocks = list[bytes]()
    for block in bounded(chain([start] if start else [], blocks_of(file)), name, pipe_limit()):
        blocks.append(block)
        if len(blocks) == 1 and 2 * block.count(b"\0") > len(block):
            break  # no text, as `clean` will say
    return b"".join(blocks)


def lines_of(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield lines as they arrive. Raises DataError for one of more than MAX_LINE_BYTES."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise DataError(f"{name} has a line of more than {MAX_LINE_BYTES:,} bytes; break it into lines.")
        yield line


def blocks_of(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def open_file(path: Path) -> IO[bytes]:
    """Open a file or a named pipe. Raises DataError as `read_bytes` does."""
    with reading(shorten(str(path))):
        if path.is_dir():
            example = next((p for p in sorted(path.iterdir()) if p.suffix in ENDINGS), path / "data.csv")
            raise DataError(f"{path} is a folder; name one file in it, such as {example}.")
        if not path.parent.is_dir():
            raise DataError(f"{path} does not exist: there is no folder {path.parent}.")
        if not path.exists():
            hint = suggestion(path.name, (p.name for p in path.parent.iterdir()))
            raise DataError(f"{path} does not exist{hint or '; check the spelling and the folder.'}")
        if path.is_char_device() or path.is_block_device():
            raise DataError(f"{path} is a device, not a file; give a file, or '-' for standard input.")
        return _open_pipe(path) if path.is_fifo() else path.open("rb")


def _open_pipe(path: Path) -> IO[bytes]:
    """Open a named pipe. Raises DataError if nobody opens its other end for a while."""
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(path.open, "rb")  # does not return before there is a writer
        try:
            return opening.result(WRITER_SECONDS)
        except TimeoutError:
            advice = "start the command that does, or give a file"
            raise DataError(f"{path} is a pipe to which nothing writes; {advice}.") from None
        finally:
            if not opening.done():
                os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # ends the wait of the thread
                opening.result().close()


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn errors of the operating system and of memory into DataError."""
    try:
        yield
    except OSError as problem:
        raise DataError(f"{name} cannot be read: {problem.strerror or problem}.") from None
    except MemoryError:
        raise DataError(f"{name} is too large for the memory that is left; give a part of it.") from None


def input_lines(data: str) -> Iterable[str]:
    """Return the lines of standard input ("-") as they arrive, or of a file or pipe, else `data` itself.
    Raises DataError for what can only be the name of a file that doesn't exist."""
    if data == "-":
        return (line.decode(errors="replace").rstrip("\r\n") for line in lines_of(sys.stdin.buffer, STDIN))
    # also a pipe, as of a shell's <(...); unlike Path's, these accept any string
    if os.path.exists(data) and not os.path.isdir(data):  # noqa: PTH110, PTH112
        return clean(read_bytes(Path(data)), data).decode().removesuffix("\n").split("\n")
    if not os.path.exists(data):  # noqa: PTH110
        refuse_file_name(data)
    return [data]


def refuse_file_name(text: str) -> None:
    """Raise DataError for a text that can only be the name of a file, which doesn't exist: one word that ends
    as files do, that is a path, or that is nearly the name of a file beside it."""
    if len(text) > MAX_PATH_CHARACTERS or len(text.split()) != 1 or "://" in text or "\0" in text:
        return
    folder, name = os.path.split(text)
    suffix = Path(name).suffix
    has_suffix, similar = suffix[1:].isalnum() and not suffix[1:].isdigit(), []
    if has_suffix:
        with suppress(OSError, ValueError), os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, MAX_LISTED) if entry.is_file()]
            similar = get_close_matches(name, names, 1, LIKENESS)
    begins = text.startswith(("/", "./", "../", "~/"))
    is_path = folder not in ("", "/") and (os.path.isdir(folder) or (begins and has_suffix))  # noqa: PTH112
    if similar or is_path or ending(Path(name)) in FILE_ENDINGS:
        advice = (
            f"did you mean {similar[0]!r}?"
            if similar
            else "to answer this text, give it to standard input (-)"
        )
        raise DataError(f"there is no file {shorten(text)}; {advice}")


def ending(path: Path) -> str:
    """Return the ending of a file in lower case, without the .gz of a compressed one."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def unpack(data: bytes, path: Path) -> bytes:
    """Decompress the content of a file whose name ends in .gz; return any other unchanged.

    Raises:
        DataError: the bytes are damaged or not gzip, or unpack to more than `unpacked_limit`.
    """
    if path.suffix.lower() != ".gz":
        return data
    with unpacking(str(path)), gzip.GzipFile(fileobj=BytesIO(data)) as file:
        return b"".join(bounded(blocks_of(file), str(path), unpacked_limit(len(data))))


@contextmanager
def unpacking(name: str) -> Iterator[None]:
    """Turn errors of damaged gzip data into DataError."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{name} is not a gzip file, or is a damaged one; compress it again.") from None


def read_lines(data: bytes, name: str) -> Parsed:
    """Read one text per line into the column "text"; a blank line is a missing text, so rows are lines."""
    lines = data.replace(b"\r", b"\n").decode().removesuffix("\n").split("\n")
    return Parsed(pl.DataFrame({"text": pl.Series(lines, dtype=pl.String).replace("", None)}), first_row=1)
