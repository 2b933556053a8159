"""Machine code on disk, for this user's next process: whoever can write there can run code as this user.

So a file counts only where nobody but this user and root can have put it: the folder, everything above it and
the file belong to one of them, and nobody else can write there (as sshd's StrictModes asks of a key). Every
check is of what is open, or of what lies in a folder that passed, so nothing can be exchanged afterwards.
"""

import hashlib
import os
import stat
import warnings
from pathlib import Path
from typing import Final

from elman.atomic import cache_folder, replace_cached

MAX_LINKS: Final = 40  # followed on the way to the folder, as Linux does
OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_WARNED: Final[set[Path]] = set()  # folders that were said to be of no use


class CacheWarning(UserWarning):
    """Kernels are compiled again in every process, because their folder can't be used."""


class _Unusable(Exception):
    """Why the folder can't be used, and what to do."""


def read(name: str) -> bytes | None:
    """Return the code kept under this name; None if there is none, or none that may be run."""
    folder = _folder()
    try:
        _require_private(folder)
        content = _content(folder / name)
    except FileNotFoundError:
        return None
    except (_Unusable, OSError) as error:
        _warn(folder, _reason(error, "read"))
        return None
    digest, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def write(name: str, code: bytes) -> None:
    """Keep code under this name, if the folder can be used; create it where it is missing."""
    folder = _folder()
    try:
        _require_private(folder, create=True)
        with replace_cached(folder / name) as file:
            file.write(hashlib.sha256(code).digest() + code)
    except (_Unusable, OSError) as error:
        _warn(folder, _reason(error, "written"))


def _folder() -> Path:
    return cache_folder("kernels").absolute()


def _reason(error: Exception, done: str) -> str:
    return f"it can't be {done} ({error.strerror or error})" if isinstance(error, OSError) else str(error)


def _warn(folder: Path, reason: str) -> None:
    """Warn of a folder once, whatever else is wrong with it."""
    if folder in _WARNED:
        return
    _WARNED.add(folder)
    warnings.warn(
        f"kernels are not kept in {folder}: {reason}; every process compiles them again until this is mended "
        "or the variable ELMAN_CACHE names a folder of your own that only you can write to",
        CacheWarning,
        stacklevel=2,
    )


def _require_private(folder: Path, create: bool = False) -> None:
    """Walk from the root to the folder, links included; raise _Unusable where others could change the way."""
    if not hasattr(os, "geteuid"):  # Windows keeps a user's folder from other users by other means
        return
    done, pending, links = Path(folder.anchor), list(reversed(folder.parts[1:])), 0
    _check(done, done.lstat(), above=True)
    while pending:
        part = pending.pop()
        if part == "..":
            done = done.parent
            continue
        entry = done / part
        if create and not os.path.lexists(entry):
            entry.mkdir(0o700, exist_ok=True)
        status = entry.lstat()
        _check(entry, status, above=bool(pending))
        if stat.S_ISDIR(status.st_mode):
            done = entry
            continue
        if not stat.S_ISLNK(status.st_mode):
            raise _Unusable(f"{entry} is no folder")
        links += 1
        if links > MAX_LINKS:
            raise _Unusable(f"{entry} is a link that leads in a circle")
        target = entry.readlink()
        if target.is_absolute():
            done = Path(target.anchor)
            pending += reversed(target.parts[1:])
        else:
            pending += reversed(target.parts)


def _check(path: Path, status: os.stat_result, above: bool = False) -> None:
    """Raise _Unusable if others own this or can write to it.

    `above` the cache, others may write to a folder whose entries only their owners can exchange, as in /tmp.
    """
    if status.st_uid not in (0, os.geteuid()):
        raise _Unusable(
            f"{path} belongs to another user, who could put code there that this process would run"
        )
    if stat.S_ISLNK(status.st_mode) or (above and status.st_mode & stat.S_ISVTX):
        return
    if status.st_mode & OTHERS:
        raise _Unusable(
            f"others can write to {path}, and could put code there for this process to run; "
            f"delete what you don't trust and use `chmod go-w {path}`"
        )


def _content(path: Path) -> bytes:
    """Read a file of a private folder; it must be private itself, and no link."""
    # without waiting for the other end of a pipe; Windows has neither flag
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _Unusable(f"{path} is no plain file")
        if hasattr(os, "geteuid"):
            _check(path, status)
        return file.read()
