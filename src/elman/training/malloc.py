"""Freed memory is kept while a network trains.

A step frees and asks for the same large blocks again and again. The C library gives those back to the kernel
each time, which then clears every page anew: a fifth of a step's time where many words can follow.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

# mallopt(3): names of its parameters, and what is set while training and afterwards, in bytes.
TRIM, MMAP = -1, -3
KEEPING: Final = {MMAP: 1 << 30, TRIM: (1 << 31) - 1}
USUAL: Final = {MMAP: 1 << 25, TRIM: 1 << 26}  # where glibc's own rule ends up with large blocks


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep what is freed inside; elsewhere than with glibc nothing changes."""
    library = _glibc()
    if library is None:
        yield
        return
    _set(library, KEEPING)
    try:
        yield
    finally:
        _set(library, USUAL)
        library.malloc_trim(0)


def _set(library: Any, values: dict[int, int]) -> None:
    for parameter, value in values.items():
        if not library.mallopt(parameter, value):  # older ones take no more than this
            library.mallopt(parameter, USUAL[parameter])


@cache
def _glibc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt") else None
