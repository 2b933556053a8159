"""The command line: the same verbs for every task.

Exit codes: 0 good, 1 the work failed, 2 the call was wrong.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

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
train = typer.Typer(no_args_is_help=True, help="Train a model and score it beside a plain baseline.")
app.add_typer(train, name="train")

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


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version")] = False) -> None:
    if version:
        typer.echo(f"elman {__version__}")
        raise typer.Exit


@train.command("classify")
def train_classify(
    data: Data,
    text: Annotated[str, typer.Option(help="Column of the text")] = "text",
    label: Annotated[str, typer.Option(help="Column of the label")] = "label",
    valid: Annotated[
        str | None, typer.Option(help="Data to choose the best model on  [default: a part]")
    ] = None,
    test: Annotated[str | None, typer.Option(help="Data to score the trained model on")] = None,
    header: Header = True,
    save: Save = None,
    resume: Resume = False,
    force: Force = False,
    cell: Cell = None,
    hidden: Hidden = None,
    layers: Layers = None,
    bidirectional: Annotated[
        bool | None, typer.Option("--bidirectional", help="Read both ways (no stream)")
    ] = None,
    epochs: Epochs = None,
    seed: Seed = None,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Text to label: sentiment, topic, intent.

    Example: elman train classify reviews.csv --text review --label stars --test new.csv --save runs/reviews
    """
    from elman.tasks import Classifier

    folder = _folder(save, data, resume, force)
    dials = _dials(
        settings,
        cell=cell,
        hidden=hidden,
        layers=layers,
        bidirectional=bidirectional,
        epochs=epochs,
        seed=seed,
    )
    model = Classifier.fit(
        data,
        text=text,
        label=label,
        valid=valid,
        header=header,
        folder=folder,
        resume=resume,
        progress=not as_json,
        **dials,
    )
    _trained(model, folder, test, as_json)


