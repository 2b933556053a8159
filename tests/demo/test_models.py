"""The demo's models for a server without any: trained once, and kept."""

import shutil
from pathlib import Path

import pytest

import elman
from elman.demo import models
from elman.demo.models import ready, small_models
from elman.tasks import LanguageModel
from saved_models import SAVED


def test_models_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path))
    monkeypatch.setattr(models, "NAMES", ("words", "sales"))
    trained = []

    def words(progress: bool, quick: bool) -> LanguageModel:
        trained.append("words")
        loaded: LanguageModel = elman.load(SAVED / "generate")
        return loaded

    monkeypatch.setattr("elman.demo.next_word.trained", words)
    assert not ready()
    folders = small_models(progress=False, quick=True)
    assert ready() and [elman.load(one).task for one in folders.values()] == ["generate", "forecast"]
    assert elman.load(folders["sales"]).facts()["columns"]["series"] is None
    assert small_models(progress=False, quick=True) == folders and trained == ["words"]
    shutil.rmtree(folders["words"])  # as if the first call had been cut off
    assert not ready() and small_models(progress=False, quick=True) == folders and ready()
    assert trained == ["words", "words"]
