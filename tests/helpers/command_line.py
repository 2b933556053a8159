"""Types of the fixtures that call the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

Call = Callable[..., tuple[int, str, str]]


class Done(NamedTuple):
    """What a call of `elman` left: its exit code, standard output, and standard error on one line."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]
Trained = Callable[[str], Path]
