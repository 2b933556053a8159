"""`elman tune TASK DATA`: try the settings that matter, in some minutes. The options are those of `train`."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, ClassVar

import typer

from elman.cli.lazy import LazyGroup, single
from elman.cli.options import show_result, with_parameters
from elman.cli.train import can_be_read_twice, fit_options, fit_parameters, look_first
from elman.tasks import TASKS

Minutes = Annotated[float, typer.Option("--minutes", help="Minutes for all trials")]
HELP = """Try settings of a {task} model, and keep the best on the held-out data.

Example: elman tune {task} {data} --minutes 30 --save runs/tuned
"""
DATA = {"forecast": "sales.csv --horizon 12", "generate": "book.txt", "translate": "a.de a.en"}


def _command(task: str) -> Callable[..., None]:
    """Make the command that tunes one task."""
    settings = import_module(f"elman.tasks.{task}.settings").Settings

    def command(**values: Any) -> None:
        from elman.cli.folders import TUNING, choose_folder

        data, second, minutes = values["data"], values.get("translations"), values["minutes"]
        resume, force = values["resume"], values["force"]
        folder = choose_folder(f"tune-{task}", data or "data", values["save"], resume, force, TUNING)
        options = fit_options(settings, values | {"minutes": None})
        whole = data if second is None else (data, second)
        look_first(task, whole if can_be_read_twice(whole) else None, None, options)
        from elman.tasks.tuning import tune  # imports PyTorch

        place: dict[str, Any] = {"folder": folder, "resume": resume, "overwrite": force}
        place["progress"] = not values["as_json"]
        tuning = tune(task, whole, minutes=minutes, **place, **options)
        result = {"model": str(folder), **tuning.to_dict()}
        show_result(result, f"{tuning}\n\nSaved in {folder}", values["as_json"])

    required = inspect.Parameter("minutes", inspect.Parameter.KEYWORD_ONLY, annotation=Minutes)
    parameters = [one for one in fit_parameters(settings) if one.name not in ("test", "minutes")]
    help = HELP.format(task=task, data=DATA.get(task, "data.csv"))
    return with_parameters(command, help, [*parameters, required])


class Tasks(LazyGroup):
    """The commands of `elman tune`."""

    NAMES: ClassVar = tuple(TASKS)

    @staticmethod
    def make(name: str) -> typer.Typer:
        return single(_command(name))


def program(panel: str) -> typer.Typer:
    """Return the program `elman tune`."""
    app = typer.Typer(cls=Tasks, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")

    @app.callback(rich_help_panel=panel)
    def tune() -> None:
        """Try the settings that matter on held-out data, for some minutes, and keep the best model."""

    return app
