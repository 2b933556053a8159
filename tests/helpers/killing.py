"""A script that kills a training run, or the saving of a model, at each of its moments.

A moment is a file opened, flushed, moved or removed, a training step, or a validation.
Children are forked, because importing torch in each would take minutes. Prints JSON for the tests.

Usage: killing.py training|saving FOLDER STRIDE
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from elman import artifact, lock
from elman.training.loop import Run
from elman.training.plan import Plan
from toy import Stream, Toy

EVENTS = ("open", "os.rename", "os.remove")


class Moments:
    """Counts moments and kills the process at number `fatal`."""

    def __init__(self, folder: Path, fatal: int) -> None:
        self.folder, self.fatal, self.count = str(folder), fatal, 0
        force = os.fsync
        os.fsync = lambda handle: (self.pass_(), force(handle))[1]  # type: ignore[assignment]
        sys.addaudithook(self._hear)

    def pass_(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and str(arguments[0]).startswith(self.folder):
            self.pass_()


def child(work: Callable[[Moments], None], folder: Path, fatal: int = 0) -> int | None:
    """Run `work` in a child process; return its number of moments, or None if it was killed."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        moments = Moments(folder, fatal)
        work(moments)
        os.write(write, str(moments.count).encode())
        os._exit(0)
    os.close(write)
    report = os.read(read, 100)
    os.close(read)
    status = os.waitpid(pid, 0)[1]
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL, f"the child failed: {status}"
    return int(report) if status == 0 else None


def train(folder: Path, moments: Moments) -> None:
    """Train, save and tidy up as a task does, resuming a killed run."""

    class Fragile(Stream):
        def loss(self, *arguments: Any) -> Any:
            moments.pass_()
            return super().loss(*arguments)

        def validate(self, model: Any) -> dict[str, float]:
            moments.pass_()
            return super().validate(model)

    resume = (folder / "checkpoint.pt").exists()
    if artifact.is_artifact(folder) and not resume:
        return
    plan = Plan(epochs=2, ema_decay=0.9, learning_rate=0.01, validations=2, seed=5)
    model = Toy()
    run = Run(model, Fragile(), plan, folder=folder, resume=resume, checkpoint_seconds=0)
    for _ in run:
        pass
    assert run.outcome is not None
    saved = artifact.Artifact("toy", {}, dict(model.state_dict()), {}, run.outcome.best, {}, "# Toy")
    artifact.save(saved, folder)
    run.discard_checkpoint()


def result(folder: Path) -> dict[str, Any]:
    """Return everything that must not depend on kills: weights, scores, metrics and file names."""
    loaded = artifact.load(folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    timeless = [{k: v for k, v in line.items() if k not in ("rate", "left")} for line in lines]
    weights = {k: v.view(torch.int32).tolist() for k, v in loaded.tensors.items()}
    lock.check(folder)  # removes the file of a lock whose holder was killed as its last act
    files = sorted(p.name for p in folder.iterdir())
    return {"weights": weights, "scores": loaded.scores, "metrics": timeless, "files": files}


def killed_training(base: Path, stride: int) -> dict[str, Any]:
    """Return the undisturbed run, and every fatal moment after which the resumed run ended differently.

    Moments come in rounds of 4 or 5 a step; with a stride of 3 each kind of moment gets its turn.
    """

    def finish(folder: Path, *fatal: int) -> int | None:
        for moment in fatal:
            child(lambda moments: train(folder, moments), folder, moment)
        return child(lambda moments: train(folder, moments), folder)

    train(base / "warm", Moments(base / "nowhere", 0))  # children then inherit whatever torch loads late
    whole = base / "whole"
    moments = finish(whole)
    assert moments is not None
    expected, wrong = result(whole), []
    for fatal in range(1, moments + 1, stride):
        folder = base / "killed"
        finish(folder, fatal)
        wrong += [fatal] if result(folder) != expected else []
        shutil.rmtree(folder)
    often = base / "often"
    finish(often, *range(20, moments, 4))  # killed over and over, each time after a few steps more
    return expected | {"moments": moments, "wrong": wrong, "often": result(often) == expected}


def killed_saving(base: Path, stride: int) -> dict[str, Any]:
    """Kill each moment of replacing a model; return which model is left and whether a next save works."""

    def model(number: int) -> artifact.Artifact:
        tensors = {"w": torch.full((3,), float(number))}
        extras = {"shared": number, f"own{number}": number}
        return artifact.Artifact("toy", {"n": number}, tensors, extras, {}, {}, f"# {number}")

    def same(a: artifact.Artifact, b: artifact.Artifact) -> bool:
        plain = all(getattr(a, k) == getattr(b, k) for k in ("settings", "extras", "card"))
        return plain and torch.equal(a.tensors["w"], b.tensors["w"])

    outcomes, fatal, finished = [], 0, None
    while finished is None:
        folder, fatal = base / f"model{fatal}", fatal + stride
        artifact.save(model(1), folder)
        (folder / "notes.txt").write_text("mine")
        finished = child(lambda _, folder=folder: artifact.save(model(2), folder), folder, fatal)
        there = artifact.load(folder)
        kept = [number for number in (1, 2) if same(there, model(number))]
        child(lambda _, folder=folder: artifact.save(model(3), folder), folder, 8)  # killed once more
        unbroken = any(same(artifact.load(folder), model(number)) for number in (*kept, 3))
        artifact.save(model(3), folder)
        again = unbroken and same(artifact.load(folder), model(3))
        again = again and (folder / "notes.txt").read_text() == "mine"
        outcomes.append({"kept": kept, "again": again})
    return {"found": outcomes}


if __name__ == "__main__":
    torch.set_num_threads(1)
    scenario = {"training": killed_training, "saving": killed_saving}[sys.argv[1]]
    print(json.dumps(scenario(Path(sys.argv[2]), int(sys.argv[3]))))
