"""Locks that outlive a fork: in the child, no thread is left that could let go of one."""

import os
import sys
import threading
import weakref
from typing import Any, Final

from elman.errors import UsageError

_LOCKS: Final["weakref.WeakSet[Lock]"] = weakref.WeakSet()


class Lock:
    """A lock around one object's memory, to be used as a context.

    In a process that was forked while another thread held it, an object with a state may be half changed:
    then entering raises UsageError rather than waiting for ever. One with scratch memory alone goes on.
    """

    def __init__(self, what: str = "") -> None:
        """`what` is the object with a state, "" for scratch memory."""
        self._lock, self._what, self._broken = threading.Lock(), what, False
        _LOCKS.add(self)

    def __enter__(self) -> None:
        if self._broken:
            use = "was in use by another thread when the process was forked"
            raise UsageError(f"this {self._what} {use}: make another one")
        self._lock.acquire()

    def __exit__(self, *error: Any) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Begin in a forked child."""
        self._broken = self._broken or (bool(self._what) and self._lock.locked())
        self._lock = threading.Lock()


def _renew_all() -> None:
    for lock in _LOCKS:
        lock.renew()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_renew_all)
