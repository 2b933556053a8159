"""The applications, and how a saved one comes back."""

from pathlib import Path
from typing import Final

from elman import artifact
from elman.errors import ArtifactError
from elman.tasks.classify import Classifier
from elman.tasks.forecast import Forecaster

__all__ = ["TASKS", "Classifier", "Forecaster", "load"]

Task = Classifier | Forecaster
TASKS: Final[dict[str, type[Task]]] = {"classify": Classifier, "forecast": Forecaster}


def load(folder: str | Path) -> Task:
    """The trained model in a folder, whatever its task.

    Raises:
        UsageError: no such folder.
        ArtifactError: not a model, a damaged one, or one of a task that this version doesn't know.
    """
    saved = artifact.load(folder)
    if saved.task not in TASKS:
        raise ArtifactError(f"{folder} is a model for {saved.task!r}; this version knows {', '.join(TASKS)}")
    return TASKS[saved.task].from_artifact(saved)
