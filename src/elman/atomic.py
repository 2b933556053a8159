"""Files written whole or not at all, one clear error where that fails, and the folder of cached files."""

import errno
import math
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import platformdirs

from elman.errors import ElmanError, UsageError
from elman.pretrained import refuse_name

# What to do about an error of the operating system.
ADVICE: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space there"),
    errno.EISDIR: "name a file",
    errno.ENOENT: "name a file in a folder that exists",
    errno.EPIPE: "its reader has gone",
    errno.ENAMETOOLONG: "choose a shorter name",
}
# Names of what this process has open, such as a pipe of the shell, whose links lead nowhere.
DESCRIPTOR: Final = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/[^/]+/fd/\d+")


def as_path(value: Any, argument: str) -> Path:
    """Return a path. Raises UsageError, which names the argument, for a value that can be none."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str) or not path or "\0" in path:
        raise UsageError(f"{argument} must be a path, not {value!r:.60}")
    return Path(path)


def partial(path: Path) -> Path:
    """Return the temporary file beside `path`. Its name is fixed: the next attempt replaces a stale one."""
    return path.with_name(f".{path.name}.partial")


def is_partial(name: str) -> bool:
    """Return whether a name is that of a temporary file, which a killed process may leave."""
    return name.startswith(".") and name.endswith(".partial")


def open_regular(path: Path, most: float = math.inf) -> IO[bytes]:
    """Open a regular file to read; a link is followed. Raises OSError for anything else, such as a pipe or a
    device, which may never end, and for a file of more than `most` bytes."""
    # without O_NONBLOCK, opening a pipe waits for a writer
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    status = os.fstat(descriptor)
    error: OSError | None = None
    if stat.S_ISDIR(status.st_mode):
        error = IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    elif not stat.S_ISREG(status.st_mode):
        error = OSError(errno.EINVAL, "it is not a regular file", str(path))
    elif status.st_size > most:
        error = OSError(errno.EFBIG, f"it has more than {most} bytes", str(path))
    if error is not None:
        os.close(descriptor)
        raise error
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, most: float = math.inf) -> bytes:
    """Return the content of a regular file, as `open_regular`."""
    with open_regular(path, most) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # no more, if it grows


def write_partial(path: Path, content: bytes) -> None:
    """Write the temporary file of `path` and flush it to disk; the caller moves it to `path`."""
    with _fresh(partial(path)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replace_file(path: Path, *, follow: bool = True) -> Iterator[IO[bytes]]:
    """Write a temporary file, flush it to disk and move it to `path`; on an error `path` stays unchanged.

    The file keeps its permissions. What is no file but a pipe or a device is written to. A link stays, and
    what it leads to is replaced; without `follow` the link itself is replaced, as in folders that only this
    program writes.
    """
    path = Path(path)
    if follow and _is_special(path):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as file:
            yield file
        return
    if follow:
        path = Path(os.path.realpath(path))
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    temporary = partial(path)
    try:
        with _fresh(temporary) as file:
            if path.is_file() and not path.is_symlink():
                os.chmod(temporary, path.stat().st_mode & 0o777)  # noqa: PTH101
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_output(path: Path) -> None:
    """Raise UsageError if a file can't be written at `path`, before the work whose result it will hold."""
    refuse_name(path, "a file")
    with writing(path, UsageError):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        target = path if path.exists() else Path(os.path.realpath(path)).parent
        if target != path and not target.is_dir():
            target.stat()  # raises where it is missing
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _is_special(path: Path) -> bool:
    """Return whether a path leads to a pipe or a device, or is the name of an open descriptor."""
    if DESCRIPTOR.fullmatch(str(path)):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _fresh(temporary: Path) -> IO[bytes]:
    """Open a temporary file for writing; a stale one is removed, and not written through if it is a link."""
    temporary.unlink(missing_ok=True)
    return temporary.open("xb")


def cache_folder(kind: str) -> Path:
    """Return the folder of cached files of one kind, inside ELMAN_CACHE or the user's cache folder."""
    return Path(os.environ.get("ELMAN_CACHE") or platformdirs.user_cache_path("elman")) / kind


@contextmanager
def replace_cached(path: Path) -> Iterator[IO[bytes]]:
    """Write a cached file and create its folder. Processes may write the same file at once; the last wins."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):  # one by one: with `parents=True` only the last would be private
        folder.mkdir(0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        try:
            yield file
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: Path, kind: type[ElmanError]) -> Iterator[None]:
    """Raise `kind`, with advice, if the operating system fails to write `path`."""
    try:
        yield
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "name a folder that you may write to")
        raise kind(f"{path} can't be written ({error.strerror or error}): {advice}") from error


def null_if_infinite(value: Any) -> Any:
    """Return nested dicts and lists with None for NaN and infinity, which JSON doesn't have."""
    if isinstance(value, Mapping):
        return {key: null_if_infinite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [null_if_infinite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
