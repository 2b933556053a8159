"""`elman train TASK DATA`: one command a task."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from elman.cli.options import (
    Cell,
    Data,
    Epochs,
    Force,
    Header,
    Hidden,
    Json,
    Layers,
    Resume,
    Save,
    Seed,
    Set,
    first_process,
    show_result,
)
from elman.errors import UsageError

train = typer.Typer(no_args_is_help=True, help="Train a model and score it beside a plain baseline.")


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


@train.command("translate")
def train_translate(
    data: Data,
    translations: Annotated[
        str | None, typer.Argument(help="File of the translations, line by line, if they are not in DATA")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Column of the sentences  [default: the first]")] = None,
    target: Annotated[
        str | None, typer.Option(help="Column of the translations  [default: the second]")
    ] = None,
    valid: Annotated[
        str | None,
        typer.Option(help="Data to choose the best model on; two files: A,B  [default: a part]"),
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Data to score the trained model on; two files: A,B")
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
    """Sentences of one language to those of another.

    Example: elman train translate train.de train.en --valid val.de,val.en --save runs/german

    Example: elman train translate pairs.tsv
    """
    from elman.tasks import Translator

    folder = _folder(save, data, resume, force)
    dials = _dials(settings, cell=cell, hidden=hidden, layers=layers, epochs=epochs, seed=seed)
    model = Translator.fit(
        data if translations is None else (data, translations),
        source=source,
        target=target,
        valid=_file_or_two(valid),
        folder=folder,
        resume=resume,
        progress=not as_json,
        **dials,
    )
    _trained(model, folder, _file_or_two(test), as_json)


@train.command("chat")
def train_chat(
    data: Data,
    valid: Annotated[
        str | None, typer.Option(help="Conversations to choose the best model on  [default: a tenth]")
    ] = None,
    test: Annotated[str | None, typer.Option(help="Conversations to score the trained model on")] = None,
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
    """Conversations to a chatbot: JSONL of messages, or lines of question, tab, answer.

    Example: elman train chat conversations.jsonl --save runs/bot
    """
    from elman.tasks import Chatbot

    folder = _folder(save, data, resume, force)
    dials = _dials(settings, cell=cell, hidden=hidden, layers=layers, epochs=epochs, seed=seed)
    model = Chatbot.fit(data, valid=valid, folder=folder, resume=resume, progress=not as_json, **dials)
    _trained(model, folder, test, as_json)


def _file_or_two(data: str | None) -> Any:
    """ "a.de,b.en" are two files, unless there is one of that name."""
    if data is None or "," not in data or Path(data).exists():
        return data
    return tuple(data.split(","))


def _trained(model: Any, folder: Path, test: Any, as_json: bool) -> None:
    """Say what was trained, how good it is on held-out data, and where it lies."""
    result: dict[str, Any] = {"model": str(folder), "validation": model.validation.to_dict()}
    text = f"{model.validation}"
    try:
        if test is not None and first_process():
            tested = model.evaluate(test)
            result["test"] = tested.to_dict()
            named = test if isinstance(test, str) else " and ".join(test)
            text += f"\n\nOn {named}:\n{tested}"
    finally:  # the training is not lost because the test's data are wrong
        show_result(result, f"{text}\n\nSaved in {folder}", as_json)
    if model.failure is not None:  # what was good before it is saved, and the work has failed all the same
        raise model.failure


def _folder(save: Path | None, data: str, resume: bool, force: bool) -> Path:
    from elman import artifact

    name = Path(data).stem if data != "-" else "stdin"
    folder = save or Path("runs") / name.replace(":", "-").replace("/", "-")
    artifact.check_place(folder)
    if resume or force or not first_process():
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
