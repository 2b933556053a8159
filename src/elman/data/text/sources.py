"""Texts that are too long for memory, read in blocks as often as needed; and documents of a table."""

import codecs
import gzip
import hashlib
import io
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from elman.data.table.formats import MAGIC, clean, read_bytes
from elman.data.table.table import Table, read_table
from elman.errors import DataError

BLOCK: Final = 1 << 20  # bytes read at a time; the tokens of a block take a hundred bytes each
NEAR: Final = 0.01  # of a text: how far its cut may move to a line end


@dataclass(frozen=True)
class Part:
    """Texts to train on, or held out.

    Attributes:
        name: of the data.
        key: tells this part from any other.
        characters: of all texts.
        texts: gives each text anew, as an iterator of pieces.
        ends: whether the id 0 follows each text.
    """

    name: str
    key: str
    characters: int
    texts: Callable[[], Iterator[Iterator[str]]]
    ends: bool


class PlainText:
    """One text, checked and measured as it is made.

    Attributes:
        name: what messages call it.
        fingerprint: SHA-256 of its bytes, unpacked.
        characters: their number, each line end being one.
    """

    def __init__(self, name: str, reopen: Callable[[], io.BufferedIOBase]) -> None:
        self.name = name
        self._reopen = reopen
        self.characters = 0
        digest, blank = hashlib.sha256(), True
        for block, text in self._blocks():
            digest.update(block)
            self.characters += len(text)
            blank = blank and not text.strip()
        if blank:
            raise DataError(f"{name} is empty; it should hold text.")
        self.fingerprint = digest.hexdigest()

    def whole(self) -> Part:
        """All of it."""
        return self._part(0, self.characters)

    def split(self, share: float) -> tuple[Part, Part]:
        """The text up to the last `share` of its characters, and that share."""
        cut = self._cut(share)
        return self._part(0, cut), self._part(cut, self.characters)

    def _part(self, start: int, end: int) -> Part:
        key = f"{self.fingerprint} {start} {end}"
        return Part(self.name, key, end - start, lambda: iter([self._pieces(start, end)]), False)

    def _pieces(self, start: int, end: int) -> Iterator[str]:
        at = 0
        for _, text in self._blocks():
            if at >= end:
                return
            yield text[max(start - at, 0) : end - at]
            at += len(text)

    def _cut(self, share: float) -> int:
        """Where the last share begins: after the nearest line end if it is near."""
        target, near = round(self.characters * (1 - share)), NEAR * self.characters
        at, ends = 0, [0]
        for _, text in self._blocks():
            middle = max(target - at, 0)
            ends += [
                at + found + 1
                for found in (text.rfind("\n", 0, middle), text.find("\n", middle))
                if found >= 0
            ]
            at += len(text)
            if at > target + near or ends[-1] > target:
                break
        good = [end for end in ends if 0 < end < self.characters and abs(end - target) <= near]
        return min(good, key=lambda end: abs(end - target), default=target)

    def _blocks(self) -> Iterator[tuple[bytes, str]]:
        """The bytes and, as far as they are whole, their characters, with every line end a line feed."""
        inner = codecs.getincrementaldecoder("utf-8-sig")()
        decoder = io.IncrementalNewlineDecoder(inner, translate=True)
        line, column = 1, 1  # of the block's first byte
        with self._reopen() as file:
            while True:
                block = self._read(file)
                if (line, column) == (1, 1) and (block.startswith(tuple(MAGIC)) or b"\0" in block):
                    clean(block, self.name)  # which knows what it is
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as problem:
                    at = len(block) - len(problem.object) + problem.start
                    raise DataError(self._not_utf8(block, at, line, column, problem)) from None
                if (at := block.find(b"\0")) >= 0:
                    place = self._place(block, at, line, column)
                    raise DataError(f"{place} is a NUL, which no text holds; remove it.")
                yield block, text
                if not block:
                    return
                line += block.count(b"\n")
                last = block.rfind(b"\n")
                column = len(block) - last if last >= 0 else column + len(block)

    def _read(self, file: io.BufferedIOBase) -> bytes:
        try:
            return file.read(BLOCK)
        except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
            raise DataError(f"{self.name} is not a whole gzip file ({problem}); compress it again.") from None
        except OSError as problem:
            raise DataError(f"{self.name} cannot be read: {problem.strerror}.") from None

    def _place(self, block: bytes, at: int, line: int, column: int) -> str:
        """Line and byte of the block's byte `at`; a negative one stands at the end of the block before."""
        start = block.rfind(b"\n", 0, max(at, 0))
        byte = at - start if start >= 0 else column + at
        line += block.count(b"\n", 0, max(at, 0))
        return f"{self.name}, line {line}: byte {byte}"

    def _not_utf8(self, block: bytes, at: int, line: int, column: int, problem: UnicodeDecodeError) -> str:
        if problem.reason == "unexpected end of data":
            return f"{self.name} ends in the middle of a character; it was cut off, so copy it again."
        place = self._place(block, at, line, column)
        return (
            f"{place} is 0x{problem.object[problem.start]:02X}, so the file is not UTF-8; save it as UTF-8, "
            "for example with `iconv -f WINDOWS-1252 -t UTF-8`."
        )


