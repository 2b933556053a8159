"""Suggestions for misspelled names, and the exit codes that scripts rely on."""

import pytest

from elman.errors import (
    ArtifactError,
    DataError,
    ElmanError,
    NoModelError,
    TrainingError,
    UsageError,
    counted,
    suggestion,
)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("epocs", "; did you mean 'epochs'?"),
        ("EPOCHS", "; did you mean 'epochs'?"),
        ("label", "; did you mean 'Label'?"),
        ("zebra", ""),
        ("", ""),
    ],
)
def test_suggestion_ignores_case_and_keeps_the_choice_as_spelled(word: str, hint: str) -> None:
    assert suggestion(word, (name for name in ("epochs", "Label", "hidden"))) == hint


def test_suggestion_without_choices() -> None:
    assert suggestion("epochs", []) == ""


@pytest.mark.parametrize(
    ("kind", "code"),
    [(UsageError, 2), (DataError, 2), (ArtifactError, 1), (NoModelError, 2), (TrainingError, 1)],
)
def test_a_wrong_call_exits_with_2_and_failed_work_with_1(kind: type[ElmanError], code: int) -> None:
    assert kind("why").exit_code == code
    assert issubclass(kind, ValueError) == (code == 2)  # so that callers may catch the built-in error


def test_numbers_with_their_nouns() -> None:
    assert counted(1, "text") == "1 text" and counted(2000, "text") == "2000 texts"
    assert counted(0, "reply", "replies") == "0 replies" and counted(1, "series", "series") == "1 series"
