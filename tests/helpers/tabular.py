"""Small helpers for tests of tables."""

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings

from elman.data.table.table import Table

# One folder serves all the examples of a property; each overwrites the file of the last.
FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(table: Table) -> list[tuple[Any, ...]]:
    return table.frame.rows()
