"""`elman serve MODEL ...`: models for programs and browsers."""

import re
import sys
from collections.abc import Iterable
from typing import Annotated, Any, Final

import typer

from elman.cli.options import option, parameter, with_parameters
from elman.errors import UsageError
from elman.serve.limits import Limits
from elman.settings import rows

HELP: Final = """Serve models over HTTP and websockets, with a page to try them.

Programs find them as OpenAI's clients expect them: see docs/serving.md. Without a model, those
that come with elman are served, or small ones that the first call trains.

Example: elman serve runs/reviews runs/sales

Example: elman serve bot=runs/chat --host 0.0.0.0 --key "$KEY"
"""
Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL]...", help="Folders of trained models, names of `elman models`, or NAME=FOLDER"
    ),
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: any that is free")]
Key = Annotated[
    str | None,
    typer.Option("--key", envvar="ELMAN_KEY", help="What clients have to send; needed beyond this machine"),
]
Origins = Annotated[
    list[str] | None,
    typer.Option("--origin", help="Other server whose pages may ask, as https://name; may be repeated"),
]
Workers = Annotated[
    int, typer.Option("--workers", min=1, max=256, help="Processes that share the port, each with all models")
]
Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser")]
MIN_KEY: Final = 8  # characters
ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@A-Z]+|null")


def _serve(**values: Any) -> None:
    limits = Limits(**{name: values[name] for name in rows(Limits) if values[name] is not None})
    try:
        from elman.serve.app import make_app
        from elman.serve.run import run
    except ModuleNotFoundError as error:
        raise UsageError(f"serving needs {error.name}: pip install 'elman[serve]'") from None
    from elman.serve.shelf import Shelf, named_folders

    key, host, port = values["key"], values["host"], values["port"]
    _check_key(key, host)
    _check_origins(values["origin"] or ())
    folders = named_folders(values["models"] or _small_models())

    def make() -> Any:
        return make_app(Shelf(folders, limits), limits, key, values["origin"] or ())

    raise typer.Exit(run(make, host, port, values["workers"], values["open"]))


def _check_key(key: str | None, host: str) -> None:
    """Raise UsageError for a key that is none, or for none where it is needed."""
    from elman.serve.guard import is_local

    if key is not None and (len(key) < MIN_KEY or not key.isascii() or not key.isprintable() or " " in key):
        raise UsageError(f"a key has at least {MIN_KEY} printable ASCII characters and no space")
    if key is None and not is_local(host):
        raise UsageError(f"listening on {host} needs a key: set ELMAN_KEY, or give --key")


def _check_origins(origins: Iterable[str]) -> None:
    """Raise UsageError for what no browser sends as the origin of a page."""
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise UsageError(
                f"--origin {origin!r:.100} is no origin of pages: give scheme and name alone, as https://name"
            )


def _small_models() -> list[str]:
    """Return the models for whoever has none: those that come with elman, or else small ones of the demo,
    which the first call trains."""
    from elman.pretrained import all_models

    if models := all_models():
        return [model.name for model in models]
    from elman.demo.models import NAMES, ready, small_models

    if not ready():
        listed = ", ".join(NAMES)
        print(f"no model is named: small ones are trained, once ({listed})", file=sys.stderr)
    return [f"{name}={folder}" for name, folder in small_models().items()]


serve = with_parameters(
    _serve,
    HELP,
    [
        parameter("models", Models, None),
        parameter("host", Host, "127.0.0.1"),
        parameter("port", Port, 8300),
        parameter("key", Key, None),
        parameter("origin", Origins, None),
        parameter("workers", Workers, 1),
        parameter("open", Open, False),
        *(option(name, row, default, "Limits") for name, (row, default) in rows(Limits).items()),
    ],
)
