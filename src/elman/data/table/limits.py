"""How much is read: a small gzip file, a pipe or a Parquet file can hold more than any memory."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from elman.errors import DataError, UsageError

VARIABLE: Final = "ELMAN_MAX_BYTES"
# Unless the variable says otherwise: what compressed data may unpack to, at least and as a multiple of their
# size (text compresses 3 to 30 times), and what a pipe may hold.
MIN_UNPACKED_BYTES: Final = 64 << 20
MAX_EXPANSION: Final = 100
MAX_PIPE_BYTES: Final = 1 << 30
UNITS: Final = ("", "K", "M", "G", "T")


def unpacked_limit(packed: int) -> int:
    """Return how many bytes a compressed file of `packed` bytes may unpack to."""
    return _chosen() or max(MIN_UNPACKED_BYTES, MAX_EXPANSION * packed)


def pipe_limit() -> int:
    """Return how many bytes are read from a pipe."""
    return _chosen() or MAX_PIPE_BYTES


def _chosen() -> int | None:
    """Return the bytes that the variable ELMAN_MAX_BYTES names, such as 8GB or 500000."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,3})?) ?([KMGT]?)I?B?", text.upper())
    if match is None:
        raise UsageError(f"{VARIABLE} is {text[:40]!r}; it should be a number of bytes, such as 8GB.")
    return int(float(match[1]) * 1000 ** UNITS.index(match[2]))


def bounded(blocks: Iterable[bytes], name: str, limit: int) -> Iterator[bytes]:
    """Yield the blocks. Raises DataError once they hold more than `limit` bytes."""
    total = 0
    for block in blocks:
        total += len(block)
        require_within(total, name, limit)
        yield block


def require_within(count: int, name: str, limit: int) -> None:
    """Raise DataError if the content of `name` is larger than `limit` bytes."""
    if count > limit:
        raise DataError(
            f"{name} holds more than {size(limit)}; if that is right, raise the limit with the variable "
            f"{VARIABLE}, such as {VARIABLE}={size(max(4 * limit, 8 * 10**9)).replace(' ', '')}."
        )


def require_memory(count: int, name: str) -> None:
    """Raise DataError if a file of `count` bytes is larger than the memory that is left."""
    left = _memory_left()
    if left is not None and count > left:
        raise DataError(f"{name} holds {size(count)}, but {size(left)} of memory are left; give a part.")


def _memory_left() -> int | None:
    try:
        match = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    except OSError:  # not Linux
        return None
    return int(match[1]) * 1024 if match else None


def size(count: int) -> str:
    """Return a number of bytes as text, such as "8 GB"."""
    power = min(max((len(str(count)) - 1) // 3, 0), len(UNITS) - 1)
    return f"{count / 1000**power:.3g} {UNITS[power]}B"
