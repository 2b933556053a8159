"""Kill trainings of every task at random moments (SIGKILL), resume them, and compare the weights.

    python bench/kill.py COUNT [SEED]

COUNT is the number of kills of each task. Prints a line a task: kills, finished runs, those that ended with
other weights than an uninterrupted one or could not be resumed. Exits with 1 if there are any of the latter.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning_fabric  # noqa: F401  # once, for all children
import torch
import torch.distributed.tensor

import elman
from elman import artifact
from elman.errors import TrainingError

SMALL: dict[str, Any] = {"hidden": 8, "epochs": 4, "progress": False}
COLOURS = ("red", "green", "blue")
TEXTS = [f"the {COLOURS[k % 3]} film was {'good' if k % 2 else 'bad'} {k % 7}" for k in range(200)]
PAIRS = [[f"un {k} kato {COLOURS[k % 3]}", f"a {COLOURS[k % 3]} cat {k}"] for k in range(120)]


def fits(folder: Path) -> dict[str, Callable[..., Any]]:
    """Return a training of each task, into a folder."""
    text = folder / "text.txt"
    text.write_text("\n".join(TEXTS * 4))
    sides = {"source": [a for a, _ in PAIRS], "target": [b for _, b in PAIRS]}
    series = {"ds": list(range(120)), "y": [float(k % 12 + k % 5) for k in range(120)]}
    labelled = {"text": TEXTS, "label": [t.split()[4] for t in TEXTS]}
    subwords = {"vocabulary": 300, "embedding": 8}
    return {
        "classify": lambda **more: elman.Classifier.fit(labelled, **SMALL, **more),
        "forecast": lambda **more: elman.Forecaster.fit(series, horizon=4, **SMALL, **more),
        "generate": lambda **more: elman.LanguageModel.fit(text, bptt=16, **subwords, **SMALL, **more),
        "translate": lambda **more: elman.Translator.fit(sides, **subwords, **SMALL, **more),
        "chat": lambda **more: elman.Chatbot.fit(PAIRS, max_tokens=4, **subwords, **SMALL, **more),
    }


def train(fit: Callable[..., Any], model: Path) -> int:
    """Train in a child process, from the checkpoint if there is one; return the child's number."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            torch.set_num_threads(1)
            try:
                fit(folder=model, resume=model.exists())
            except TrainingError:  # killed before the first checkpoint
                fit(folder=model)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kills(fit: Callable[..., Any], folder: Path, count: int, draw: random.Random) -> tuple[int, int]:
    """Kill runs of one task `count` times; return how many of them finished and how many ended wrongly."""
    start = time.monotonic()
    assert ended(train(fit, folder / "whole")) == 0
    seconds = time.monotonic() - start
    whole = artifact.load(folder / "whole").tensors
    killed = finished = wrong = 0
    model = folder / "model"
    while killed < count or model.exists():  # the last one runs to its end
        child = train(fit, model)
        deadline = time.monotonic() + (draw.uniform(0, seconds) if killed < count else 1e9)
        while (done := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.001)
        if done[0] == 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            killed += 1
            continue
        finished += 1
        tensors = artifact.load(model).tensors if os.waitstatus_to_exitcode(done[1]) == 0 else {}
        same = tensors.keys() == whole.keys() and all(torch.equal(tensors[k], whole[k]) for k in whole)
        wrong += not same
        shutil.rmtree(model)
    return finished, wrong


def main(count: int, seed: int = 0) -> int:
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for task, fit in fits(Path(folder)).items():
            place = Path(folder) / task
            place.mkdir()
            finished, wrong = kills(fit, place, count, random.Random(f"{seed} {task}"))
            print(f"{task:10} {count} kills, {finished} finished runs, {wrong} wrong", flush=True)
            failures += wrong
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
