"""Options and helpers that several commands share."""

import inspect
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import MISSING
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from elman.errors import UsageError
from elman.pretrained import folder_of
from elman.ranks import is_first
from elman.settings import Row

Data = Annotated[
    str, typer.Argument(help="CSV, TSV, JSONL, Parquet or text file; - for standard input; hf:user/name")
]
OptionalData = Annotated[
    str | None,
    typer.Argument(help="Recordings with their texts: a folder, CSV, TSV, JSONL, Parquet; hf:user/name"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines")]
Header = Annotated[
    bool, typer.Option("--header/--no-header", help="Whether the first line names the columns")
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Skip rows that can't be used, and say how many and which is first")
]
Int8 = Annotated[bool, typer.Option("--int8", help="Round weights to 8 bits: faster, less precise")]
Seed = Annotated[int | None, typer.Option("--seed", help="Random seed")]
Model = Annotated[Path, typer.Argument(help="Folder of a trained model, or a name of `elman models`")]
Translations = Annotated[
    str | None, typer.Argument(help="File of the translations, line by line, if they are not in DATA")
]
NONE: Final = ("none", "null")  # words for None, where a setting takes it
# Options whose argument in Python has another name.
SPELLINGS = {"cutoffs": "backtest", "header": "no-header"}


def with_parameters(
    command: Callable[..., None], help: str, parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """Give a command, which takes any values, its help and the parameters from which typer makes options."""
    command.__doc__ = help
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Return a parameter of a command."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def option(name: str, row: Row, default: Any, panel: str | None) -> inspect.Parameter:
    """Return the option of a row; it is None where it isn't given."""
    required = default is MISSING
    text = row.help if required else f"{row.help}  \\[default: {row.print_default(default)}]"
    spelling = name.replace("_", "-")
    names = f"--{spelling}/--no-{spelling}" if row.kind is bool else f"--{spelling}"
    kind: Any = {list: list[str], tuple: str}.get(row.kind, row.kind)  # type: ignore[call-overload]
    parser = partial(_number_or_none, kind) if kind in (int, float) and row.holds(None) else None
    metavar = None if parser is None else {int: "INTEGER", float: "FLOAT"}[kind]
    shown = typer.Option(names, help=text, rich_help_panel=panel, parser=parser, metavar=metavar)
    annotation: Any = Annotated[kind if required else kind | None, shown]
    return parameter(name, annotation, inspect.Parameter.empty if required else None)


def _number_or_none(kind: type, text: str) -> Any:
    """Read a number, or leave a word for None to `_chosen`."""
    if text.lower() in NONE:
        return text
    try:
        return kind(text)
    except ValueError:
        article = "an integer" if kind is int else "a number"
        raise typer.BadParameter(f"{text!r} is not {article} or none.") from None


def chosen_options(model: Any, verb: str, **options: Any) -> dict[str, Any]:
    """Return the options that were given. Raises UsageError for one that the model's verb doesn't take."""
    chosen = {name: value for name, value in options.items() if value is not None}
    for name in chosen:
        if name not in model.OPTIONS[verb]:
            option = SPELLINGS.get(name, name).replace("_", "-")
            raise UsageError(f"--{option} does not apply to a {model.task!r} model")
    return chosen


def check_answer_files(model: Path, inputs: Sequence[str | None], outputs: Sequence[Path | None]) -> None:
    """Raise UsageError if one of the outputs can't be written, is one of the inputs or another output, or
    would lie in the model's folder, whose files it could replace."""
    from elman.atomic import check_output

    paths = [path for path in outputs if path is not None]
    home = Path(folder_of(model)).resolve()
    for path in paths:
        check_output(path)
        for data in inputs:
            if data is not None and os.path.exists(data) and path.exists() and path.samefile(data):  # noqa: PTH110
                raise UsageError(f"{path} is the input itself: name another file for the output")
        if path.resolve().parent == home:
            raise UsageError(f"{path} lies in the folder of the model: name a file elsewhere")
    if len({path.resolve() for path in paths}) < len(paths):
        raise UsageError(f"{paths[0]} is given for two outputs: name two files")


def lines_of(path: Path | None) -> list[str] | None:
    """Return the lines of a file that are not blank. Raises DataError if it can't be read or holds none."""
    if path is None:
        return None
    from elman.data.table.encoding import clean
    from elman.data.table.formats import read_bytes

    return [line for line in clean(read_bytes(path), str(path)).decode().splitlines() if line.strip()]


def show_result(result: Any, text: str, as_json: bool) -> None:
    """Print a result, once for all processes."""
    if is_first():
        print(json.dumps(result, ensure_ascii=False) if as_json else text)
