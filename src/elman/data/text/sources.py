"""Texts too long for memory, read in blocks as often as needed, and documents in a column of a table."""

import codecs
import gzip
import hashlib
import io
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

from elman.data.table.encoding import MAGIC, clean
from elman.data.table.formats import blocks_of, open_file, reading
from elman.data.table.limits import bounded, pipe_limit, require_within, unpacked_limit
from elman.data.table.table import Table, check_path
from elman.errors import DataError

TABLES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

BLOCK_BYTES: Final = 1 << 20  # read at a time; the tokens of a block take a hundred bytes each
MAX_CUT_SHARE: Final = 0.01  # of a text, by which the held-out part may move to start at a line


@dataclass(frozen=True)
class TextSplit:
    """Texts to train on, or texts held out."""

    name: str  # of the data
    key: str  # identifies the content of this split
    characters: int  # number of characters in all texts
    texts: Callable[[], Iterator[Iterator[str]]]  # returns a new iterator; each text is an iterator of pieces
    ends: bool  # whether the id 0 follows each text


class TextSource:
    """One running text, checked and measured when the object is created."""

    def __init__(self, name: str, reopen: Callable[[], io.BufferedIOBase], limit: int | None = None) -> None:
        self.name = name
        self._reopen = reopen
        self._limit = limit  # of bytes
        self.characters = 0  # each line end counts as one
        digest, blank = hashlib.sha256(), True
        for block, text in self._blocks():
            digest.update(block)
            self.characters += len(text)
            blank = blank and not text.strip()
        if blank:
            raise DataError(f"{name} is empty; it should hold text.")
        self.fingerprint = digest.hexdigest()  # of the unpacked bytes

    def whole(self) -> TextSplit:
        return self._slice(0, self.characters)

    def split(self, share: float) -> tuple[TextSplit, TextSplit]:
        """Return the text up to the last `share` of its characters, and that share."""
        cut = self._cut(share)
        return self._slice(0, cut), self._slice(cut, self.characters)

    def _slice(self, start: int, end: int) -> TextSplit:
        key = f"{self.fingerprint} {start} {end}"
        return TextSplit(self.name, key, end - start, lambda: iter([self._pieces(start, end)]), False)

    def _pieces(self, start: int, end: int) -> Iterator[str]:
        position = 0
        for _, text in self._blocks():
            if position >= end:
                return
            yield text[max(start - position, 0) : end - position]
            position += len(text)

    def _cut(self, share: float) -> int:
        """Return where the last share begins: after the nearest line end if it is near enough."""
        target, reach = round(self.characters * (1 - share)), MAX_CUT_SHARE * self.characters
        position, ends = 0, [0]
        for _, text in self._blocks():
            middle = max(target - position, 0)
            line_feeds = text.rfind("\n", 0, middle), text.find("\n", middle)
            ends += [position + index + 1 for index in line_feeds if index >= 0]
            position += len(text)
            if position > target + reach or ends[-1] > target:
                break
        candidates = [end for end in ends if 0 < end < self.characters and abs(end - target) <= reach]
        return min(candidates, key=lambda end: abs(end - target), default=target)

    def _blocks(self) -> Iterator[tuple[bytes, str]]:
        """Yield the bytes and the characters that are complete, with every line end a line feed."""
        inner = codecs.getincrementaldecoder("utf-8-sig")()
        decoder = io.IncrementalNewlineDecoder(inner, translate=True)
        line, column, total = 1, 1, 0  # of the block's first byte, and of all before
        with self._reopen() as file:
            while True:
                block = self._read(file)
                if (line, column) == (1, 1) and (block.startswith(tuple(MAGIC)) or b"\0" in block):
                    clean(block, self.name)  # raises DataError that names the format
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as problem:
                    at = len(block) - len(problem.object) + problem.start
                    raise DataError(self._not_utf8(block, at, line, column, problem)) from None
                if (at := block.find(b"\0")) >= 0:
                    where = self._where(block, at, line, column)
                    raise DataError(f"{where} is a NUL, which is not a character of text; remove it.")
                total += len(block)
                if self._limit is not None:
                    require_within(total, self.name, self._limit)
                yield block, text
                if not block:
                    return
                line += block.count(b"\n")
                last = block.rfind(b"\n")
                column = len(block) - last if last >= 0 else column + len(block)

    def _read(self, file: io.BufferedIOBase) -> bytes:
        try:
            return file.read(BLOCK_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            message = f"{self.name} is not a gzip file, or is a damaged one; compress it again."
            raise DataError(message) from None
        except OSError as problem:
            raise DataError(f"{self.name} cannot be read: {problem.strerror}.") from None

    def _where(self, block: bytes, at: int, line: int, column: int) -> str:
        """Name the line and byte of the block's byte `at`, which is negative in the block before."""
        start = block.rfind(b"\n", 0, max(at, 0))
        byte = at - start if start >= 0 else column + at
        line += block.count(b"\n", 0, max(at, 0))
        return f"{self.name}, line {line}: byte {byte}"

    def _not_utf8(self, block: bytes, at: int, line: int, column: int, problem: UnicodeDecodeError) -> str:
        if problem.reason == "unexpected end of data":
            return f"{self.name} ends in the middle of a character; it was cut off, so copy it again."
        where = self._where(block, at, line, column)
        return (
            f"{where} is 0x{problem.object[problem.start]:02X}, so the file is not UTF-8; save it as UTF-8, "
            "for example with `iconv -f WINDOWS-1252 -t UTF-8`."
        )


def is_table_path(data: Any) -> bool:
    """Return whether `data` is a table, judging by its type or its ending."""
    if not isinstance(data, (str, Path)) or str(data).startswith("hf:"):
        return True
    return str(data).lower().removesuffix(".gz").endswith(TABLES)


def open_text(data: str | Path, stack: ExitStack) -> TextSource:
    """Return the text of a file, or of standard input, which is copied to a file that `stack` removes.

    Raises:
        DataError: the file is missing, a folder, blank, damaged or not UTF-8 text.
        UsageError: `data` is not a path.
    """
    if str(data) == "-":
        return TextSource("standard input", _spooled(sys.stdin.buffer, "standard input", stack))
    check_path(data)
    path, name = Path(data), str(data)
    with open_file(path) as file:
        if not path.is_file():  # a pipe can be read only once
            return TextSource(name, _spooled(file, name, stack))
    if path.suffix.lower() != ".gz":
        return TextSource(name, lambda: path.open("rb"))
    limit = unpacked_limit(path.stat().st_size)
    return TextSource(name, lambda: gzip.GzipFile(path), limit)


def _spooled(pipe: IO[bytes], name: str, stack: ExitStack) -> Callable[[], io.BufferedIOBase]:
    """Copy a pipe to a file that `stack` removes, and return the function that opens it."""
    path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "text")
    with path.open("wb") as file, reading(name):
        for block in bounded(blocks_of(pipe), name, pipe_limit()):
            file.write(block)
            if 2 * block.count(b"\0") > len(block):
                break  # no text, as `TextSource` will say
    return lambda: path.open("rb")


