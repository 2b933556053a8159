"""Answers as one table: a file for programs, or a terminal for people."""

import math
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from elman.cli.streams import ESCAPES


def write(answers: Iterable[Any], path: Path) -> None:
    """Write answers as a table whose kind the ending tells, whole or not at all."""
    import polars as pl

    from elman.data.table.write import write_table

    rows = [{name: _clean(cell) for name, cell in answer.cells().items()} for answer in answers]
    write_table(pl.DataFrame(rows, infer_schema_length=None), path)


def _clean(cell: Any) -> Any:
    """Return a cell whose text can be written: half a character, as broken input may hold, is escaped."""
    if isinstance(cell, list):
        return [_clean(part) for part in cell]
    return cell.encode(errors=ESCAPES).decode(errors="replace") if isinstance(cell, str) else cell


def show(answers: Iterable[Any]) -> None:
    """Print answers as a table that is as wide as the terminal, with numbers rounded to four digits."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [answer.cells() for answer in answers]
    names = [name for name in (rows[0] if rows else ()) if any(row[name] is not None for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        right = all(isinstance(row[name], float | int | None) for row in rows)
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in _with_stamps(rows):
        table.add_row(*(Text(_printed(row[name])) for name in names))
    if rows:
        Console(file=sys.stdout, highlight=False).print(table)


def _with_stamps(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows whose stamps are text, without the parts that are zero in the whole column."""
    import polars as pl

    from elman.data.table.write import in_text

    names = [name for name, cell in rows[0].items() if isinstance(cell, date)] if rows else []
    if not names:
        return rows
    stamps = in_text(pl.DataFrame([{name: row[name] for name in names} for row in rows]))
    return [row | texts for row, texts in zip(rows, stamps.to_dicts(), strict=True)]


def _printed(cell: Any) -> str:
    from elman.data.table.write import decimals

    if cell is None:
        return "unsure"
    if isinstance(cell, list):
        return "; ".join(map(_printed, cell))
    if isinstance(cell, float):
        plain = math.isfinite(cell) and (not cell or 1e-4 <= abs(cell) < 1e12)
        return f"{cell:,.{decimals(cell)}f}" if plain else f"{cell:.4g}"
    # a tab or a line break would leave its column, an escape sequence could drive the terminal
    return "".join(mark if mark.isprintable() else " " for mark in str(cell))
