"""Folders that elman 0.1.0 saved: they load, answer as they did then, and are saved as they were."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from safetensors.torch import load_file

import elman
from elman.tasks import TASKS, task_class
from elman.tasks.settings import renamed
from elman.training.plan import Plan
from saved_models import SAVED, answers, assert_close, config

ANSWERS: Final = SAVED / "answers.json"
# Settings added since, with the values that say what was before.
ADDED: Final[dict[str, dict[str, Any]]] = {
    "classify": {"networks": 1, "word_dropout": 0.0, "phrase": 0},
    "forecast": {"nonnegative": None, "duplicates": "error", "holidays": None},
    "chat": {"ranker_units": 128, "ranker_epochs": 8, "num_retrieved": 8},
    "transcribe": {"input": "audio", "frame_ms": 10.0},
}


def contents(folder: Path) -> dict[str, tuple[Any, ...]]:
    """The tensors of a model, bit for bit."""
    tensors = load_file(folder / "model.safetensors")
    return {name: (t.dtype, t.shape, t.numpy().tobytes()) for name, t in tensors.items()}


@pytest.mark.parametrize("task", TASKS)
def test_a_saved_model_answers_as_it_did(task: str) -> None:
    assert_close(answers(elman.load(SAVED / task)), json.loads(ANSWERS.read_text(encoding="utf-8"))[task])


@pytest.mark.parametrize("task", TASKS)
def test_a_model_saved_again_is_the_same(task: str, tmp_path: Path) -> None:
    elman.load(SAVED / task).save(tmp_path)
    # parameters may have new names, but none is lost or changed
    assert sorted(map(str, contents(tmp_path).values())) == sorted(map(str, contents(SAVED / task).values()))
    names = {path.name for path in (SAVED / task).iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == names
    for name in sorted(names - {"config.json", "README.md", "model.safetensors", "adjustment.json"}):
        first, second = (json.loads((folder / name).read_text()) for folder in (SAVED / task, tmp_path))
        assert first == second, name
    if "adjustment.json" in names:  # since then it has shares of several forecasts, and names their season
        first, second = (json.loads((f / "adjustment.json").read_text()) for f in (SAVED / task, tmp_path))
        shares = {first.pop("base"): 1.0}
        assert second == first | {"season": 12, "shares": shares, "least_steps": 0}


@pytest.mark.parametrize("task", TASKS)
def test_a_model_saved_again_has_its_settings_under_the_names_of_today(task: str, tmp_path: Path) -> None:
    elman.load(SAVED / task).save(tmp_path)
    first, second = config(SAVED / task), config(tmp_path)
    kind: Any = task_class(task)
    settings = renamed(first["settings"], kind.SETTINGS)
    if "plan" in settings:
        settings["plan"] = {"max_steps": None, "minutes": None, "watch_memory": False} | renamed(
            settings["plan"], Plan
        )
    assert second["settings"] == ADDED.get(task, {}) | settings
    assert second["data"] == first["data"]
    assert kind.EVALUATION.from_dict(second["scores"]) == kind.EVALUATION.from_dict(first["scores"])


SLOW: Final = {"torch._dynamo", "sympy", "pandas", "matplotlib", "scipy", "sklearn", "lightning_fabric"}
SLOW |= {"rich", "lxml", "sacrebleu"}
# Each model in a process of its own, which begins with PyTorch alone.
LOADING: Final = """
import os, sys, torch, elman
for folder, asked, slow in {cases!r}:
    if os.fork() == 0:
        elman.load(folder).predict(*asked)
        sys.exit(", ".join(sys.modules.keys() & slow) or 0)
    if os.wait()[1]:
        sys.exit(folder)
"""


def test_models_are_loaded_without_what_is_slow_to_import() -> None:
    """PyTorch's compiler alone would double the time that a sentence takes on the command line."""
    asked: dict[str, tuple[Any, ...]] = {"forecast": (), "transcribe": ([0.0] * 8000, 8000)}
    tabular = {"forecast", "transcribe"}
    cases = [
        (str(SAVED / task), asked.get(task, ("good day",)), SLOW if task in tabular else SLOW | {"polars"})
        for task in TASKS
    ]
    program = LOADING.format(cases=cases)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    models = {task: elman.load(SAVED / task) for task in TASKS}
    text = json.dumps({task: answers(model) for task, model in models.items()}, ensure_ascii=False, indent=1)
    ANSWERS.write_text(f"{text}\n", "utf-8")
