"""Runs of a language model on disk, and what an interrupted one is scored on."""

import signal
from pathlib import Path
from typing import Any

import pytest

import elman
from elman.data.text.corpus import read_corpus
from elman.errors import UsageError
from elman.tasks.generate import train as training
from elman.tasks.generate.language_model import LanguageModel
from elman.training.loop import Run
from toy_language import SMALL, sentences


def test_a_run_resumes_with_its_own_held_out_text_only(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"{name} " + sentences(80))
    run = {"tokenizer": "character", "folder": tmp_path / "run", **SMALL}

    def full(*_: Any, **__: Any) -> None:
        raise UsageError("the disk is full")

    monkeypatch.setattr(LanguageModel, "save", full)
    with pytest.raises(UsageError, match="full"):  # the run's checkpoint stays
        LanguageModel.fit(text, valid=tmp_path / "a.txt", **run)
    with pytest.raises(elman.TrainingError, match="valid"):
        LanguageModel.fit(text, valid=tmp_path / "b.txt", resume=True, **run)


def test_a_finished_run_leaves_no_checkpoint(text: Path, tmp_path: Path) -> None:
    model = LanguageModel.fit(text, tokenizer="character", folder=tmp_path / "a", **SMALL)
    assert not (tmp_path / "a" / "checkpoint.pt").exists()
    with pytest.raises(elman.TrainingError):
        LanguageModel.fit(text, tokenizer="character", folder=tmp_path / "b", resume=True, **SMALL)
    assert model.settings.hidden == 32


def test_an_interrupted_training_scores_a_part_without_the_n_gram(
    text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "INTERRUPTED_TOKENS", 50)
    plain = Run._step

    def step(run: Run, *arguments: object) -> object:
        if run.progress.step == 2:
            signal.raise_signal(signal.SIGTERM)
        return plain(run, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Run, "_step", step)
    monkeypatch.setattr(Run, "require_model", lambda run: None)  # as if there were a folder
    choices = {name: value for name, value in SMALL.items() if name != "progress"}
    trained = training.train(read_corpus(text, tokens="character"), choices, 0.0)
    assert trained.run.outcome is not None and trained.run.outcome.signal == signal.SIGTERM
    assert trained.validation.baselines == {} and trained.validation.tokens == 49
    assert "only 50 of" in str(trained.validation)
