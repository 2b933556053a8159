"""Ctrl-C and requests to terminate: the loop finishes its step, the model is saved, then the process ends."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NoReturn

# SIGHUP, which Windows lacks, is what a closed terminal sends.
STOPPING: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interrupted(Exception):
    """Work that a signal cuts short, and that can be taken up again."""


class StopSignal:
    """While active, the first of the signals sets `number`; the next has its previous effect.

    Signals that the process ignores stay ignored, as in a shell's background jobs. Outside the main thread,
    where Python allows no handlers, nothing is caught. `heard` is called with the signal when it arrives.
    """

    def __init__(self, heard: Callable[[int], None] | None = None) -> None:
        self.number: int | None = None
        self._heard, self._abort = heard, False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING:
                # None: a handler that was not set from Python, and could not be restored
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    @contextmanager
    def aborting(self) -> Iterator[None]:
        """Raise Interrupted as soon as a signal arrives inside this context, or has arrived before it."""
        if self.number is not None:
            raise Interrupted
        self._abort = True
        try:
            yield
        finally:
            self._abort = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()
        if self._heard is not None:
            self._heard(number)
        if self._abort:
            raise Interrupted

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Interrupted in this context after some seconds; in the main thread only, and where there is
    SIGALRM."""
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "SIGALRM") or signal.getsignal(signal.SIGALRM) is None:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    previous = signal.signal(signal.SIGALRM, ring)
    try:
        timer = signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, *timer)
    finally:  # also if the alarm rings in the line above
        signal.signal(signal.SIGALRM, previous)


def end(number: int, sentence: str, say: Callable[[str], None]) -> NoReturn:
    """End as the signal would have ended the process, now that its work is saved.

    A handler of the caller's own is called. Then, or if there is none: KeyboardInterrupt for Ctrl-C, else
    SystemExit with 128 and the signal's number, the exit code of a shell.
    """
    handler = signal.getsignal(number)
    if number == signal.SIGINT and not callable(handler):
        handler = signal.default_int_handler
    if handler is not signal.default_int_handler:  # whose exception carries the sentence
        say(sentence)
        if callable(handler):
            handler(number, None)
    if number == signal.SIGINT:
        raise KeyboardInterrupt(sentence)
    raise SystemExit(128 + number)
