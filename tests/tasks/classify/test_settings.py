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
    ("rows", "epochs", "patience", "networks", "hidden"),
    [(1000, 25, 12, 5, 64), (4000, 10, 5, 3, 64), (25_000, 4, 3, 1, 128), (10**6, 3, 3, 1, 128)],
)
def test_few_texts_are_read_more_often_by_more_networks(
    rows: int, epochs: int, patience: int, networks: int, hidden: int
) -> None:
    settings, plan = split_choices({}, Settings, defaults(rows, {}))
    assert (plan.epochs, plan.patience) == (epochs, patience)
    assert (settings.networks, settings.hidden) == (networks, hidden)
    assert plan.learning_rate == 2e-3
    assert defaults(rows, {"epochs": 60})["patience"] == 30
