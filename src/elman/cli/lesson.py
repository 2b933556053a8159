"""`elman lesson`: the lesson on recurrent networks, step by step."""

import json
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from elman.cli.options import Json


def lesson(
    pages: Annotated[list[int] | None, typer.Argument(help="Page numbers; all pages if omitted")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the pictures; a temporary one if omitted"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the lesson on recurrent networks: sequences, memory, vanishing gradients, gates, applications.

    Every figure is computed and every picture drawn while you read. In a terminal, press Enter to go on.

    Example: elman lesson --output pictures
    """
    from elman.atomic import writing
    from elman.errors import UsageError
    from elman.lesson.pages import chosen_pages

    chosen = chosen_pages(pages)
    if output is not None:
        with writing(output, UsageError):
            output.mkdir(parents=True, exist_ok=True)
    # the pictures are looked at after the command, unless it prints figures for a machine
    folder = output or (None if as_json else Path(tempfile.mkdtemp(prefix="elman-lesson-")))
    with tempfile.TemporaryDirectory() if folder is None else nullcontext(folder) as place:
        results = [_run(page, Path(place), output, as_json) for page in chosen]
    if as_json:
        print(json.dumps({"pages": results}, ensure_ascii=False))
    else:
        print(f"The pictures are in {folder}")


def _run(page: Any, folder: Path, output: Path | None, as_json: bool) -> dict[str, Any]:
    """Run a page and show it; return its figures."""
    from rich.console import Console

    console, printed, pictures = Console(highlight=False), [], []
    waits = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    if not as_json:
        console.rule(f"{page.number}. {page.title}")
    for step in page.steps(folder):
        printed += [step.printed] if step.printed else []
        pictures += [step.picture] if step.picture else []
        if not as_json:
            _show(console, step, folder)
            if waits and step.kind == "code":
                console.input("[dim]Enter: go on[/dim] ")
    values = {"seconds": round(page.seconds, 1), "printed": printed, "figures": page.figures()}
    where = {} if output is None else {"pictures": [str(folder / name) for name in pictures]}
    return {"page": page.number, "name": page.name, "title": page.title} | values | where


def _show(console: Any, step: Any, folder: Path) -> None:
    from rich.markdown import Markdown
    from rich.syntax import Syntax

    if step.kind == "prose":
        console.print(Markdown(step.text, hyperlinks=False))
    elif step.kind == "code":
        console.print(Syntax(step.text.rstrip(), "python", background_color="default", word_wrap=True))
        console.print(f"\n{step.printed}", markup=False, end="")
    else:
        console.print(f"Picture: {folder / step.picture}\n{step.text}", markup=False, soft_wrap=True)
    console.print()
