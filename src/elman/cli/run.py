"""Use a trained model: `elman evaluate`, `elman predict`, `elman generate`."""

import json
import operator
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from elman.cli import tables
from elman.cli.options import (
    Data,
    Header,
    Int8,
    Json,
    Model,
    Seed,
    SkipBad,
    Translations,
    check_answer_files,
    chosen_options,
    lines_of,
    show_result,
)
from elman.cli.streams import ESCAPES
from elman.data.table.write import ENDINGS as TABLES
from elman.errors import UsageError


def evaluate(
    model: Model,
    data: Data,
    translations: Translations = None,
    text: Annotated[str | None, typer.Option(help="Column of the text, if not as in training")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the label, if not as in training")] = None,
    separator: Annotated[
        str | None, typer.Option(help="What separates several labels of a text, if not as in training")
    ] = None,
    audio: Annotated[str | None, typer.Option(help="Column of the recordings, if not as in training")] = None,
    pattern: Annotated[
        str | None, typer.Option(help="Names of recordings, such as {label}_{speaker}_{n}.wav")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Column of the sentences to translate")] = None,
    target: Annotated[str | None, typer.Option(help="Column of their translations")] = None,
    backtest: Annotated[
        int | None, typer.Option(min=1, help="Forecasts: train again before each of the last N horizons")
    ] = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Language models: adapt to the words just read")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Table of all answers: .csv, .tsv, .jsonl or .parquet"),
    ] = None,
    errors: Annotated[
        Path | None, typer.Option("--errors", help="The same of the worst first: mistakes of high confidence")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw forecasts beside the truth, or confused labels: .png or .svg"),
    ] = None,
    header: Header = True,
    skip_bad: SkipBad = False,
    int8: Int8 = False,
    as_json: Json = False,
) -> None:
    """Score a model on data, beside its plain baseline.

    Example: elman evaluate runs/reviews test.csv

    Example: elman evaluate runs/reviews test.csv --errors mistakes.csv

    Example: elman evaluate runs/sales sales.csv --backtest 3 --output forecasts.csv --plot forecasts.png

    Example: elman evaluate runs/german test.de test.en
    """
    from elman import artifact
    from elman.data.table.write import check_table_path, write_table
    from elman.tasks import load
    from elman.tasks.early import require_file

    for path in (output, errors):
        if path is not None:
            check_table_path(path)
    if plot is not None:
        from elman.lens.plot import picture_path  # matplotlib takes long to load

        picture_path(plot)
    check_answer_files(model, (data, translations), (output, errors, plot))
    artifact.saved_task(model)
    for file in (data, translations):
        if file is not None and not Path(file).is_dir():
            require_file(file)
    loaded: Any = load(model, int8)
    if plot is not None and not loaded.EVALUATION.HAS_PICTURE:
        raise UsageError(f"--plot is for forecasts and labels: a {loaded.task!r} model draws no scores")
    verb = "evaluate" if backtest is None else "backtest"
    if backtest is not None and not loaded.OPTIONS.get("backtest"):
        raise UsageError(f"--backtest is for forecasts: a {loaded.task!r} model has no past to cut off")
    if translations is not None and loaded.SETTINGS.FILES < 2:
        raise UsageError(f"a {loaded.task!r} model is scored on one file, not on two")
    columns = {"text": text, "label": label, "separator": separator, "source": source, "target": target}
    options = chosen_options(
        loaded,
        verb,
        **columns,
        audio=audio,
        pattern=pattern,
        adapt=adapt or None,
        header=None if header else False,
        skip_bad=skip_bad or None,
        cutoffs=backtest,
    )
    score = loaded.evaluate if backtest is None else loaded.backtest
    result = score(data if translations is None else (data, translations), **options)
    show_result(result.to_dict() | {"by": result.groups()}, str(result), as_json)
    if output is not None:
        write_table(result.frame(), output)
    if errors is not None:
        write_table(result.worst(), errors)
    if plot is not None:
        result.plot(plot)


