"""Bytes of every encoding: their text, or a sentence that says what they are."""

import bz2
import lzma

import pytest

from elman.data.table import encoding
from elman.data.table.bad_rows import BadRows
from elman.data.table.encoding import clean
from elman.errors import DataError


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a\r\r\nb\r\r\n", "a\nb\n"),  # Windows' line ends, written as text once more
        (b"a\rb\r", "a\nb\n"),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", "a\nb\n"),  # two files, joined
        ("a\u2028b\x0cc\n".encode(), "a\u2028b\x0cc\n"),
    ],
)
def test_line_ends_and_marks(data: bytes, text: str) -> None:
    assert clean(data, "a.csv").decode() == text


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("text".encode("utf-32"), "UTF-32 text"),
        ("text".encode("utf-16"), "UTF-16 text"),
        (bz2.compress(b"a"), "compressed with bzip2"),
        (lzma.compress(b"a"), "compressed with xz"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"ARROW1\0\0", "an Arrow file"),
    ],
)
def test_other_formats_are_named(data: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=f"^a.csv is {kind}"):
        clean(data, "a.csv")


def test_a_bad_byte_is_found_in_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "BLOCK_BYTES", 8)
    whole = "aé中👍".encode() * 9
    assert clean(whole, "a") == whole
    for at in range(len(whole)):
        with pytest.raises(DataError, match=r"a, line 1: byte \d+ is 0x"):
            clean(whole[:at] + b"\xff" + whole[at:], "a")


def test_bad_lines_become_blank_where_they_are_skipped() -> None:
    bad = BadRows(skip=True)
    lines = clean(b"a\ncaf\xe9\nb\nx\0y\nmany good bytes follow here, as in a file of text", "a", bad)
    assert lines == b"a\n\nb\n\nmany good bytes follow here, as in a file of text"
    assert len(bad) == 2
