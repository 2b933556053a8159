"""What is read at most, and how a user raises it."""

import gzip
import io
import json
import os
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

from elman.data.table import formats, limits
from elman.data.table.limits import pipe_limit, size, unpacked_limit
from elman.data.table.table import read_table
from elman.data.text.conversations import read_conversations
from elman.data.text.corpus import read_corpus
from elman.data.text.pairs import read_pairs
from elman.errors import DataError, UsageError
from tabular import write

READERS = (read_table, read_pairs, read_conversations, read_corpus)


@pytest.mark.parametrize(
    ("text", "count"),
    [("8GB", 8 * 10**9), ("500000", 500_000), (" 1.5 mb ", 1_500_000), ("2GiB", 2 * 10**9), ("", 64 << 20)],
)
def test_the_variable_names_a_size(monkeypatch: pytest.MonkeyPatch, text: str, count: int) -> None:
    monkeypatch.setenv("ELMAN_MAX_BYTES", text)
    assert unpacked_limit(1000) == count
    assert pipe_limit() == (count if text else 1 << 30)


@pytest.mark.parametrize("text", ["much", "-1", "8 apples", "1e9", "9" * 50])
def test_no_size_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ELMAN_MAX_BYTES", text)
    with pytest.raises(
        UsageError, match=r"ELMAN_MAX_BYTES is .*; it should be a number of bytes, such as 8GB"
    ):
        pipe_limit()


def test_sizes_are_words() -> None:
    assert [size(n) for n in (0, 999, 64_000_000, 1 << 40)] == ["0 B", "999 B", "64 MB", "1.1 TB"]


def test_a_large_file_may_unpack_to_a_hundred_times_its_size() -> None:
    assert unpacked_limit(1 << 30) == 100 << 30


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv.gz", "a.jsonl.gz", "a.txt.gz"])
def test_gzip_that_unpacks_to_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: object, name: str
) -> None:
    path = write(tmp_path, name, gzip.compress(b"text\n" + b"a" * 3_000_000))
    monkeypatch.setenv("ELMAN_MAX_BYTES", "2MB")
    with pytest.raises(DataError, match=r"holds more than 2 MB; if that is right, raise|ends in \.csv"):
        read(path)  # type: ignore[operator]
    monkeypatch.setenv("ELMAN_MAX_BYTES", "4MB")
    if read is read_table and name == "a.csv.gz":
        assert len(read_table(path)) == 1


class Endless(io.RawIOBase):
    """A pipe that never ends."""

    def __init__(self, block: bytes) -> None:
        self.block, self.count = block, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), len(self.block))
        buffer[:count] = self.block[:count]
        self.count += count
        return count


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("line", "message"), [(b"a,b\n", "holds more than 5 MB"), (b"\0" * 4, "UTF-16|binary")]
)
def test_pipes_without_end(monkeypatch: pytest.MonkeyPatch, read: object, line: bytes, message: str) -> None:
    monkeypatch.setenv("ELMAN_MAX_BYTES", "5MB")
    pipe = Endless(line * 16_384)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(pipe)))
    with pytest.raises(DataError, match=message):
        read("-")  # type: ignore[operator]
    assert pipe.count < 8_000_000


@pytest.mark.parametrize("read", READERS)
def test_devices_pipes_and_sizes_that_no_reader_can_bear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    monkeypatch.setattr(formats, "WRITER_SECONDS", 0.05)
    zero, pipe, huge = tmp_path / "zero.csv", tmp_path / "pipe.tsv", tmp_path / "huge.tsv"
    zero.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    with huge.open("wb") as file:
        file.truncate(1 << 43)
    for path, message in (
        (zero, "is a device"),
        (pipe, "to which nothing writes"),
        (huge, "8.8 TB, but|NUL|UTF-16"),
    ):
        with pytest.raises(DataError, match=message):
            read(path)  # type: ignore[operator]


def test_a_named_pipe_is_read_once_somebody_writes(tmp_path: Path) -> None:
    pipe = tmp_path / "a.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("text\na\n"))
    writer.start()
    assert read_table(pipe).texts("text") == ["a"]
    writer.join()


def test_wide_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_COLUMNS", 100)
    names = [str(i) for i in range(101)]
    row = ",".join(names)
    for name, content in (("a.csv", f"{row}\n{row}"), ("a.jsonl", json.dumps(dict.fromkeys(names)))):
        with pytest.raises(DataError, match="has 101 columns; it may have 100 at most"):
            read_table(write(tmp_path, name, content))
    with pytest.raises(DataError, match="has 101 columns"):
        read_table(pl.DataFrame({n: [1] for n in names}))


def test_memory_that_is_left_is_unknown_beside_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    limits.require_memory(1 << 60, "a.csv")
