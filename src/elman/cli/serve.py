"""`elman serve MODEL ...`: models for programs and browsers."""

from typing import Annotated, Any, Final

import typer

from elman.cli.options import option, parameter, with_parameters
from elman.errors import UsageError
from elman.serve.limits import Limits
from elman.settings import rows

HELP: Final = """Serve models over HTTP and websockets, with a page to try them.

Programs find them as OpenAI's and vosk's clients expect them: see docs/serving.md.

Example: elman serve runs/reviews runs/sales

Example: elman serve bot=runs/chat --host 0.0.0.0 --key "$KEY"
"""
Models = Annotated[
    list[str] | None, typer.Argument(metavar="[MODEL]...", help="Folders of trained models, or NAME=FOLDER")
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: any that is free")]


def _serve(**values: Any) -> None:
    limits = Limits(**{name: values[name] for name in rows(Limits) if values[name] is not None})
    try:
        from elman.serve.run import run
    except ModuleNotFoundError as error:
        raise UsageError(f"serving needs {error.name}: pip install 'elman[serve]'") from None
    from elman.serve.shelf import Shelf, named_folders

    run(Shelf(named_folders(values["models"] or []), limits), limits, values["host"], values["port"])


serve = with_parameters(
    _serve,
    HELP,
    [
        parameter("models", Models, None),
        parameter("host", Host, "127.0.0.1"),
        parameter("port", Port, 8300),
        *(option(name, row, default, "Limits") for name, (row, default) in rows(Limits).items()),
    ],
)
