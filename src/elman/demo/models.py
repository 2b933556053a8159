"""The demo's models, trained once and kept, for whoever has none yet."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from elman.artifact import is_artifact
from elman.atomic import cache_folder
from elman.demo import one_thread
from elman.version import __version__

if TYPE_CHECKING:
    from elman.tasks.task import Task

NAMES: Final = ("sentiment", "words", "talk", "digits", "sales")


def small_models(progress: bool = True, quick: bool = False) -> dict[str, Path]:
    """Return the folders of the models by name, in the user's cache. Those that are missing are trained.

    Args:
        quick: use tiny networks, for tests.

    Raises ArtifactError where they can't be saved.
    """
    folders = {name: _home() / name for name in NAMES}
    for name, folder in folders.items():
        if not is_artifact(folder):
            with one_thread():
                _trained(name)(progress, quick).save(folder, overwrite=True)
    return folders


def ready() -> bool:
    """Return whether all models are there."""
    return all(is_artifact(_home() / name) for name in NAMES)


def _home() -> Path:
    return cache_folder("demo") / __version__


def _trained(name: str) -> Callable[[bool, bool], "Task"]:
    """Return what trains a model."""
    from elman.demo import digits, next_word, sentiment, talk

    def sales(progress: bool, quick: bool) -> "Task":
        from elman.demo.forecasts import SETTINGS
        from elman.demo.series import SHOWS
        from elman.tasks.forecast.forecaster import Forecaster

        settings: dict[str, Any] = {"epochs": 1, "hidden": 8} if quick else SETTINGS
        show = SHOWS["sales"]
        series = show.load().select("ds", "y")  # one alone, as in most tables that are tried
        return Forecaster.fit(series, horizon=show.horizon, progress=progress, **settings)

    trained: dict[str, Callable[[bool, bool], Task]] = {
        "sentiment": sentiment.trained,
        "words": next_word.trained,
        "talk": talk.trained,
        "digits": digits.trained,
        "sales": sales,
    }
    return trained[name]
