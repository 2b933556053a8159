"""Every task, stopped by a signal or killed at some step: what is kept, and what a resumed run ends with."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import elman
from elman import artifact
from elman.tasks.chat import problem as chat_problem
from elman.training import budget
from elman.training.loop import Run
from small_fits import FITS

pytestmark = pytest.mark.usefixtures("short_talks")


class Killed(BaseException):
    """Ends a run where it stands, as SIGKILL does."""


def kill() -> None:
    raise Killed


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Do something before a step of the trainings that follow, counted over all of them; once."""

    def prepare(number: int, act: Callable[[], None]) -> None:
        count, plain = 0, Run._step

        def step(run: Run, *arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                act()
            return plain(run, *arguments)

        monkeypatch.setattr(Run, "_step", step)

    return prepare


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return artifact.load(folder).tensors


def alike(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folders: dict[str, Path] = {}

    def trained(task: str) -> Path:
        if task not in folders:
            folders[task] = tmp_path_factory.mktemp(task) / "model"
            FITS[task](folders[task])
        return folders[task]

    return trained


@pytest.mark.parametrize("task", FITS)
@pytest.mark.parametrize("step", [2, 9])
def test_a_terminated_training_raises_keeps_its_best_model_and_goes_on(
    task: str,
    step: int,
    unbroken: Callable[[str], Path],
    at_step: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = weights(unbroken(task))
    folder = tmp_path / "model"
    at_step(step, terminate)
    with pytest.raises(SystemExit, match=r"^143$"):
        FITS[task](folder)
    sentence = capsys.readouterr().err
    assert sentence.startswith("interrupted after step ") and "resume=True (--resume) continues" in sentence
    if "holds the best model so far" in sentence:
        model = elman.load(folder)
        assert str(model.validation) and (folder / "README.md").exists()
    else:
        assert "holds a checkpoint, but no model yet" in sentence and not artifact.is_artifact(folder)
    assert not (folder / ".elman.lock").exists() and (folder / "checkpoint.pt").exists()
    FITS[task](folder, resume=True)
    assert alike(weights(folder), whole)
    assert not (folder / "checkpoint.pt").exists()


@pytest.mark.parametrize("task", FITS)
def test_a_training_killed_twice_goes_on(
    task: str, unbroken: Callable[[str], Path], at_step: Callable[..., None], tmp_path: Path
) -> None:
    whole = weights(unbroken(task))
    folder = tmp_path / "model"
    for step, resume in ((1, False), (7, True)):
        at_step(step, kill)
        with pytest.raises(Killed):
            FITS[task](folder, resume=resume)
    FITS[task](folder, resume=True)
    assert alike(weights(folder), whole)


def test_without_a_folder_there_is_nothing_to_return(at_step: Callable[..., None]) -> None:
    at_step(9, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(
        KeyboardInterrupt, match=r"interrupted after step .*: nothing is saved, as there is no folder"
    ):
        FITS["forecast"](None)


@pytest.mark.parametrize("task", FITS)
def test_a_killed_training_in_minutes_goes_on_as_it_was_planned(
    task: str,
    unbroken: Callable[[str], Path],
    at_step: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Three epochs that seem to take 20 s each don't fit into 54 s; when the training is resumed, the machine
    seems to be faster."""

    def steps(folder: Path) -> int:
        return int(json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["step"])

    def measure(seconds: float) -> None:
        for module in (budget, chat_problem):
            monkeypatch.setattr(module, "epoch_seconds", lambda trial: seconds)
            monkeypatch.setattr(module, "seconds_left", lambda minutes, started: 54.0)

    measure(20.0)
    model = FITS[task](tmp_path / "whole", minutes=1)
    note = next(
        note for note in model.validation.notes if note.startswith("the minutes ended the training after ")
    )
    assert "of 3 epochs: more minutes may give better scores" in note
    assert note in (tmp_path / "whole" / "README.md").read_text()
    at_step(2, kill)
    with pytest.raises(Killed):
        FITS[task](tmp_path / "killed", minutes=1)
    measure(1.0)
    FITS[task](tmp_path / "killed", minutes=1, resume=True)
    assert alike(weights(tmp_path / "killed"), weights(tmp_path / "whole"))
    assert steps(tmp_path / "killed") < steps(unbroken(task))


UNITS = {"classify": "words", "forecast": "months", "generate": "characters", "translate": "tokens"}
UNITS |= {"chat": "tokens", "transcribe": "ms"}


@pytest.mark.parametrize("task", UNITS)
def test_watching_the_memory_tells_it_in_the_unit_of_the_task(task: str, tmp_path: Path) -> None:
    FITS[task](tmp_path / "watched", watch_memory=True)
    lines = (tmp_path / "watched" / "metrics.jsonl").read_text().splitlines()
    memories = [one["memory"] for line in lines if "memory" in (one := json.loads(line))]
    assert memories and all([*memory] == [UNITS[task]] for memory in memories)
    assert all(0 < value < 10_000 for memory in memories for value in memory.values())
