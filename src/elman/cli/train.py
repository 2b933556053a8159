"""`elman train TASK DATA`: one command, whose options are the rows of the task's arguments and settings."""

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import typer

from elman.cli.cell_files import find_cell
from elman.cli.lazy import LazyGroup, single
from elman.cli.options import (
    NONE,
    Data,
    Json,
    OptionalData,
    Translations,
    option,
    parameter,
    show_result,
    with_parameters,
)
from elman.errors import UsageError
from elman.ranks import is_first
from elman.settings import Row, rows
from elman.tasks import TASKS, task_class
from elman.tasks.settings import TaskSettings
from elman.training.announced import announced
from elman.training.plan import Plan
from elman.training.stderr import silenced

Test = Annotated[str | None, typer.Option("--test", help="Data to score the trained model on")]
Save = Annotated[
    Path | None, typer.Option("--save", help="Folder for the model  \\[default: runs/TASK-DATA, numbered]")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue a training that was stopped or killed")]
Force = Annotated[bool, typer.Option("--force", help="Replace a model or an unfinished run in that folder")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting by name; may be repeated")
]

MAX_SHORT_BYTES: Final = 20 << 20


def _command(task: str) -> Callable[..., None]:
    """Make the command that trains one task."""
    settings = import_module(f"elman.tasks.{task}.settings").Settings

    def command(**values: Any) -> None:
        data, second = values["data"], values.get("translations")
        from elman.cli.folders import choose_folder

        named = data or values.get("phrases") or "data"
        options = fit_options(settings, values)
        test = _test(values["test"], data, settings.FILES)
        whole = data if second is None else (data, second)
        seen = whole if can_be_read_twice(whole) else None
        tested = test if can_be_read_twice(test) else None
        look_first(task, seen, tested, options)
        folder = choose_folder(task, named, values["save"], values["resume"], values["force"])
        trained: Any = task_class(task)  # imports PyTorch
        if tested and is_first():
            with silenced():
                trained.check_data(tested, seen, **options)
        with announced(task, folder):  # to the studio page
            model = trained.fit(
                whole,
                folder=folder,
                resume=values["resume"],
                progress=not values["as_json"],
                **options,
            )
        _report(model, folder, test, options, values["as_json"])

    return with_parameters(command, settings.HELP, fit_parameters(settings))


def fit_options(settings: type[TaskSettings], values: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `fit` among a command's values, and the settings."""
    chosen = _chosen(rows(settings.ARGUMENTS) | rows(settings) | rows(Plan), values)
    options = chosen | _set(values["set"], settings)
    if ".py" in str(options.get("cell", "")):
        options["cell"] = find_cell(options["cell"])
    if settings.FILES > 1 and "valid" in options:
        options["valid"] = _file_or_two(options["valid"])
    return options


def look_first(task: str, data: Any, test: Any, options: dict[str, Any]) -> None:
    """Raise what is wrong with data before PyTorch is imported. None are data that can be read only once."""
    from elman.tasks.early import first_look  # brings NumPy, which `--help` does without

    if is_first():
        with silenced():  # `fit` and `evaluate` will read the same rows and warn of the same
            first_look(task, data if test or _is_short(data) else None, test, options)


def fit_parameters(settings: type[TaskSettings]) -> list[inspect.Parameter]:
    """Return the options of a task's command, in the order in which `--help` lists them."""
    optional = "phrases" in rows(settings.ARGUMENTS)  # a task that may need no data
    parameters = [
        parameter("data", OptionalData, None)
        if optional
        else parameter("data", Data, inspect.Parameter.empty)
    ]
    if settings.FILES > 1:
        parameters.append(parameter("translations", Translations, None))
    parameters += [option(name, *row, None) for name, row in rows(settings.ARGUMENTS).items()]
    parameters += [parameter("test", Test, None), parameter("save", Save, None)]
    parameters += [parameter("resume", Resume, False), parameter("force", Force, False)]
    for group, panel in ((settings, "Model"), (Plan, "Training")):
        for name, (row, default) in rows(group).items():
            shown = replace(row, default="from the data") if name in settings.DERIVED else row
            parameters.append(option(name, shown, default, panel))
    return [*parameters, parameter("set", Set, None), parameter("as_json", Json, False)]


def _chosen(group: dict[str, tuple[Row, Any]], values: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, as `fit` takes them."""
    chosen = {name: values[name] for name in group if values[name] is not None}
    for name, value in chosen.items():
        row, _ = group[name]
        if row.kind is tuple:
            chosen[name] = _value(value)
        elif str(value).lower() in NONE and row.holds(None):
            chosen[name] = None
    return chosen


def _set(choices: list[str] | None, settings: type[TaskSettings]) -> dict[str, Any]:
    """Read `--set NAME=VALUE`, where VALUE is JSON, a comma list or a word."""
    chosen, other = {}, {*rows(settings.ARGUMENTS), "data", "folder", "resume", "progress"}
    for setting in choices or ():
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--set takes NAME=VALUE, such as dropout=0.3, not {setting!r}")
        if name in other:
            raise UsageError(f"--set takes a setting of the model or of its training, which {name} is not")
        row, _ = (rows(settings) | rows(Plan)).get(name, (None, None))
        none = row is not None and value.lower() in NONE and row.holds(None)
        chosen[name] = None if none else _value(value)
    return chosen


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return tuple(_value(part) for part in text.split(",")) if "," in text else text
    return tuple(value) if isinstance(value, list) else value


def _file_or_two(data: str | None) -> Any:
    """Read "a.de,b.en" as two files, unless there is one of that name."""
    if data is None or "," not in data or Path(data).exists():
        return data
    return tuple(data.split(","))


def _test(test: str | None, data: str, files: int) -> Any:
    """Return the data to score the trained model on."""
    if test == "-" and data == "-":
        raise UsageError("standard input can be read only once: name a file for --test")
    return _file_or_two(test) if files > 1 else test


def can_be_read_twice(data: Any) -> bool:
    """Return whether there are data that can be read before the training, too: not a pipe."""
    files = [data] if isinstance(data, str) else data or ()
    pipes = [file for file in files if file == "-" or Path(file).is_fifo()]
    return bool(files) and not pipes


def _is_short(data: Any) -> bool:
    """Return whether files are read in less time than PyTorch takes to import, or are none."""
    files = [Path(file) for file in ([data] if isinstance(data, str) else data or ()) if file[:3] != "hf:"]
    return sum(file.stat().st_size for file in files if file.is_file()) <= MAX_SHORT_BYTES


def _report(model: Any, folder: Path, test: Any, options: dict[str, Any], as_json: bool) -> None:
    """Print the scores on held-out and on test data, and the model's folder."""
    result: dict[str, Any] = {"model": str(folder), "validation": model.validation.to_dict()}
    text = str(model.validation)
    try:
        if test is not None and is_first():
            reading = {name: options[name] for name in ("header", "skip_bad") if name in options}
            tested = model.evaluate(test, **reading)
            result["test"] = tested.to_dict()
            named = test if isinstance(test, str) else " and ".join(test)
            text += f"\n\nOn {named}:\n{tested}"
    finally:  # the training is not lost because the test data are wrong
        show_result(result, f"{text}\n\nSaved in {folder}", as_json)
    if model.failure is not None:  # the best model so far is saved, but the training has failed
        raise model.failure


class Tasks(LazyGroup):
    """The commands of `elman train`."""

    NAMES: ClassVar = tuple(TASKS)

    @staticmethod
    def make(name: str) -> typer.Typer:
        return single(_command(name))


def program(panel: str) -> typer.Typer:
    """Return the program `elman train`."""
    app = typer.Typer(cls=Tasks, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")

    @app.callback(rich_help_panel=panel)
    def train() -> None:
        """Train a model and score it beside a plain baseline."""

    return app
