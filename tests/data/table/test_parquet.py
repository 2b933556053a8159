"""Parquet: its footer tells what it unpacks to, and no damage to it does any."""

import io
import random

import polars as pl
import pytest

from elman.data.table.parquet import read_parquet
from elman.errors import DataError


def _written(frame: pl.DataFrame, **options: object) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


FRAME = pl.DataFrame(
    {"a": ["x", None, "z"], "n": [1.0, 2.0, 3.0], "l": [[1], [], [2, 3]], "b": [True, False, None]}
)


@pytest.mark.parametrize("options", [{}, {"compression": "uncompressed"}, {"row_group_size": 1}])
def test_honest_files_are_read(options: dict[str, object]) -> None:
    assert read_parquet(_written(FRAME, **options), "a.parquet").frame.equals(FRAME)


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a": ["a" * (80 << 20)]}),  # one page that zstd shrinks to nothing
        pl.select(pl.repeat("x", 6_000_000).alias("a")),  # rows that a dictionary shrinks to nothing
        pl.DataFrame({"a": ["a" * 100_000]}).select(pl.col("a").repeat_by(1000).explode()),
    ],
)
def test_small_files_of_large_tables_are_refused(frame: pl.DataFrame) -> None:
    data = _written(frame)
    assert len(data) < 200_000
    with pytest.raises(DataError, match=r"a\.parquet holds more than .*ELMAN_MAX_BYTES"):
        read_parquet(data, "a.parquet")


def test_damaged_footers_end_in_a_sentence() -> None:
    whole, draw = _written(FRAME), random.Random(0)
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(whole) - 400, len(whole) - 8)] = draw.randrange(256)
        try:
            read_parquet(bytes(damaged), "a.parquet")
        except DataError as problem:
            assert "a.parquet" in str(problem)
    for data in (
        b"PAR1",
        b"PAR1" * 3,
        b"PAR1" + b"\xff" * 100_000 + (100_000).to_bytes(4, "little") + b"PAR1",
        b"PAR1" + b"\x19" * 100_000 + (100_000).to_bytes(4, "little") + b"PAR1",  # lists of lists
    ):
        with pytest.raises(DataError, match="not a complete Parquet file"):
            read_parquet(data, "a.parquet")


def test_a_footer_that_understates_the_size_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 80 << 20
    data = _written(pl.DataFrame({"a": ["a" * size]}), statistics=False)
    length = int.from_bytes(data[-8:-4], "little")
    footer, numbers = data[-8 - length : -8], []
    for number in range(size, size + 1000):  # the text, and what its page adds
        number *= 2  # zigzag
        coded = bytearray()
        while number > 127:
            coded.append(number & 127 | 128)
            number >>= 7
        numbers.append(bytes(coded) + bytes([number]))
    stated = [coded for coded in numbers if coded in footer]
    assert stated
    for coded in stated:
        footer = footer.replace(coded, b"\x82" + b"\x80" * (len(coded) - 2) + b"\x00")  # 1 in as many bytes
    monkeypatch.setattr(pl, "read_parquet", lambda _: pytest.fail("the file was unpacked"))
    with pytest.raises(DataError, match=r"a\.parquet holds more than"):
        read_parquet(data[: -8 - length] + footer + data[-8:], "a.parquet")


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_files_of_other_writers_are_read(compression: str, version: str) -> None:
    arrow = pytest.importorskip("pyarrow.parquet")
    buffer = io.BytesIO()
    arrow.write_table(FRAME.to_arrow(), buffer, compression=compression, data_page_version=version)
    assert read_parquet(buffer.getvalue(), "a.parquet").frame.to_dict(as_series=False) == FRAME.to_dict(
        as_series=False
    )
