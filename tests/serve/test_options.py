"""Which options a client may give."""

from typing import Any

import pytest

from elman.serve import options
from elman.serve.answers import ApiError
from elman.serve.options import OPEN, PREDICT, RESULT, WRITE, checked
from elman.tasks import TASKS, task_class


def test_null_is_an_option_that_is_not_given() -> None:
    assert checked({"count": 3, "top_k": None}, "generate", {"generate": {"count": options.COUNT}}) == {
        "count": 3
    }


@pytest.mark.parametrize(
    ("value", "task", "table", "error"),
    [
        ([], "chat", OPEN, "options must be an object, not list"),
        ({"sed": 1}, "chat", OPEN, "takes no option 'sed' here; did you mean 'seed'?"),
        ({"seed": -1}, "chat", OPEN, "seed must be a whole number of at least 0, not -1"),
        ({"seed": True}, "chat", OPEN, "seed must be"),
        ({"vad": 1}, "transcribe", OPEN, "vad must be true or false, not 1"),
        ({"phrases": "commands.txt"}, "transcribe", OPEN, "phrases must be a list of at most 10000 texts"),
        ({"series": ""}, "forecast", OPEN, "series must be a text"),
        ({"future": [{"ds": {"a": 1}}]}, "forecast", RESULT, "future must be a list of rows"),
        ({"future": {"ds": [[1]]}}, "forecast", RESULT, "future must be a list of rows"),
        ({"future": "plan.csv"}, "forecast", RESULT, "future must be a list of rows"),
        ({"stop": ["a"] * 5}, "generate", WRITE, "stop must be a text, or a list of 1 to 4 texts"),
        ({"temperature": "hot"}, "generate", WRITE, "temperature must be a number from 0 to 100, not 'hot'"),
        ({"x": 1}, "translate", WRITE, "there are: none"),
    ],
)
def test_a_wrong_option_is_named(value: Any, task: str, table: Any, error: str) -> None:
    with pytest.raises(ApiError) as refused:
        checked(value, task, table)
    assert error in refused.value.message and refused.value.status == 422


@pytest.mark.parametrize("task", TASKS)
def test_predict_takes_what_the_task_does_but_no_files(task: str) -> None:
    files = {"plot", "header", "language_model"}
    assert set(PREDICT[task]) == set(task_class(task).OPTIONS["predict"]) - files
