"""Standard streams as services, cron and pipes leave them: closed, full, without reader, of any encoding."""

import codecs
import errno
import io
import json
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, Final, TextIO

ENDING: Final = ("SIGINT", "SIGTERM", "SIGHUP")
ESCAPES: Final = "elman.escapes"  # name of the handler of characters that an encoding lacks
# Which stream an error of no file must be about.
PLACES: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "standard output"),
    errno.EISDIR: "standard input",
}
READER_GONE: Final = 128 + 13  # exit code of what SIGPIPE ends


class Ended(SystemExit):
    """A signal has ended the program."""


class Closed(io.RawIOBase):
    """In place of a stream that the caller has closed: it is missed only when it is used."""

    def __init__(self, name: str, silent: bool = False) -> None:
        self.place, self._silent = name, silent

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise OSError(errno.EBADF, "it is closed", self.place)

    def write(self, data: Any) -> int:
        if self._silent:
            return len(data)
        self._silent = True  # Python tries again when it ends
        raise OSError(errno.EBADF, "it is closed", self.place)


def prepare() -> None:
    """Make the standard streams usable, and let signals end the program without a traceback."""
    for number in range(3):
        _occupy(number)
    codecs.register_error(ESCAPES, _escape)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(Closed("standard input")))
    if sys.stdout is None:
        sys.stdout = _writer(Closed("standard output"))
    if sys.stderr is None:
        sys.stderr = _writer(Closed("standard error", silent=True))
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, ESCAPES)):
        with suppress(AttributeError, ValueError):  # of a stream that is no file
            stream.reconfigure(errors=errors)  # type: ignore[union-attr]
    for number in _signals(signal.SIG_DFL, signal.default_int_handler):
        signal.signal(number, _exit)


def finish(code: Any) -> Any:
    """Write what is left in standard output; return the exit code, another one if that fails."""
    for number in _signals(_exit):
        signal.signal(number, signal.SIG_DFL)  # nothing is left to tidy up
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or failed(error)
        _drop(sys.stdout)
    except ValueError:  # it has been closed
        code = code or 1
    return code


def failed(error: OSError) -> int:
    """Say why a stream or a file can't be used; return the exit code. A reader that has gone is no news."""
    if error.errno == errno.EPIPE:
        return READER_GONE
    place = error.filename or PLACES.get(error.errno or 0, "a standard stream")
    complain(f"{place}: {error.strerror}" if error.strerror else str(error))
    return 1


def complain(sentence: str) -> None:
    """Print a sentence on standard error, where there is one."""
    with suppress(OSError, ValueError):
        print(f"elman: {sentence}", file=sys.stderr, flush=True)


def _writer(raw: io.RawIOBase) -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", ESCAPES, write_through=True)


def _occupy(number: int) -> None:
    """Keep the next file that is opened from taking the place of a closed standard stream."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)


def _drop(stream: TextIO) -> None:
    """Forget what could not be written, so that Python does not try again when it ends."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _escape(error: Any) -> tuple[str, int]:
    """Write characters that an encoding lacks, and halves of surrogate pairs, as JSON does."""
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _signals(*handlers: Any) -> list[int]:
    """Return the signals that end a program and have one of these handlers."""
    numbers = (getattr(signal, name, None) for name in ENDING)
    return [n for n in numbers if n is not None and signal.getsignal(n) in handlers]


def _exit(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            # an import may swallow an exception, or crash by it; there is nothing to tidy up yet
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        frame = frame.f_back
    raise Ended(128 + number)
