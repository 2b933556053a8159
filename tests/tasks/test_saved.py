"""Folders that elman 0.1.0 saved: they load, and answer what they answered then."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest

import elman

SAVED: Final = Path(__file__).parent / "saved"
ANSWERS: Final = json.loads((SAVED / "answers.json").read_text(encoding="utf-8"))
QUESTIONS: Final[dict[str, Any]] = {
    "classify": ["the film was not good", "the end was awful", ""],
    "generate": ["I love", "they read old"],
    "translate": ["pomon vidas la kato 1234.", "libron portas la hundo 77."],
    "chat": ["Hi, I am Ada.", "What colour has snow?"],
}
TASKS: Final = ("classify", "forecast", "generate", "translate", "chat")


def answers(model: Any, task: str) -> Any:
    """What a model says, as JSON values."""
    if task == "forecast":
        return [[str(day), *numbers] for _, day, *numbers in model.predict().iter_rows()]
    if task == "classify":
        return model.predict(QUESTIONS[task], probabilities=True)
    return [[list(answer) for answer in best] for best in model.predict(QUESTIONS[task], count=3)]


def assert_close(ours: Any, theirs: Any) -> None:
    """Equal but for the last digits of numbers, which are another processor's."""
    if isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            assert_close(ours[key], theirs[key])
    elif isinstance(theirs, list):
        for one, other in zip(ours, theirs, strict=True):
            assert_close(one, other)
    else:
        assert ours == theirs


@pytest.mark.parametrize("task", TASKS)
def test_a_saved_model_answers_as_it_did(task: str) -> None:
    assert_close(answers(elman.load(SAVED / task), task), ANSWERS[task])


@pytest.mark.parametrize("task", TASKS)
def test_a_model_saved_again_is_the_same(task: str, tmp_path: Path) -> None:
    elman.load(SAVED / task).save(tmp_path)
    for name in sorted(path.name for path in (SAVED / task).iterdir()):
        first, second = ((folder / name).read_bytes() for folder in (SAVED / task, tmp_path))
        assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest(), name


if __name__ == "__main__":
    found = {task: answers(elman.load(SAVED / task), task) for task in TASKS}
    (SAVED / "answers.json").write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", "utf-8")
