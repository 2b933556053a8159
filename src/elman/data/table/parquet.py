"""Parquet files, whose footer says how large they are when unpacked."""

from io import BytesIO
from typing import Any, Final

import polars as pl

from elman.data.table.formats import Parsed
from elman.data.table.limits import require_within, unpacked_limit
from elman.errors import DataError

MAGIC: Final = b"PAR1"
CELL_BYTES: Final = 16  # of memory, at most, for a cell without its text
# Fields of the footer: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
ROW_GROUPS: Final = 4  # of a file
COLUMNS, TOTAL_BYTES = 1, 2  # of a row group; the latter is the size of all its columns when unpacked
METADATA: Final = 3  # of a column
NUM_VALUES: Final = 5  # of its metadata
MAX_DEPTH: Final = 16  # of the footer's structures; Parquet nests five


def read_parquet(data: bytes, name: str) -> Parsed:
    """Read a Parquet file.

    Raises:
        DataError: the bytes are not a complete Parquet file, it holds no rows, or it would unpack to more
            than `unpacked_limit`.
    """
    try:
        require_within(_unpacked_bytes(data), name, unpacked_limit(len(data)))
        frame = pl.read_parquet(BytesIO(data))
        texts = [
            cells.cast(pl.String) for cells in frame if cells.dtype in (pl.String, pl.Categorical, pl.Enum)
        ]
        # a long text may stand in the file once, and in each row
        characters = sum(cells.str.len_bytes().cast(pl.Int64).sum() for cells in texts)
        require_within(int(characters), name, unpacked_limit(len(data)))
    except (IndexError, KeyError, TypeError, ValueError) as problem:
        if isinstance(problem, DataError):
            raise
        raise DataError(f"{name} is not a complete Parquet file; write it again.") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as problem:
        reason = (str(problem).splitlines() or ["damaged"])[0]
        raise DataError(f"{name} is not a complete Parquet file ({reason}); write it again.") from None
    if frame.is_empty():
        raise DataError(f"{name} holds no rows; it should hold at least one.")
    return Parsed(frame, first_row=1)


def _unpacked_bytes(data: bytes) -> int:
    """Return how much memory the table will take at least, by the numbers in the file's footer."""
    length = int.from_bytes(data[-8:-4], "little")
    if data[:4] != MAGIC or data[-4:] != MAGIC or length > len(data) - 12:
        raise ValueError("no footer")
    footer = _Thrift(data[-8 - length : -8]).struct()
    groups = footer.get(ROW_GROUPS, [])
    cells = sum(column[METADATA][NUM_VALUES] for group in groups for column in group[COLUMNS])
    return int(max(cells * CELL_BYTES, sum(group[TOTAL_BYTES] for group in groups)))


class _Thrift:
    """Reads the compact protocol of Thrift: structures become dicts by the numbers of their fields."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        fields, number = dict[int, Any](), 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2:  # true and false, as fields
                return kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:  # integers of 16, 32, 64 bits
                return self._signed()
            case 7:
                return self._bytes(8)
            case 8:
                return self._bytes(self._unsigned())
            case 9 | 10:  # lists and sets
                head = self._byte()
                count = head >> 4 if head >> 4 < 15 else self._unsigned()
                of_flags = head & 15 in (1, 2)
                return [self._byte() if of_flags else self._value(head & 15, depth + 1) for _ in range(count)]
            case 12:
                return self.struct(depth + 1)
        raise ValueError(f"type {kind}")  # 11, a map, does not occur in a footer

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._data):
            raise ValueError("cut off")
        return self._data[self._at - count : self._at]

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128 and shift < 64:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _signed(self) -> int:
        value = self._unsigned()
        return value >> 1 ^ -(value & 1)
