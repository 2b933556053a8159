"""What several commands of the command line take and do."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

Data = Annotated[
    str, typer.Argument(help="CSV, TSV, JSONL, Parquet or text file; - for standard input; hf:user/name")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines")]
Header = Annotated[
    bool, typer.Option("--header/--no-header", help="Whether the first line names the columns")
]
Int8 = Annotated[bool, typer.Option("--int8", help="Read weights rounded to 8 bits: faster, less precise")]
Save = Annotated[
    Path | None, typer.Option("--save", help="Folder for the model  [default: runs/NAME OF DATA]")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped or killed")]
Force = Annotated[bool, typer.Option("--force", help="Replace a model or an unfinished run in that folder")]
Cell = Annotated[
    str | None, typer.Option("--cell", help="Recurrence: lstm, gru, elman, ...; see `elman show`")
]
Hidden = Annotated[int | None, typer.Option("--hidden", help="Units of a layer")]
Layers = Annotated[int | None, typer.Option("--layers", help="Layers")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Passes over the training data")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other setting; repeatable")
]
Model = Annotated[Path, typer.Argument(help="Folder of a trained model")]


def first_process() -> bool:
    """Whether this is the process that speaks, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"


def show_result(result: Any, text: str, as_json: bool) -> None:
    """Print a result, once however many processes there are."""
    if first_process():
        print(json.dumps(result, ensure_ascii=False) if as_json else text)
