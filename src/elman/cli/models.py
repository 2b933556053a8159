"""`elman models`: the small models that come with elman."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from elman.cli.options import Json, show_result
from elman.errors import UsageError
from elman.pretrained import MISSING, Pretrained, all_models, pretrained
from elman.ranks import is_first

COLUMNS: Final = ("name", "what it does", "score (plain method)", "size", "licence")


def models(
    name: Annotated[str | None, typer.Argument(help="A model, to print its card")] = None,
    as_json: Json = False,
) -> None:
    """List the small models that come with elman: what each does, its score on data that training did not see
    beside that of a plain method, size and licence. With a name, print that model's card.

    Example: elman models

    Example: elman models sentiment
    """
    if name is not None:
        model = pretrained(name)
        show_result(_record(model) | {"card": model.card}, model.card.rstrip(), as_json)
        return
    models = all_models()
    if not models:
        raise UsageError(MISSING)
    if as_json:
        show_result([_record(model) for model in models], "", as_json)
    elif is_first():
        _print_table(models)


def _record(model: Pretrained) -> dict[str, Any]:
    return asdict(model) | {"folder": str(model.folder), "bytes": model.bytes}


def _print_table(models: Sequence[Pretrained]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, no_wrap=column in ("name", "size"))
    for model in models:
        size = f"{model.bytes / 1e6:.2f} MB"
        table.add_row(*map(Text, (model.name, model.about, str(model.score), size, model.licence)))
    Console(file=sys.stdout, highlight=False).print(table)
    print(f"For example: {models[0].example}")
