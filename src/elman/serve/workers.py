"""Several processes that serve at one port: the kernel spreads the connections over them.

Each process has its own models, sessions and numbers. They are forked before PyTorch is imported.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from elman.errors import UsageError
from elman.serve.log import note

FORWARDED: Final = (signal.SIGTERM, signal.SIGINT)
SHORT_SECONDS: Final = 2.0  # a process that lives no longer would not live when started again


def supervise(count: int, work: Callable[[], None]) -> int:
    """Run `work` in so many processes until a signal ends them; start one again that died. Return the exit
    code: 1 if one could not start. Raises UsageError where processes can't share a port."""
    if not hasattr(socket, "SO_REUSEPORT") or not hasattr(os, "fork"):
        raise UsageError("--workers needs Linux, where processes can share a port: leave it out")
    group = _Group(work)
    for _ in range(count):
        group.start()
    return group.wait()


class _Group:
    """The processes, by number, and when each was started."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work, self._code, self._is_ending = work, 0, False
        self._started: dict[int, float] = {}
        for number in FORWARDED:
            signal.signal(number, self._forward)

    def start(self) -> None:
        # a signal now would reach a child that has the parent's handlers, and no parent that knows of it
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        if not self._is_ending:
            process = os.fork()
            if not process:
                self._run()
            self._started[process] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)

    def _run(self) -> NoReturn:
        """Do the work in a child, which hears of Ctrl-C from its parent alone."""
        code = 1
        try:
            os.setpgid(0, 0)
            for number in FORWARDED:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
            self._work()
            code = 0
        except Exception as error:  # which nobody else would tell
            note("worker failed", error=type(error).__name__, reason=str(error))
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _forward(self, number: int, _: Any) -> None:
        self._is_ending = True
        for process in self._started:
            os.kill(process, number)

    def wait(self) -> int:
        """Wait for all to end."""
        while self._started:
            process, status = os.wait()
            lived = time.monotonic() - self._started.pop(process)
            if self._is_ending:
                continue
            code = os.waitstatus_to_exitcode(status)
            note("worker died", process=process, code=code)
            if code >= 0 and lived < SHORT_SECONDS:
                self._code = 1
                self._forward(signal.SIGTERM, None)
            else:
                if lived < SHORT_SECONDS:  # killed as it began: not again at once
                    time.sleep(SHORT_SECONDS - lived)
                self.start()
        return self._code
