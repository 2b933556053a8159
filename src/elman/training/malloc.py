"""Keep freed memory in the process while a network trains.

Every step frees and allocates the same large blocks. The C library returns them to the operating system each
time, which then has to clear every page again: a fifth of a step's time for a language model.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

# Parameters of mallopt(3) and their values in bytes, while training and afterwards.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
RETAINING: Final = {MMAP_THRESHOLD: 1 << 30, TRIM_THRESHOLD: (1 << 31) - 1}
USUAL: Final = {MMAP_THRESHOLD: 1 << 25, TRIM_THRESHOLD: 1 << 26}  # glibc's own after large blocks


@contextmanager
def retain_freed_memory() -> Iterator[None]:
    """Keep memory that is freed inside this context; does nothing without glibc."""
    library = _glibc()
    if library is None:
        yield
        return
    _set(library, RETAINING)
    try:
        yield
    finally:
        _set(library, USUAL)
        library.malloc_trim(0)


def _set(library: Any, values: dict[int, int]) -> None:
    for parameter, value in values.items():
        if not library.mallopt(parameter, value):  # older versions have lower limits
            library.mallopt(parameter, USUAL[parameter])


@cache
def _glibc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt") else None
