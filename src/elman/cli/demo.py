"""`elman demo`: train on the data that elman ships, and write one HTML report."""

from pathlib import Path
from typing import Annotated

import typer

from elman.cli.options import Json, show_result


def demo(
    output: Annotated[Path, typer.Option("--output", help="Where to write the report")] = Path(
        "elman-demo.html"
    ),
    as_json: Json = False,
) -> None:
    """Train on real stock, weather and sales figures and on a memory task; write one HTML report.

    Example: elman demo --output report.html
    """
    from elman import demo as program

    result = program.run(output, progress=not as_json)
    show_result(result, f"{program.summary(result)}\n\nThe report with pictures: {output}", as_json)
