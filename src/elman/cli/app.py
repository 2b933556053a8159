"""The commands together, and what a user reads when one of them fails."""

import sys
from importlib import import_module
from typing import Annotated, Any, ClassVar, Final, NoReturn

import typer

from elman.cli import streams
from elman.cli.lazy import LazyGroup, OneCommand, TextCommand, single
from elman.errors import ElmanError
from elman.version import __version__

# The headings of the help, and under each its commands, in the order in which a newcomer needs them.
PANELS: Final = {
    "First steps": ("demo", "models", "lesson"),
    "Train and use a model": ("train", "tune", "evaluate", "predict", "generate", "chat", "dictate"),
    "Ship it": ("serve", "export"),
    "Look inside": ("look", "show"),
}
MODULES: Final = {"evaluate": "run", "predict": "run", "generate": "run"}  # else the module of the same name
TEXTS: Final = ("predict", "generate", "look")  # verbs that take a text


class Verbs(LazyGroup):
    """The commands of `elman`."""

    NAMES: ClassVar = tuple(verb for verbs in PANELS.values() for verb in verbs)

    @staticmethod
    def make(name: str) -> typer.Typer:
        module = import_module(f"elman.cli.{MODULES.get(name, name)}")
        panel = next(panel for panel, verbs in PANELS.items() if name in verbs)
        if name in ("train", "tune"):
            group: typer.Typer = module.program(panel)
            return group
        return single(getattr(module, name), panel, TextCommand if name in TEXTS else OneCommand)


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Recurrent networks for sequences: train, evaluate and run them on text, speech and time series.\n\n"
    "Example: elman train classify reviews.csv --text review --label stars --save runs/reviews",
)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version")] = False) -> None:
    if version:
        typer.echo(f"elman {__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Run the command line; a user's mistake is one sentence on standard error, without a traceback."""
    streams.prepare()
    code: Any = 0
    try:
        app(prog_name="elman")  # exits by itself, with 2 where the options are wrong
    except ElmanError as error:
        streams.complain(str(error))
        code = error.exit_code
    except OSError as error:
        code = streams.failed(error)
    except SystemExit as end:
        gone = type(end.__context__) is BrokenPipeError  # for which typer has a code of its own
        code = streams.READER_GONE if gone else end.code
    sys.exit(streams.finish(code))
