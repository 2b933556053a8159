"""`elman look`: see what a model does with one input."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from elman.cli.options import Json, Model, show_result
from elman.errors import UsageError


def look(
    model: Model,
    data: Annotated[
        str | None, typer.Argument(metavar="INPUT", help="A text or a file; forecasts: the training series")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the report")] = Path(
        "elman-look.html"
    ),
    pictures: Annotated[
        Path | None, typer.Option(help="Folder in which to write the pictures as .png and .svg, too")
    ] = None,
    sequence: Annotated[int, typer.Option(help="Which input of a file to draw, counted from 0")] = 0,
    as_json: Json = False,
) -> None:
    """Look inside: what moved the answer, how far back the network remembers, where gradients go, what states
    and gates hold, and what is wrong. Writes one HTML report.

    Example: elman look runs/reviews "The movie was not good"

    Example: elman look runs/sales sales.csv --output sales.html --pictures pictures
    """
    from elman import artifact
    from elman.atomic import check_output, writing
    from elman.pretrained import refuse_name
    from elman.tasks import load
    from elman.tasks.early import require_input

    check_output(output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"the report is a page, such as look.html, not {output}; --pictures writes pictures")
    if pictures is not None:
        refuse_name(pictures, "a folder")
        with writing(pictures, UsageError):
            pictures.mkdir(parents=True, exist_ok=True)
    if data is not None:
        require_input(artifact.saved_task(model), data)
    loaded: Any = load(model)
    if data is None and loaded.task != "forecast":
        loaded.require_input(data)
    from elman.data.table.formats import input_lines
    from elman.lens.looking import look as looked

    source: Any = data
    if data is not None and os.path.isfile(data):  # noqa: PTH113
        source = Path(data)
    elif data is not None and loaded.task not in ("forecast", "transcribe"):  # which read no texts
        source = "\n".join(input_lines(data))
    view = loaded.view(source)
    report = looked(view, sequence=sequence, title=f"A look into {model} ({loaded.task})")
    report.save(output)
    lines = [str(report), "", f"The report with pictures: {output}"]
    if pictures is not None:
        lines.append(f"{len(report.save_pictures(pictures))} pictures: {pictures}")
    show_result(report.to_dict(), "\n".join(lines), as_json)
