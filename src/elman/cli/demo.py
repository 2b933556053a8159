"""`elman demo`: train on the data that elman ships, and write one HTML report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from elman.cli.options import Json, show_result
from elman.demo import KEYS

WIDTH = 80  # at most


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the report")] = Path(
        "elman-demo.html"
    ),
    only: Annotated[
        list[str] | None, typer.Option("--only", help=f"Only this part; may be repeated: {', '.join(KEYS)}")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what recurrent networks do: sentiment, next word, translation, talk, speech, forecasts, memory.

    Every model is trained on the spot, offline, on small data that elman ships; all of it takes about
    three minutes. The report has pictures.

    Example: elman demo --output report.html
    """
    from elman import demo as program

    show = None if as_json else _show
    result = program.run(output, only=only or (), progress=not as_json, show=show)
    show_result(result, f"\n{result['seconds']:.0f} seconds. The report with pictures: {output}", as_json)


def _show(part: Any, seconds: float) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console = Console(highlight=False, width=min(console.width, WIDTH))
    console.print()
    console.rule(f"{part.title} ({seconds:.0f} s)", align="left", style="dim")
    console.print(f"{part.about}\n", markup=False)
    if part.read:
        for words in part.read:
            console.print(" ".join(f"{word} {good:.0%}" for word, good in words), markup=False)
        console.print("(the probability of “good” after each word)\n")
    for each in (part.examples, part.table):
        if each is not None:
            console.print(_table(each))
    console.print(part.verdict, style="bold", markup=False)
    for note in part.notes:
        console.print(note, markup=False)


def _table(rows: Any) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for name in rows.head:
        table.add_column(name)
    for row in rows.rows:
        pairs = [cell if isinstance(cell, tuple) else (cell, False) for cell in row]
        table.add_row(*(Text(text, style="bold" if best else "") for text, best in pairs))
    return table
