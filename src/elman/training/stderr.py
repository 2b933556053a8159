"""Standard error as a place for news of a training, which must not end because the news can't be written."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class Unfailing:
    """A text stream whose errors don't count: a closed terminal, a full disk, a reader that has gone."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        # RuntimeError: a signal has interrupted another write; ValueError: the stream is closed
        with suppress(OSError, RuntimeError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, RuntimeError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        with suppress(AttributeError, ValueError):
            return bool(self._stream.isatty())
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def silenced(silent: bool = True) -> Iterator[None]:
    """Keep warnings about data from being repeated by whoever reads the data again."""
    log = logging.getLogger("elman")
    before, log.disabled = log.disabled, silent or log.disabled
    try:
        yield
    finally:
        log.disabled = before


def stderr() -> TextIO:
    """Return today's standard error, which is None in a program without a terminal."""
    return cast(TextIO, Unfailing(sys.stderr))


def say(text: str) -> None:
    """Print a line on standard error, if there is one."""
    if sys.stderr is not None:
        print(text, file=stderr(), flush=True)
