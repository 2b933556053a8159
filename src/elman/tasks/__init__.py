"""The tasks, and `load` for a saved model. A class is imported when it is used: PyTorch loads slowly."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from elman.errors import ArtifactError

if TYPE_CHECKING:
    from elman.tasks.chat.chatbot import Chatbot
    from elman.tasks.classify.classifier import Classifier
    from elman.tasks.forecast.forecaster import Forecaster
    from elman.tasks.generate.language_model import LanguageModel
    from elman.tasks.task import Task
    from elman.tasks.transcribe.transcriber import Transcriber
    from elman.tasks.translate.translator import Translator

__all__ = [
    "TASKS",
    "Chatbot",
    "Classifier",
    "Forecaster",
    "LanguageModel",
    "Transcriber",
    "Translator",
    "load",
    "task_class",
]

# Task → the module in the folder of its name, and the class in it.
TASKS: Final = {
    "classify": ("classifier", "Classifier"),
    "forecast": ("forecaster", "Forecaster"),
    "generate": ("language_model", "LanguageModel"),
    "translate": ("translator", "Translator"),
    "chat": ("chatbot", "Chatbot"),
    "transcribe": ("transcriber", "Transcriber"),
}


def task_class(task: str) -> "type[Task]":
    module, name = TASKS[task]
    loaded: type[Task] = getattr(import_module(f"elman.tasks.{task}.{module}"), name)
    return loaded


def __getattr__(name: str) -> Any:
    for task, (_, class_name) in TASKS.items():
        if class_name == name:
            return task_class(task)
    raise AttributeError(f"module 'elman.tasks' has no attribute {name!r}")


def load(folder: str | Path, int8: bool = False) -> Any:
    """Load the trained model of any task from its folder.

    Args:
        folder: written by a model's `save`.
        int8: read recurrent weights as 8-bit integers. A large network that serves one stream is then faster,
            at a small loss of precision.

    Raises:
        UsageError: no such folder.
        ArtifactError: not a model, a damaged one, or one of a task that this version doesn't know.
    """
    from elman import artifact

    artifact.saved_task(folder)  # a mistyped name need not wait for PyTorch
    from elman.tasks.entry import default_torch

    with default_torch():
        return _load(folder, int8)


def _load(folder: str | Path, int8: bool) -> Any:
    from elman import artifact
    from elman.nn.replace import round_weights

    saved = artifact.load(folder)
    if saved.task not in TASKS:
        raise ArtifactError(
            f"{folder} is a model for {saved.task!r:.60}; this version has {', '.join(TASKS)}"
        )
    try:
        model = task_class(saved.task).from_artifact(saved)
    except ArtifactError as error:
        raise ArtifactError(f"{folder} can't be used: {error}") from error
    round_weights(model.network, int8)
    return model
