"""elman: recurrent networks for sequences. Every public name, and nothing else.

Names are imported when they are first used, so that `elman --help` need not wait for PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from elman.version import __version__

if TYPE_CHECKING:
    from elman import cells
    from elman.cells import Cell, cell
    from elman.errors import ArtifactError, DataError, ElmanError, TrainingError, UsageError
    from elman.export import export_onnx, export_torch
    from elman.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RNNCell
    from elman.nn.replace import replace, round_weights
    from elman.tasks import Chatbot, Classifier, Forecaster, LanguageModel, Transcriber, Translator, load
    from elman.tasks.tuning import tune

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "ArtifactError",
    "Cell",
    "Chatbot",
    "Classifier",
    "DataError",
    "ElmanError",
    "Forecaster",
    "GRUCell",
    "LSTMCell",
    "LanguageModel",
    "RNNCell",
    "Recurrent",
    "TrainingError",
    "Transcriber",
    "Translator",
    "UsageError",
    "__version__",
    "cell",
    "cells",
    "export_onnx",
    "export_torch",
    "load",
    "replace",
    "round_weights",
    "tune",
]

_HOME: Final = {
    "nn": ("GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell", "Recurrent"),
    "cells": ("Cell", "cell"),
    "errors": ("ArtifactError", "DataError", "ElmanError", "TrainingError", "UsageError"),
    "export": ("export_onnx", "export_torch"),
    "nn.replace": ("replace", "round_weights"),
    "tasks.tuning": ("tune",),
    "tasks": (
        *("Chatbot", "Classifier", "Forecaster", "LanguageModel"),
        *("Transcriber", "Translator", "load"),
    ),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"elman.{module}"), name)
    if name == "cells":
        return import_module("elman.cells")
    raise AttributeError(f"module 'elman' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
