"""Parquet files, whose footer and pages say how large they are when unpacked."""

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from elman.data.table.formats import Parsed
from elman.data.table.limits import require_within, unpacked_limit
from elman.errors import DataError
from elman.lazy import Lazy

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

MAGIC: Final = b"PAR1"
CELL_BYTES: Final = 16  # of memory that a cell takes without its text
# Fields of the footer and of the headers of pages: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
ROW_GROUPS: Final = 4  # of a file
COLUMNS, TOTAL_BYTES = 1, 2  # of a row group; the latter is the size of all its columns when unpacked
METADATA: Final = 3  # of a column
NUM_VALUES, PACKED_BYTES, DATA_OFFSET, DICTIONARY_OFFSET = 5, 7, 9, 11  # of its metadata
PAGE_BYTES, PACKED_PAGE_BYTES = 2, 3  # of a page, unpacked and in the file
DATA_PAGES: Final = (5, 8)  # headers of either version within that of a page
PAGE_VALUES: Final = 1  # of the header of a data page
MAX_DEPTH: Final = 16  # of the footer's structures and lists; Parquet nests about ten


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
    """Return how much memory the table will take, by the numbers in the file's footer and, as that may be
    wrong, by those that unpacking goes by: the headers of its pages."""
    length = int.from_bytes(data[-8:-4], "little")
    if data[:4] != MAGIC or data[-4:] != MAGIC or length > len(data) - 12:
        raise ValueError("no footer")
    footer = _Thrift(data[-8 - length : -8]).struct()
    groups = footer.get(ROW_GROUPS, [])
    columns = [column[METADATA] for group in groups for column in group[COLUMNS]]
    pages = [page for column in columns for page in _pages(data, column)]
    values = sum(page[kind][PAGE_VALUES] for page in pages for kind in DATA_PAGES if kind in page)
    cells = max(values, sum(column[NUM_VALUES] for column in columns))
    total = max(sum(page[PAGE_BYTES] for page in pages), sum(group[TOTAL_BYTES] for group in groups))
    return int(max(cells * CELL_BYTES, total))


def _pages(data: bytes, column: dict[int, Any]) -> Iterator[dict[int, Any]]:
    """Yield the headers of a column's pages, which lie one after another."""
    start = min(column[DATA_OFFSET], column.get(DICTIONARY_OFFSET) or column[DATA_OFFSET])
    end = start + column[PACKED_BYTES]
    if not len(MAGIC) <= start <= end <= len(data):
        raise ValueError("pages outside of the file")
    while start < end:
        header = _Thrift(data, start)
        page = header.struct()
        start = header.at + page[PACKED_PAGE_BYTES]
        if page[PAGE_BYTES] < 0 or page[PACKED_PAGE_BYTES] < 0 or start > end:
            raise ValueError("a page of an impossible size")
        yield page


class _Thrift:
    """Reads the compact protocol of Thrift: structures become dicts by the numbers of their fields."""

    def __init__(self, data: bytes, start: int = 0) -> None:
        self._data, self.at = data, start

    def struct(self, depth: int = 0) -> dict[int, Any]:
        fields, number = dict[int, Any](), 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
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
        self.at += 1
        return self._data[self.at - 1]

    def _bytes(self, count: int) -> bytes:
        self.at += count
        if self.at > len(self._data):
            raise ValueError("cut off")
        return self._data[self.at - count : self.at]

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128 and shift < 64:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _signed(self) -> int:
        value = self._unsigned()
        return value >> 1 ^ -(value & 1)
