"""One server for all tests of this folder."""

import io
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from elman.serve import log
from serving import Served, serving


class Captured:
    """`sys` for the log: its lines between two tests, which pytest does not capture, are dropped."""

    @property
    def stderr(self) -> TextIO:
        return io.StringIO() if sys.stderr is sys.__stderr__ else sys.stderr


@pytest.fixture(scope="session", autouse=True)
def quiet_between_tests() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "sys", Captured())
        yield


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    with serving() as running:
        yield running
