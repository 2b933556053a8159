"""What the fixtures that call the command line share."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from elman.training.signals import STOPPING

Call = Callable[..., tuple[int, str, str]]


class Done(NamedTuple):
    """What a call of `elman` left: its exit code, standard output, and standard error on one line."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]
Trained = Callable[[str], Path]


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Restore the handlers of signals, which the command line sets for the process that it is."""
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
