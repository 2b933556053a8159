"""Ctrl-C as a wish to stop, not as a blow: the loop finishes its step, then ends."""

import signal
import threading
from types import FrameType
from typing import Any


class StopSignal:
    """While active, the first SIGINT or SIGTERM sets `stopped`; a second one acts as it did before.

    A signal that the process was told to ignore stays ignored (a shell does so for jobs in the background).
    Outside the main thread, where Python allows no handlers, nothing is caught.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
