"""A training tells this machine of itself: a small file in the user's cache folder, which the training locks
and removes at its end. Who reads it, such as the studio page, can follow the training and ask it to stop.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from elman.atomic import cache_folder, read_regular
from elman.ranks import is_first

try:
    import fcntl
except ImportError:  # on Windows, where trainings are not announced
    fcntl = None  # type: ignore[assignment]

MAX_FILE_BYTES: Final = 1 << 16
ENDING: Final = ".json"


@dataclass(frozen=True)
class Announced:
    """A training of this machine.

    Attributes:
        id: what it is asked for by; tells nothing of the folder.
        task: such as "classify".
        folder: of the run and its metrics.jsonl, absolute.
        process: its number.
        started: in seconds since 1970.
    """

    id: str
    task: str
    folder: str
    process: int
    started: float

    @property
    def name(self) -> str:
        """The last part of the folder."""
        return Path(self.folder).name

    def stop(self) -> bool:
        """Ask the training to end and to keep its best model, as Ctrl-C does; return whether it goes on."""
        if not is_alive(self):
            return False
        with suppress(ProcessLookupError):
            # a shell's background jobs ignore SIGINT
            os.kill(self.process, signal.SIGTERM)
        return True


def place() -> Path:
    """Return the folder of announcements, which only this user can read."""
    return cache_folder("trainings")


@contextmanager
def announced(task: str, folder: Path) -> Iterator[None]:
    """Announce a training within the block. Where that can't be done, it goes on unannounced."""
    announcement = _announce(task, folder) if fcntl is not None and is_first() else None
    try:
        yield
    finally:
        if announcement is not None:
            name, file = announcement
            with suppress(OSError):
                _file(name).unlink()
            file.close()


def _announce(task: str, folder: Path) -> tuple[str, IO[str]] | None:
    started, absolute = time.time(), str(folder.resolve())
    name = hashlib.sha256(f"{absolute} {started} {os.getpid()}".encode()).hexdigest()[:16]
    one = Announced(name, task, absolute, os.getpid(), started)
    try:
        place().mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(_file(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return None
    file = os.fdopen(handle, "w", encoding="utf-8")
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the system when the process dies
        file.write(json.dumps(asdict(one)))
        file.flush()
    except OSError:  # a full disk, or a file system without locks
        with suppress(OSError):
            _file(name).unlink()
        file.close()
        return None
    return name, file


def _file(name: str) -> Path:
    return place() / f"{name}{ENDING}"


def trainings() -> list[Announced]:
    """Return the trainings that go on, the latest first. Files that a killed training left are removed."""
    each = []
    with suppress(OSError):
        for file in place().glob(f"*{ENDING}"):
            one = _read(file)
            if one is not None and is_alive(one):
                each.append(one)
            elif one is not None:
                with suppress(OSError):
                    file.unlink()
    return sorted(each, key=lambda one: -one.started)


def is_alive(one: Announced) -> bool:
    """Return whether a training goes on: whether it holds the lock of its file."""
    if fcntl is not None:
        try:
            with _file(one.id).open("rb") as file:
                fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # it has gone
            pass
    return False


def _read(file: Path) -> Announced | None:
    """Return what a file announces; None for one that another user wrote, or no training."""
    try:
        if file.is_symlink() or file.stat().st_uid != os.getuid():
            return None
        values: dict[str, Any] = json.loads(read_regular(file, MAX_FILE_BYTES))
        one = Announced(
            str(values["id"]),
            str(values["task"]),
            str(values["folder"]),
            int(values["process"]),
            float(values["started"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return one if f"{one.id}{ENDING}" == file.name and one.process > 0 else None
