"""The command line: the same verbs for every task.

Exit codes: 0 good, 1 the work failed, 2 the call was wrong.
"""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from elman.cli.options import Data, Header, Int8, Json, Model, Seed, show_result
from elman.cli.train import train
from elman.errors import ElmanError, UsageError
from elman.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Recurrent networks for sequences: train, evaluate and run them on text and time series.\n\n"
    "Example: elman train classify reviews.csv --text review --label stars --save runs/reviews",
)
app.add_typer(train, name="train")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version")] = False) -> None:
    if version:
        typer.echo(f"elman {__version__}")
        raise typer.Exit


@app.command()
def generate(
    model: Model,
    prompt: Annotated[
        str, typer.Argument(help="Text to go on from, or to translate; - for standard input")
    ] = "",
    length: Annotated[int | None, typer.Option(help="Most characters  [default: 500]")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="0 likeliest; above 1 more surprising  [default: 0.8]")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Draw from the k likeliest tokens")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Draw from the likeliest tokens of this probability")
    ] = None,
    seed: Seed = None,
    stop: Annotated[str | None, typer.Option(help="End before this text")] = None,
    int8: Int8 = False,
) -> None:
    """Write as it comes: on from a text, or its translation.

    Example: elman generate runs/plays "ROMEO:" --length 1000 --temperature 0.7

    Example: elman generate runs/german "Ein Hund rennt."
    """
    from elman.tasks import LanguageModel, load
    from elman.tasks.generate.stream import LanguageStream

    loaded = load(model, int8)
    if not hasattr(loaded, "generate"):
        raise UsageError(f"{model} is a model for {loaded.task!r}, which writes no text")
    begin = sys.stdin.buffer.read().decode(errors="replace") if prompt == "-" else prompt
    options: dict[str, Any] = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    options |= {"seed": seed, "stop": stop}
    takes = LanguageStream.generate if isinstance(loaded, LanguageModel) else loaded.generate
    for piece in loaded.generate(begin, **_given(takes, loaded.task, **options)):
        print(piece, end="", flush=True)
    print()


@app.command()
def evaluate(
    model: Model,
    data: Data,
    translations: Annotated[
        str | None, typer.Argument(help="File of the translations, line by line, if they are not in DATA")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column of the text, if not as in training")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label, if not as in training")] = None,
    source: Annotated[str | None, typer.Option(help="Column of the sentences to translate")] = None,
    target: Annotated[str | None, typer.Option(help="Column of their translations")] = None,
    backtest: Annotated[
        int | None, typer.Option(help="Forecasts: train anew before the last so many horizons")
    ] = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Language models: learn the words just read")
    ] = False,
    header: Header = True,
    int8: Int8 = False,
    as_json: Json = False,
) -> None:
    """Score a model on data, beside its plain baseline.

    Example: elman evaluate runs/reviews test.csv

    Example: elman evaluate runs/sales sales.csv --backtest 3

    Example: elman evaluate runs/german test.de test.en
    """
    from elman.tasks import Translator, load

    loaded = load(model, int8)
    if translations is not None and not isinstance(loaded, Translator):
        raise UsageError(f"a model for {loaded.task!r} is scored on one file, not on two")
    if backtest is not None and not hasattr(loaded, "backtest"):
        raise UsageError(f"--backtest is for forecasts: a model for {loaded.task!r} has no past to cut off")
    given = data if translations is None else (data, translations)
    options: dict[str, Any] = {
        "text": text,
        "label": label,
        "source": source,
        "target": target,
        "adapt": adapt or None,
    }
    options |= {"header": None if header else False, "cutoffs": backtest}
    score = loaded.evaluate if backtest is None else loaded.backtest  # type: ignore[union-attr]
    result = score(given, **_given(score, loaded.task, **options))
    show_result(result.to_dict(), str(result), as_json)


@app.command()
def predict(
    model: Model,
    data: Annotated[
        str | None, typer.Argument(metavar="[INPUT]", help="A text, a file, or - for standard input")
    ] = None,
    header: Header = True,
    count: Annotated[
        int | None, typer.Option(help="Answers to each line: next words, translations, replies")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write here instead of to standard output")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw a forecast, or a translation's attention: .png or .svg"),
    ] = None,
    int8: Int8 = False,
    as_json: Json = False,
) -> None:
    """Run a model: a label, a translation or the next words for each text, or the forecast after the data.

    Example: elman predict runs/reviews "The movie was not good"

    Example: cat reviews.txt | elman predict runs/reviews -

    Example: elman predict runs/sales --plot sales.png
    """
    from elman.atomic import replace_file, writing
    from elman.tasks import load

    loaded = load(model, int8)
    options = _given(loaded.report, loaded.task, count=count, header=None if header else False)
    lines = loaded.report(data, plot=plot, as_json=as_json, **options)
    if output is None:
        for line in lines:
            print(line, flush=not sys.stdout.isatty())
        return
    with writing(output, UsageError), replace_file(output) as file:
        for line in lines:
            file.write(f"{line}\n".encode())


