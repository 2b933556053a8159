"""Settings of a classifier: values that are refused, its pools, and the plan for so many rows."""

from typing import Any

import pytest

from elman.errors import UsageError
from elman.tasks.classify.settings import Settings, defaults
from elman.tasks.settings import split_choices


@pytest.mark.parametrize(
    "setting",
    [
        {"cell": "lsmt"},
        {"hidden": 0},
        {"hidden": 1.5},
        {"dropout": 1.0},
        {"pooling": "mean+mean"},
        {"pooling": ""},
        {"pooling": None},
        {"tokenizer": "bytes"},
        {"class_weights": "even"},
        {"epochs": 0},
        {"hiden": 3},
        {"bidirectional": "yes"},
    ],
)
def test_wrong_settings(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        split_choices(setting, Settings)


def test_settings_know_their_pools() -> None:
    assert Settings(pooling="last+max").pools == ("last", "max")


def test_classes_need_not_be_balanced() -> None:
    assert Settings().class_weights is None
    assert Settings(class_weights="balanced").class_weights == "balanced"


@pytest.mark.parametrize(
    ("rows", "epochs", "patience", "ema_decay"),
    [(1000, 30, 10, 0.0), (4000, 10, 3, 0.98), (10**6, 3, 3, 0.0)],
)
def test_few_texts_are_read_more_often(rows: int, epochs: int, patience: int, ema_decay: float) -> None:
    _, plan = split_choices({}, Settings, defaults(rows, {}))
    assert (plan.epochs, plan.patience, plan.ema_decay) == (epochs, patience, ema_decay)
    assert plan.learning_rate == 2e-3
    assert defaults(rows, {"epochs": 60})["patience"] == 20
