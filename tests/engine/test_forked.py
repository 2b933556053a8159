"""Locks of objects that are in use while a process forks."""

import os
import sys
import threading
from collections.abc import Callable

import pytest

from elman.engine.forked import Lock
from elman.errors import UsageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


def in_child(check: Callable[[], bool]) -> int:
    """Return the exit code of a child that makes the check: 0 if it holds."""
    child = os.fork()
    if not child:
        try:
            os._exit(0 if check() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def refuses(lock: Lock) -> bool:
    try:
        with lock:
            return False
    except UsageError as error:
        return "this thing was in use by another thread when the process was forked" in str(error)


def enters(lock: Lock) -> bool:
    with lock:
        return True


@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
@pytest.mark.parametrize(("what", "check"), [("thing", refuses), ("", enters)])
def test_a_lock_that_another_thread_holds_is_refused_in_a_forked_child(
    what: str, check: Callable[[Lock], bool]
) -> None:
    lock, held, done = Lock(what), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert in_child(lambda: check(lock)) == 0
    finally:
        done.set()
        thread.join()
    assert enters(lock), "the parent goes on"


@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_free_lock_is_free_in_a_forked_child() -> None:
    lock = Lock("thing")
    assert in_child(lambda: enters(lock)) == 0
    assert enters(lock)