def predict(
    model: Model,
    data: Annotated[
        str | None, typer.Argument(metavar="INPUT", help="A text, a file, or - for standard input")
    ] = None,
    header: Header = True,
    horizon: Annotated[int | None, typer.Option(help="Forecasts: steps ahead, if not as in training")] = None,
    future: Annotated[
        str | None, typer.Option(help="Forecasts: file of the columns known in advance, for the steps ahead")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Forecasts: another such file, to compare what each leads to")
    ] = None,
    components: Annotated[
        bool, typer.Option("--components", help="Forecasts: what level, season and each column contribute")
    ] = False,
    at_least: Annotated[
        float | None, typer.Option(help="Labels: answer unsure below this probability, 0 to 1")
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Number of answers per input: next words, translations, replies")
    ] = None,
    rate: Annotated[int | None, typer.Option(help="Speech: sample rate of raw PCM on standard input")] = None,
    phrases: Annotated[
        Path | None, typer.Option(help="Speech: file of the phrases that can be said, one per line")
    ] = None,
    hot_words: Annotated[
        Path | None, typer.Option(help="Speech: file of expected words and phrases, one per line")
    ] = None,
    false_alarms: Annotated[
        float | None,
        typer.Option(help="Speech: spot the training phrases, with so many false alarms an hour"),
    ] = None,
    one_of: Annotated[
        Path | None, typer.Option(help="Speech: file of phrases; each recording holds exactly one of them")
    ] = None,
    language_model: Annotated[
        str | None, typer.Option(help="Speech: folder of a language model of words that guides the search")
    ] = None,
    vad: Annotated[
        bool, typer.Option("--vad", help="Speech: leave out words where no voice is heard")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of to standard output")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw a forecast, or a translation's attention: .png or .svg"),
    ] = None,
    int8: Int8 = False,
    as_json: Json = False,
) -> None:
    """Run a model: label or translate texts, continue them by the next words, transcribe recordings, or
    forecast what follows the data.

    Example: elman predict runs/reviews "The movie was not good"

    Example: cat reviews.txt | elman predict runs/reviews - --at-least 0.8

    Example: elman predict runs/sales --plot sales.png

    Example: elman predict runs/shop --future plan.csv --against other.csv

    Example: elman predict runs/dictation meeting.flac
    """
    from elman import artifact
    from elman.atomic import replace_file, writing
    from elman.tasks import load
    from elman.tasks.early import require_input

    check_answer_files(model, (data, future, against), (output, plot))
    if data is not None:
        require_input(artifact.saved_task(model), data)
    loaded: Any = load(model, int8)
    options = chosen_options(
        loaded,
        "predict",
        count=count,
        horizon=horizon,
        future=future,
        against=against,
        components=components or None,
        header=None if header else False,
        plot=plot,
        at_least=at_least,
        rate=rate,
        phrases=lines_of(phrases),
        hot_words=lines_of(hot_words),
        language_model=language_model,
        vad=vad or None,
        false_alarms=false_alarms,
        one_of=lines_of(one_of),
    )
    answers = loaded.answers(data, **options)
    in_terminal = output is None and sys.stdout.isatty()
    if not in_terminal:
        answers = _watched(answers)
    if output is not None and not as_json and output.suffix.lower() in TABLES:
        tables.write(answers, output)
        return
    if in_terminal and not as_json and (data is None or os.path.exists(data)):  # noqa: PTH110
        tables.show(_watched(answers))
        return
    lines = _lines(answers, as_json)
    if output is None:
        for line in lines:
            print(line, flush=not sys.stdout.isatty())
        return
    with writing(output, UsageError), replace_file(output) as file:
        for line in lines:
            file.write(f"{line}\n".encode(errors=ESCAPES))


def _watched(answers: Iterable[Any]) -> Iterable[Any]:
    """Show a progress bar of answers whose number is known, in a terminal that does not show them."""
    from rich.console import Console
    from rich.progress import track

    from elman.training.stderr import stderr

    total = operator.length_hint(answers)
    if total < 2 or not stderr().isatty():
        return answers
    return track(answers, "answering", total, console=Console(file=stderr()))


def _lines(answers: Iterable[Any], as_json: bool) -> Iterator[str]:
    for number, answer in enumerate(answers):
        if number == 0 and answer.heading and not as_json:
            yield answer.heading
        yield json.dumps(answer.to_dict(), ensure_ascii=False) if as_json else str(answer)


def generate(
    model: Model,
    prompt: Annotated[
        str, typer.Argument(help="Text to continue, or to translate; - for standard input")
    ] = "",
    length: Annotated[int | None, typer.Option(help="Most characters  \\[default: 500]")] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="0 always takes the likeliest token; above 1 is more surprising  \\[default: 0.8]"),
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Sample from the k likeliest tokens")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Sample from the likeliest tokens with this total probability")
    ] = None,
    seed: Seed = None,
    stop: Annotated[str | None, typer.Option(help="Stop before this text")] = None,
    int8: Int8 = False,
) -> None:
    """Generate text, or translate, printing as it goes.

    Example: elman generate runs/plays "ROMEO:" --length 1000 --temperature 0.7

    Example: elman generate runs/german "Ein Hund rennt."
    """
    from elman.tasks import load

    loaded: Any = load(model, int8)
    begin = sys.stdin.buffer.read().decode(errors="replace") if prompt == "-" else prompt
    options = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    for piece in loaded.generate(
        begin, **chosen_options(loaded, "generate", seed=seed, stop=stop, **options)
    ):
        print(piece, end="", flush=True)
    print()