@train.command("forecast")
def train_forecast(
    data: Data,
    horizon: Annotated[int, typer.Option(help="Steps to look ahead")],
    time: Annotated[str | None, typer.Option(help="Column of the time stamps  [default: recognised]")] = None,
    value: Annotated[str | None, typer.Option(help="Column of the values  [default: recognised]")] = None,
    series: Annotated[
        str | None, typer.Option(help="Column that names the series, if there are several")
    ] = None,
    future: Annotated[list[str] | None, typer.Option(help="Column known in advance; repeatable")] = None,
    static: Annotated[list[str] | None, typer.Option(help="Column constant in a series; repeatable")] = None,
    season: Annotated[
        int | None, typer.Option(help="Steps of a season  [default: from the frequency]")
    ] = None,
    header: Header = True,
    save: Save = None,
    resume: Resume = False,
    force: Force = False,
    cell: Cell = None,
    hidden: Hidden = None,
    layers: Layers = None,
    epochs: Epochs = None,
    seed: Seed = None,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """One or many time series to quantiles ahead.

    Example: elman train forecast sales.csv --time month --value sales --horizon 12 --save runs/sales
    """
    from elman.tasks import Forecaster

    folder = _folder(save, data, resume, force)
    dials = _dials(settings, season=season, cell=cell, hidden=hidden, layers=layers, epochs=epochs, seed=seed)
    model = Forecaster.fit(
        data,
        horizon=horizon,
        time=time,
        value=value,
        series=series,
        future=future or (),
        static=static or (),
        header=header,
        folder=folder,
        resume=resume,
        progress=not as_json,
        **dials,
    )
    _trained(model, folder, None, as_json)


@train.command("generate")
def train_generate(
    data: Data,
    text: Annotated[str | None, typer.Option(help="Column of the texts, if the data are a table")] = None,
    valid: Annotated[
        str | None, typer.Option(help="Text to choose the best model on  [default: the last tenth]")
    ] = None,
    test: Annotated[str | None, typer.Option(help="Text to score the trained model on")] = None,
    tokens: Annotated[
        str | None,
        typer.Option(help="character, word, space (words already cut apart) or subword  [default: by size]"),
    ] = None,
    save: Save = None,
    resume: Resume = False,
    force: Force = False,
    cell: Cell = None,
    hidden: Hidden = None,
    layers: Layers = None,
    epochs: Epochs = None,
    seed: Seed = None,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """A text to a model that foretells the next word and writes on.

    Example: elman train generate plays.txt --save runs/plays
    """
    from elman.tasks import LanguageModel

    folder = _folder(save, data, resume, force)
    dials = _dials(settings, tokens=tokens, cell=cell, hidden=hidden, layers=layers, epochs=epochs, seed=seed)
    model = LanguageModel.fit(
        data, text=text, valid=valid, folder=folder, resume=resume, progress=not as_json, **dials
    )
    _trained(model, folder, test, as_json)


@app.command()
def generate(
    model: Model,
    prompt: Annotated[str, typer.Argument(help="Text to go on from; - for standard input")] = "",
    length: Annotated[int, typer.Option(help="Most characters")] = 500,
    temperature: Annotated[float, typer.Option(help="0 likeliest; above 1 more surprising")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Draw from the k likeliest tokens; 0: from all")] = 0,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest tokens of this probability")] = 1.0,
    seed: Seed = None,
    stop: Annotated[str | None, typer.Option(help="End before this text")] = None,
    int8: Int8 = False,
) -> None:
    """Write on from a text, as it comes.

    Example: elman generate runs/plays "ROMEO:" --length 1000 --temperature 0.7
    """
    from elman.tasks import LanguageModel, load

    loaded = load(model, int8)
    if not isinstance(loaded, LanguageModel):
        raise UsageError(f"{model} is a model for {loaded.task!r}, which writes no text")
    begin = sys.stdin.buffer.read().decode(errors="replace") if prompt == "-" else prompt
    for piece in loaded.generate(
        begin, length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, stop=stop
    ):
        print(piece, end="", flush=True)
    print()


@app.command()
def evaluate(
    model: Model,
    data: Data,
    text: Annotated[str | None, typer.Option(help="Column of the text, if not as in training")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label, if not as in training")] = None,
    backtest: Annotated[int, typer.Option(help="Forecasts: train anew before the last so many horizons")] = 0,
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
    """
    from elman.tasks import Classifier, LanguageModel, load

    loaded = load(model, int8)
    if backtest and not hasattr(loaded, "backtest"):
        raise UsageError(f"--backtest is for forecasts: a model for {loaded.task!r} has no past to cut off")
    if label and not isinstance(loaded, Classifier):
        raise UsageError("--label is for classifiers")
    if adapt and not isinstance(loaded, LanguageModel):
        raise UsageError("--adapt is for language models")
    if isinstance(loaded, Classifier):
        result: Any = loaded.evaluate(data, text=text, label=label, header=header)
    elif isinstance(loaded, LanguageModel):
        result = loaded.evaluate(data, text=text, adapt=adapt)
    elif text:
        raise UsageError("--text is for classifiers: a forecast reads the columns of its training")
    elif backtest:
        result = loaded.backtest(data, cutoffs=backtest, header=header)
    else:
        result = loaded.evaluate(data, header=header)
    _print(result.to_dict(), str(result), as_json)


@app.command()
def predict(
    model: Model,
    data: Annotated[
        str | None, typer.Argument(metavar="[INPUT]", help="A text, a file, or - for standard input")
    ] = None,
    header: Header = True,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write here instead of to standard output")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw a forecast: .png or .svg")] = None,
    int8: Int8 = False,
    as_json: Json = False,
) -> None:
    """Run a model: a label for each text, or the forecast after the data.

    Example: elman predict runs/reviews "The movie was not good"

    Example: cat reviews.txt | elman predict runs/reviews -

    Example: elman predict runs/sales --plot sales.png
    """
    from elman.files import replace_file, writing
    from elman.tasks import load

    loaded = load(model, int8)
    lines = loaded.report(data, header=header, plot=plot, as_json=as_json)
    if output is None:
        for line in lines:
            print(line, flush=not sys.stdout.isatty())
        return
    with writing(output, UsageError), replace_file(output) as file:
        for line in lines:
            file.write(f"{line}\n".encode())


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
    from elman.engine.cpu import kernel as kernels
    from elman.engine.cpu.plan import plan_for
    from elman.engine.derive import derive
    from elman.engine.trace import trace

    if cell is None:
        papers = {name: (known.equations.__doc__ or "").strip() for name, known in CELLS.items()}
        width = max(map(len, papers))
        _print(papers, "\n".join(f"{name:{width}}  {paper}" for name, paper in papers.items()), as_json)
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
        _print(parts, parts["kernel" if kernel else "backward"], as_json)
        return
    text = f"{parts['source']}\n\n{program}\n\n{program.latex()}".strip()
    _print(parts, program.latex() if latex else text, as_json)


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
    _print(result, f"{show_case.summary(result)}\n\nThe report with pictures: {output}", as_json)


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


def _complain(sentence: str, code: int) -> int:
    print(f"elman: {sentence}", file=sys.stderr)
    return code


def _first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _print(result: Any, text: str, as_json: bool) -> None:
    if _first_process():
        print(json.dumps(result, ensure_ascii=False) if as_json else text)


def _trained(model: Any, folder: Path, test: str | None, as_json: bool) -> None:
    """Say what was trained, how good it is on held-out data, and where it lies."""
    result: dict[str, Any] = {"model": str(folder), "validation": model.validation.to_dict()}
    text = f"{model.validation}"
    if test is not None and _first_process():
        tested = model.evaluate(test)
        result["test"] = tested.to_dict()
        text += f"\n\nOn {test}:\n{tested}"
    _print(result, f"{text}\n\nSaved in {folder}", as_json)
    if model.failure is not None:  # what was good before it is saved, and the work has failed all the same
        raise model.failure


def _folder(save: Path | None, data: str, resume: bool, force: bool) -> Path:
    from elman import artifact

    name = Path(data).stem if data != "-" else "stdin"
    folder = save or Path("runs") / name.replace(":", "-").replace("/", "-")
    artifact.check_place(folder)
    if resume or force or not _first_process():
        return folder
    if artifact.is_artifact(folder) and (folder / "checkpoint.pt").exists():
        raise UsageError(
            f"{folder} holds the best model of a run that can go on: --resume, or --force to start anew"
        )
    if artifact.is_artifact(folder):
        raise UsageError(f"{folder} already holds a model: choose another --save, or --force to replace it")
    if (folder / "checkpoint.pt").exists():
        raise UsageError(f"{folder} holds an unfinished run: --resume to go on, or --force to start anew")
    return folder


def _dials(settings: list[str] | None, **named: Any) -> dict[str, Any]:
    """The options that were given, and `--set NAME=VALUE`, where VALUE is JSON, a comma list or a word."""
    dials = {name: value for name, value in named.items() if value is not None}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--set takes NAME=VALUE, such as dropout=0.3, not {setting!r}")
        dials[name] = _value(value)
    return dials


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return tuple(_value(part) for part in text.split(",")) if "," in text else text
    return tuple(value) if isinstance(value, list) else value


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
