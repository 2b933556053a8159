"""The applications, and how a saved one comes back."""

from pathlib import Path
from typing import Final

from elman import artifact
from elman.errors import ArtifactError
from elman.nn.replace import round_weights
from elman.tasks.chat.chatbot import Chatbot
from elman.tasks.classify.classifier import Classifier
from elman.tasks.forecast.forecaster import Forecaster
from elman.tasks.generate.language_model import LanguageModel
from elman.tasks.translate.translator import Translator

__all__ = ["TASKS", "Chatbot", "Classifier", "Forecaster", "LanguageModel", "Translator", "load"]

Task = Chatbot | Classifier | Forecaster | LanguageModel | Translator
TASKS: Final[dict[str, type[Task]]] = {
    "chat": Chatbot,
    "classify": Classifier,
    "forecast": Forecaster,
    "generate": LanguageModel,
    "translate": Translator,
}


def load(folder: str | Path, int8: bool = False) -> Task:
    """The trained model in a folder, whatever its task; with `int8` its recurrent weights are read as 8-bit
    integers: a large network that serves one stream runs faster so, at a small loss of precision.

    Raises:
        UsageError: no such folder.
        ArtifactError: not a model, a damaged one, or one of a task that this version doesn't know.
    """
    saved = artifact.load(folder)
    if saved.task not in TASKS:
        raise ArtifactError(f"{folder} is a model for {saved.task!r}; this version knows {', '.join(TASKS)}")
    model = TASKS[saved.task].from_artifact(saved)
    round_weights(model.core.network if isinstance(model, Forecaster) else model.network, int8)
    return model
