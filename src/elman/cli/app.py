"""The commands together, and what a user reads when one of them fails."""

import sys
from typing import Annotated, Any, NoReturn

import typer

from elman.cli import chat, demo, dictate, lesson, look, run, show, streams, train
from elman.errors import ElmanError
from elman.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Recurrent networks for sequences: train, evaluate and run them on text, speech and time series.\n\n"
    "Example: elman train classify reviews.csv --text review --label stars --save runs/reviews",
)
app.add_typer(train.app, name="train")
VERBS = (
    run.evaluate,
    run.predict,
    run.generate,
    chat.chat,
    dictate.dictate,
    look.look,
    show.show,
    demo.demo,
    lesson.lesson,
)
for command in VERBS:
    app.command()(command)


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
