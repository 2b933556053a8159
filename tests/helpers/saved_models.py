"""The folders that early versions of elman saved, and questions to the models in them."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tones import RATE, sentence

SAVED: Final = Path(__file__).parents[1] / "tasks" / "saved"
QUESTIONS: Final[dict[str, Any]] = {
    "classify": ["the film was not good", "the end was awful", ""],
    "generate": ["I love", "they read old"],
    "translate": ["pomon vidas la kato 1234.", "libron portas la hundo 77."],
    "chat": ["Hi, I am Ada.", "What colour has snow?"],
}


def answers(model: Any) -> Any:
    """The model's answers to the questions of its task, as JSON values."""
    if model.task == "forecast":
        return [[str(day), *numbers] for _, day, *numbers in model.predict().iter_rows()]
    if model.task == "transcribe":
        return [list(word) for word in model.predict(sentence("one two three", 5), RATE, words=True)]
    if model.task == "classify":
        return model.predict(QUESTIONS[model.task], probabilities=True)
    return [[list(answer) for answer in best] for best in model.predict(QUESTIONS[model.task], count=3)]


def config(folder: Path) -> dict[str, Any]:
    """The facts in a folder's config.json."""
    facts: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))["elman"]
    return facts


def assert_close(ours: Any, theirs: Any) -> None:
    """Equal but for the last digits of numbers, which differ between processors."""
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
