"""Files that are written whole or not at all, and one sentence where they can't be written."""

import errno
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from elman.errors import ElmanError


def partial(path: Path) -> Path:
    """The neighbour in which a file grows. Its name is fixed, so the next try replaces what a kill left."""
    return path.with_name(f".{path.name}.partial")


def is_partial(name: str) -> bool:
    """Whether a file of this name is what a kill may have left of another file."""
    return name.startswith(".") and name.endswith(".partial")


def write_partial(path: Path, content: bytes) -> None:
    """Write the neighbour of `path` and force it to disk; moving it onto `path` is left to the caller."""
    with partial(path).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replace_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a temporary neighbour, force it to disk, move it onto `path`; an error leaves `path` alone."""
    temporary = partial(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def writing(place: Path, kind: type[ElmanError]) -> Iterator[None]:
    """Raise `kind` where the operating system refuses to write `place`: one sentence with what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "free some space there" if full else "name a folder that you may write to"
        raise kind(f"{place} can't be written ({error.strerror or error}): {advice}") from error


def finite(value: Any) -> Any:
    """The same nest of dicts and lists with null in place of the numbers that JSON doesn't have."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
