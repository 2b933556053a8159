"""Text sources against Python's own reading of files, and the way they are split."""

import gzip
import hashlib
import io
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from elman.data.table.table import read_table
from elman.data.text import sources
from elman.data.text.sources import MAX_CUT_SHARE, Documents, TextSource, TextSplit, open_text
from elman.errors import DataError, UsageError
from tabular import write

SHARDS = [b"\r\n", b"\r", b"\n", b"abc", b" ", b"\xef\xbb\xbf", *(c.encode() for c in "é€👍")]
CHUNKS = st.lists(st.sampled_from(SHARDS), max_size=12).map(b"".join)
BYTES = st.lists(st.one_of(CHUNKS, st.binary(max_size=3)), max_size=4).map(b"".join)


def plain(data: bytes) -> TextSource:
    return TextSource("it", lambda: io.BytesIO(data))


def joined(part: TextSplit) -> list[str]:
    return ["".join(pieces) for pieces in part.texts()]


@given(CHUNKS, st.integers(1, 9))
def test_a_text_is_what_python_reads(data: bytes, block: int) -> None:
    data += b"x"
    expected = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig").read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BLOCK_BYTES", block)
        read = plain(data)
        assert joined(read.whole()) == [expected]
        assert read.characters == len(expected)
        assert read.fingerprint == hashlib.sha256(data).hexdigest()


@given(BYTES, st.integers(1, 9))
def test_bytes_that_are_no_text_are_found(data: bytes, block: int) -> None:
    data = b"abc\n" + data + b"\xe9d\n"
    assume(b"\0" not in data)
    with pytest.raises(UnicodeDecodeError) as problem:
        data.decode()
    before = data[: problem.value.start]
    line, byte = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BLOCK_BYTES", block)
        with pytest.raises(DataError) as caught:
            plain(data)
    assert f"it, line {line}: byte {byte} is 0x{data[len(before)]:02X}, so the file is not UTF-8" in str(
        caught.value
    )


@given(
    st.lists(st.sampled_from(["\n", "a" * 40, "b" * 9, "é "]), min_size=3, max_size=60).map("".join),
    st.floats(0.02, 0.98),
    st.integers(1, 50),
    st.sampled_from([MAX_CUT_SHARE, 0.1, 0.4]),
)
def test_a_text_is_cut_at_the_nearest_line_end(text: str, share: float, block: int, near: float) -> None:
    assume(text.strip() and len(text) > 1)
    target = round(len(text) * (1 - share))
    assume(0 < target < len(text))
    ends = [i + 1 for i, c in enumerate(text[:-1]) if c == "\n" and abs(i + 1 - target) <= near * len(text)]
    expected = min(ends, key=lambda end: abs(end - target), default=target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "MAX_CUT_SHARE", near)
        patch.setattr(sources, "BLOCK_BYTES", block)
        train, rest = plain(text.encode()).split(share)
        assert joined(train) + joined(rest) == [text[:expected], text[expected:]]
    assert (train.characters, rest.characters) == (expected, len(text) - expected)


def test_a_file_is_read_anew_each_time_and_unpacked(tmp_path: Path) -> None:
    bare = write(tmp_path, "a.txt", "one\r\ntwo\n")
    packed = write(tmp_path, "a.txt.gz", gzip.compress(b"one\r\ntwo\n", mtime=0))
    with ExitStack() as stack:
        texts = [open_text(bare, stack), open_text(str(packed), stack)]
    assert [joined(text.whole()) for text in texts * 2] == [["one\ntwo\n"]] * 4
    assert texts[0].fingerprint == texts[1].fingerprint
    assert [text.name for text in texts] == [str(bare), str(packed)]


def test_standard_input_lives_as_long_as_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one two")))
    with ExitStack() as stack:
        text = open_text("-", stack)
        assert (text.name, joined(text.whole()), joined(text.whole())) == (
            "standard input",
            ["one two"],
            ["one two"],
        )
    with pytest.raises(FileNotFoundError):
        joined(text.whole())


def test_parts_of_a_text_have_different_keys() -> None:
    text = plain(b"one two three")
    keys = [part.key for part in (text.whole(), *text.split(0.5), *text.split(0.2))]
    assert len(set(keys)) == len(keys)
    assert plain(b"one two three").whole().key == keys[0]
    assert plain(b"one two threa").whole().key != keys[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b" \n", "a.txt is empty; it should hold text."),
        ("a.txt", b"PK\x03\x04abc", "a.txt is a zip archive"),
        ("a.gz", b"abc", "a.gz is not a gzip file, or is a damaged one"),
        ("a.txt", b"ab\nc\0" + b"d" * 99, "a.txt, line 2: byte 2 is a NUL"),
        ("a.txt", "né".encode()[:-1], "a.txt ends in the middle of a character"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = write(tmp_path, name, content)
    with ExitStack() as stack, pytest.raises(DataError) as caught:
        open_text(path, stack)
    assert message in str(caught.value)


def test_paths_that_are_no_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, "verses.txt", "a")
    with ExitStack() as stack:
        with pytest.raises(DataError, match=r"verse.txt does not exist; did you mean 'verses.txt'\?"):
            open_text(tmp_path / "verse.txt", stack)
        with pytest.raises(DataError, match="is a folder"):
            open_text(tmp_path, stack)
        with pytest.raises(UsageError, match="is a web address"):
            open_text("https://example.org/a.txt", stack)


def documents(*texts: str | None) -> Documents:
    return Documents.of(read_table({"text": list(texts)}), "text")


def test_documents_are_the_filled_cells() -> None:
    whole = documents("a\r\nb", None, " ", "c").whole()
    assert joined(whole) == ["a\nb", "c"]
    assert (whole.characters, whole.ends) == (4, True)
    assert whole.key != documents("a\nbc").whole().key


def test_no_document_is_on_both_sides() -> None:
    train, held_out = documents("a", "b", "c", "b", "d").split(0.4)
    assert (joined(train), joined(held_out)) == (["a", "c"], ["b", "d"])
    assert joined(documents("a", "b").without(documents("b", "c"))) == ["a"]
    train, held_out = documents("a", "b").split(0.01)
    assert (joined(train), joined(held_out)) == (["a"], ["b"])
    with pytest.raises(DataError, match="holds one document; give at least two"):
        documents("a").split(0.5)
