"""One writer at a time in a model's folder: a lock that the kernel releases when its process dies."""

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from elman.errors import UsageError
from elman.ranks import is_first

try:
    import fcntl
except ImportError:  # on Windows, where the content of the file decides
    fcntl = None  # type: ignore[assignment]

LOCK_FILE: Final = ".elman.lock"
SAVE_SECONDS: Final = 2.0  # that a save waits for another save
RETRY_SECONDS: Final = 0.02
MAX_NOTE_BYTES: Final = 1000
UNSUPPORTED: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # some network file systems


@dataclass
class _Lock:
    handle: int
    process: int  # a forked child inherits the handle, but not the duty to remove the file
    thread: int
    count: int = 1


_locks: Final[dict[Path, _Lock]] = {}  # those of this process


def acquire(folder: Path, seconds: float = 0.0) -> Path:
    """Lock a folder, if need be after waiting; return what `release` takes. A thread may lock a folder again.

    Raises UsageError if another process or thread has locked it, OSError if the folder can't be written.
    """
    file = folder.resolve() / LOCK_FILE
    deadline = time.monotonic() + seconds
    while not _try(file):
        if time.monotonic() >= deadline:
            raise UsageError(
                f"{folder} is in use by {_holder(file)}: wait for its end, or name another folder"
            )
        time.sleep(RETRY_SECONDS)
    return file


def release(file: Path) -> None:
    """Unlock a folder and remove the file of the lock, unless this thread has locked it more often."""
    lock = _locks.get(file)
    if lock is None or lock.process != os.getpid():
        return
    lock.count -= 1
    if lock.count:
        return
    del _locks[file]
    with suppress(OSError):
        # before it is closed: who opened it in the meantime finds that it has gone, and opens a new one
        if _is_current(file, lock.handle):
            file.unlink()
        os.close(lock.handle)


def check(folder: Path) -> None:
    """Raise UsageError if a folder is locked. Of several processes that train together the first holds the
    lock; the others need not ask."""
    if not is_first() or not (folder / LOCK_FILE).exists():
        return
    with suppress(OSError):
        release(acquire(folder))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock a folder for a save, if there is one yet. Raises as `acquire` does."""
    if not folder.is_dir():
        yield
        return
    file = acquire(folder, SAVE_SECONDS)
    try:
        yield
    finally:
        release(file)


def _try(file: Path) -> bool:
    thread, lock = threading.get_ident(), _locks.get(file)
    if lock is not None and (lock.process, lock.thread) == (os.getpid(), thread):
        lock.count += 1
        return True
    handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        if not _lock(handle) or not _is_current(file, handle):
            os.close(handle)
            return False
        note = {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T")}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(note).encode(), 0)
    except BaseException:
        os.close(handle)
        raise
    _locks[file] = _Lock(handle, os.getpid(), thread)
    return True


def _lock(handle: int) -> bool:
    """Lock an open file; return False if it is locked."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
    return not _is_alive(_note(os.pread(handle, MAX_NOTE_BYTES, 0)))


def _is_current(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _note(content: bytes) -> dict[str, Any]:
    try:
        note = json.loads(content)
        return {"process": int(note["process"]), "host": str(note["host"]), "since": str(note["since"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _is_alive(note: dict[str, Any]) -> bool:
    """Return whether the process of a note may be alive: on another machine it may."""
    if not note or note["host"] != socket.gethostname():
        return bool(note)
    try:
        os.kill(note["process"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _holder(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            note = _note(opened.read(MAX_NOTE_BYTES))
    except OSError:
        note = {}
    if not note:
        return "another training"
    place = "" if note["host"] == socket.gethostname() else f" on {note['host']}"
    return f"another training (process {note['process']}{place}, since {note['since']})"
