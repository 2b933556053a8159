"""Answers as one table: a file for programs, or a terminal for people."""

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from elman.cli.streams import ESCAPES


def write(answers: Iterable[Any], path: Path) -> None:
    """Write answers as a table whose kind the ending tells, whole or not at all."""
    from elman.data.table.write import write_table

    write_table(_frame(answers), path)


def _frame(answers: Iterable[Any]) -> Any:
    import polars as pl

    rows = [{name: _clean(cell) for name, cell in answer.cells().items()} for answer in answers]
    return pl.DataFrame(rows, infer_schema_length=None)


def _clean(cell: Any) -> Any:
    """Return a cell whose text can be written: half a character, as broken input may hold, is escaped."""
    if isinstance(cell, list):
        return [_clean(part) for part in cell]
    return cell.encode(errors=ESCAPES).decode(errors="replace") if isinstance(cell, str) else cell


def show(answers: Iterable[Any]) -> None:
    """Print answers as a table that is as wide as the terminal, with numbers rounded to four digits and the
    stamps of a column in one form."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from elman.data.table.write import in_text

    frame = in_text(_frame(answers))
    columns = [cells for cells in frame if cells.null_count() < len(cells)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    printed = []
    for cells in columns:
        right = cells.dtype.is_numeric()
        table.add_column(Text(cells.name), justify="right" if right else "left", overflow="fold")
        inner = getattr(cells.dtype, "inner", cells.dtype)
        missing = "unsure" if cells.name == "label" else ""
        texts = (_printed(cell, inner.is_float()) for cell in cells.to_list())
        printed.append([missing if text is None else text for text in texts])
    for row in zip(*printed, strict=True):
        table.add_row(*map(Text, row))
    if columns:
        Console(file=sys.stdout, highlight=False).print(table)


def _printed(cell: Any, is_float: bool) -> str | None:
    from elman.data.table.write import decimals

    if cell is None:
        return None
    if isinstance(cell, list):
        return "; ".join(_printed(part, is_float) or "" for part in cell)
    if is_float:
        plain = math.isfinite(cell) and (not cell or 1e-4 <= abs(cell) < 1e12)
        return f"{cell:,.{decimals(cell)}f}" if plain else f"{cell:.4g}"
    # a tab or a line break would leave its column, an escape sequence could drive the terminal
    return "".join(mark if mark.isprintable() else " " for mark in str(cell))