def open_text(data: str | Path, stack: ExitStack) -> PlainText:
    """The text of a file, or of standard input, which `stack` then keeps in a file of its own.

    Raises:
        DataError: it is missing, a folder, blank, damaged or not UTF-8 text.
        UsageError: `data` is no path.
    """
    if str(data) == "-":
        return PlainText("standard input", _spooled(sys.stdin.buffer, stack))
    if not str(data) or "\0" in str(data) or "://" in str(data):
        read_table(data)  # which says what is wrong with it
    path = Path(data)
    if path.is_dir() or not path.exists():
        read_bytes(path)  # which knows its neighbours
    name = str(data)
    try:
        if not path.is_file():  # a pipe can be read but once
            with path.open("rb") as pipe:
                return PlainText(name, _spooled(pipe, stack))
        path.open("rb").close()
    except OSError as problem:
        raise DataError(f"{name} cannot be read: {problem.strerror}.") from None
    return PlainText(name, lambda: _unpacked(path))


def _unpacked(path: Path) -> io.BufferedIOBase:
    return gzip.GzipFile(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _spooled(pipe: IO[bytes], stack: ExitStack) -> Callable[[], io.BufferedIOBase]:
    """A file that holds what came, until `stack` ends."""
    path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "text")
    with path.open("wb") as file:
        shutil.copyfileobj(pipe, file)
    return lambda: path.open("rb")


class Documents:
    """The rows of a table as texts; empty cells are left out.

    Attributes:
        name: what messages call the table.
        fingerprint: as the table has it.
    """

    def __init__(self, name: str, fingerprint: str, texts: list[str]) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self._texts = texts

    @classmethod
    def of(cls, table: Table, column: str) -> "Documents":
        """A column of a table.

        Raises:
            DataError: there is no such column, or nothing in it.
        """
        texts = table.complete(column).texts(column)
        return cls(
            table.name, table.fingerprint, [t.replace("\r\n", "\n").replace("\r", "\n") for t in texts]
        )

    def whole(self) -> Part:
        """All of them."""
        return self._part(self._texts)

    def split(self, share: float) -> tuple[Part, Part]:
        """The documents before the last `share` of them, less those that occur there too, and that share."""
        count = len(self._texts)
        if count < 2:
            raise DataError(f"{self.name} holds one document; give at least two, or others to hold out.")
        cut = min(max(round(count * (1 - share)), 1), count - 1)
        rest = Documents(self.name, self.fingerprint, self._texts[cut:])
        return Documents(self.name, self.fingerprint, self._texts[:cut]).without(rest), rest.whole()

    def without(self, others: "Documents") -> Part:
        """Those that are not among the others."""
        known = set(others._texts)
        return self._part([text for text in self._texts if text not in known])

    def _part(self, texts: list[str]) -> Part:
        digest = hashlib.sha256()
        for text in texts:
            digest.update(hashlib.sha256(text.encode()).digest())
        characters = sum(map(len, texts))
        return Part(self.name, digest.hexdigest(), characters, lambda: (iter([t]) for t in texts), True)
