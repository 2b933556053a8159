"""The public names."""

import subprocess
import sys

import pytest

import elman

NAMES = """GRU LSTM RNN ArtifactError Cell Chatbot Classifier DataError ElmanError Forecaster GRUCell
LSTMCell LanguageModel RNNCell Recurrent TrainingError Transcriber Translator UsageError __version__ cell
cells export_onnx export_torch load replace round_weights tune"""
# Each name in a process of its own; what is slow to import and not ours, they have from the start.
ALONE = """
import os, sys
import polars, tokenizers, torch._dynamo
import elman
for name in elman.__all__:
    if (child := os.fork()) == 0:
        getattr(elman, name)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"elman.{name} can't be imported first")
import elman.nn
for name in elman.__all__:
    getattr(elman, name)
callable(elman.replace) or sys.exit("the module elman.nn.replace hides the function")
"""


def test_the_public_names_are_these_and_no_others() -> None:
    assert elman.__all__ == NAMES.split()
    for name in elman.__all__:
        assert getattr(elman, name) is not None
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = elman.nothing_such


def test_every_name_can_be_imported_first_and_is_itself_after_others() -> None:
    """A submodule that is imported becomes an attribute of the package, and could hide a function."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", ALONE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