@app.command()
def chat(
    model: Model,
    session: Annotated[
        Path | None, typer.Option("--session", help="File of the conversation: goes on from it, and keeps it")
    ] = None,
    fallback: Annotated[
        float | None,
        typer.Option(help="Above this perplexity of its own reply, the nearest training reply"),
    ] = None,
    seed: Seed = None,
    int8: Int8 = False,
    as_json: Json = False,
) -> None:
    """Talk with a chatbot. /help shows what else can be typed.

    Example: elman chat runs/bot --session monday.jsonl
    """
    from elman.cli.chat import converse
    from elman.tasks import Chatbot, load

    loaded = load(model, int8)
    if not isinstance(loaded, Chatbot):
        raise UsageError(f"{model} is a model for {loaded.task!r}, not for 'chat'")
    converse(loaded.stream(fallback=fallback, seed=seed or 0), session, as_json)


@app.command()
def show(
    cell: Annotated[
        str | None, typer.Argument(help="lstm, gru, ... or FILE.py:NAME for a cell of your own")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Only the LaTeX")] = False,
    backward: Annotated[bool, typer.Option("--backward", help="The equations of the gradients")] = False,
    kernel: Annotated[bool, typer.Option("--kernel", help="What is compiled, as LLVM IR")] = False,
    as_json: Json = False,
) -> None:
    """Print a cell's equations, as a listing and as LaTeX. Without a name: the cells there are.

    Example: elman show lstm
    """
    import torch

    from elman.cells import CELLS
    from elman.engine.cpu import host
    from elman.engine.cpu.emit import kernel as kernels
    from elman.engine.cpu.emit.plan import plan_for
    from elman.engine.derive import derive
    from elman.engine.trace import trace

    if cell is None:
        papers = {name: (known.equations.__doc__ or "").strip() for name, known in CELLS.items()}
        width = max(map(len, papers))
        show_result(papers, "\n".join(f"{name:{width}}  {paper}" for name, paper in papers.items()), as_json)
        return
    found = _find_cell(cell)
    program = trace(found)
    parts = {"name": found.name, "source": (found.equations.__doc__ or "").strip()}
    parts |= {"program": str(program), "latex": program.latex()}
    if backward:
        parts["backward"] = str(derive(found).backward)
    if kernel:
        plan = plan_for(found, host.vector(torch.float32), backward=backward)
        parts["kernel"] = kernels.kernel(plan)
    if backward or kernel:
        show_result(parts, parts["kernel" if kernel else "backward"], as_json)
        return
    text = f"{parts['source']}\n\n{program}\n\n{program.latex()}".strip()
    show_result(parts, program.latex() if latex else text, as_json)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", help="Where to write the report")] = Path(
        "elman-demo.html"
    ),
    as_json: Json = False,
) -> None:
    """Train on real stock, weather and sales figures and on a memory task; write one HTML report.

    Example: elman demo --output report.html
    """
    from elman import demo as show_case

    result = show_case.run(output, progress=not as_json)
    show_result(result, f"{show_case.summary(result)}\n\nThe report with pictures: {output}", as_json)


def main() -> NoReturn:
    """Run the command line; what a user can mend is said in one sentence, without a traceback."""
    try:
        app(prog_name="elman")  # exits by itself, with 2 where the options are wrong
    except ElmanError as error:
        sys.exit(_complain(str(error), error.exit_code))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(_complain(f"{place}{error.strerror or error}", 1))
    sys.exit(0)


def _given(function: Callable[..., Any], task: str, **options: Any) -> dict[str, Any]:
    """The options that were given, all of which the function must take."""
    given = {name: value for name, value in options.items() if value is not None}
    takes = inspect.signature(function).parameters
    if foreign := [name for name in given if name not in takes]:
        named = {"cutoffs": "backtest", "header": "no-header"}.get(foreign[0], foreign[0]).replace("_", "-")
        raise UsageError(f"--{named} is of no use to a model for {task!r}")
    return given


def _complain(sentence: str, code: int) -> int:
    print(f"elman: {sentence}", file=sys.stderr)
    return code


def _find_cell(name: str) -> Any:
    from elman.cells import CELLS, Cell

    if name.lower() in CELLS:
        return CELLS[name.lower()]
    path, colon, attribute = name.rpartition(":")
    if not colon or not Path(path).is_file():
        raise UsageError(
            f"there is no cell {name!r}: there are {', '.join(CELLS)}, or FILE.py:NAME for your own"
        )
    found = _module(Path(path)).get(attribute)
    if not isinstance(found, Cell):
        raise UsageError(
            f"{path} declares no cell {attribute!r}: decorate the function with @elman.cell(...)"
        )
    return found


def _module(path: Path) -> dict[str, Any]:
    """Run a user's own Python file for the cells it declares."""
    import runpy

    try:
        return runpy.run_path(str(path))
    except ElmanError:
        raise
    except Exception as error:
        raise UsageError(f"{path} can't be run: {type(error).__name__}: {error}") from error
