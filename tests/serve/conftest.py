"""One server for all tests of this folder."""

from collections.abc import Iterator

import pytest

from serving import Served, serving


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    with serving() as running:
        yield running