@dataclass(frozen=True, eq=False)
class Documents:
    """The rows of a table as texts, without empty cells."""

    name: str
    fingerprint: str
    texts: list[str]

    @classmethod
    def of(cls, table: Table, column: str) -> "Documents":
        """Take the documents from a column of a table.

        Raises:
            DataError: the column is missing or empty.
        """
        cells = table.complete(column).texts(column)
        texts = [text.replace("\r\n", "\n").replace("\r", "\n") for text in cells]
        return cls(table.name, table.fingerprint, texts)

    def whole(self) -> TextSplit:
        return self._take(self.texts)

    def split(self, share: float) -> tuple[TextSplit, TextSplit]:
        """Return the documents before the last `share` that do not occur in it again, and that share."""
        count = len(self.texts)
        if count < 2:
            raise DataError(f"{self.name} holds one document; give at least two, or others to hold out.")
        cut = min(max(round(count * (1 - share)), 1), count - 1)
        held_out = replace(self, texts=self.texts[cut:])
        return replace(self, texts=self.texts[:cut]).without(held_out), held_out.whole()

    def without(self, others: "Documents") -> TextSplit:
        """Return the documents that are not among the others."""
        excluded = set(others.texts)
        return self._take([text for text in self.texts if text not in excluded])

    def _take(self, texts: list[str]) -> TextSplit:
        digest = hashlib.sha256()
        for text in texts:
            digest.update(hashlib.sha256(text.encode()).digest())
        characters = sum(map(len, texts))
        return TextSplit(self.name, digest.hexdigest(), characters, lambda: (iter([t]) for t in texts), True)
