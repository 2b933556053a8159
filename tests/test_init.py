"""The public names."""

import subprocess
import sys

import pytest

import elman

NAMES = """GRU LSTM RNN ArtifactError Cell Chatbot Classifier DataError ElmanError Forecaster LanguageModel
Recurrent TrainingError Translator UsageError __version__ cell cells load replace round_weights"""


def test_the_public_names_are_these_and_no_others() -> None:
    assert elman.__all__ == NAMES.split()
    assert dir(elman) == sorted(elman.__all__)
    for name in elman.__all__:
        assert getattr(elman, name) is not None
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = elman.nothing_such


def test_every_name_comes_alone() -> None:
    """In a fresh interpreter, whatever else was imported before."""
    program = (
        "import elman, elman.nn; [getattr(elman, n) for n in elman.__all__]; callable(elman.replace) or 1 / 0"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
