"""The table of a tuning, and its best trial."""

import json
from typing import Any

import pytest

from elman.tasks.trials import Trial, Tuning, sign

TRIALS = (
    Trial({}, 0.81, 12.4),
    Trial({"hidden": 32, "dropout": 0.31}, 0.9, 3.0),
    Trial({"hidden": 64, "dropout": 0.5}, None, 1.0, "the loss became NaN"),
    Trial({"hidden": 128, "dropout": 0.2}, 0.9, 3.0),
)


def tuning(*trials: Trial, **options: Any) -> Tuning:
    return Tuning(
        **{"task": "classify", "score": "accuracy", "lower": False} | options, trials=trials, model=0
    )


def test_the_table_shows_every_trial_beside_the_defaults() -> None:
    assert str(tuning(*TRIALS)).splitlines() == [
        "trial   hidden  dropout             accuracy  seconds",
        "    0  default  default               0.8100       12",
        "    1       32     0.31               0.9000        3  best",
        "    2       64      0.5  the loss became NaN        1",
        "    3      128      0.2               0.9000        3",
        "",
        "Best: hidden 32, dropout 0.31, with accuracy 0.9000; the defaults have 0.8100.",
        "Note: the best score of 4 trials is flattered by the choice: score it on other data",
    ]


@pytest.mark.parametrize(("lower", "best"), [(False, 1), (True, 0)])
def test_the_best_is_the_first_with_the_best_score(lower: bool, best: int) -> None:
    found = tuning(*TRIALS, lower=lower)
    assert found.best is TRIALS[best]
    assert found.to_dict()["best"] == best
    assert [trial["score"] for trial in json.loads(json.dumps(found.to_dict()))["trials"]] == [
        0.81,
        0.9,
        None,
        0.9,
    ]
    assert sign(lower) * 2 == (2 if lower else -2)


def test_defaults_that_stay_the_best_or_fail() -> None:
    assert "No trial is better than the defaults, whose accuracy is 0.8100." in str(
        tuning(*TRIALS, lower=True)
    )
    failed = Trial({}, None, 1.0, "the loss became NaN")
    assert "with accuracy 0.9000; the defaults failed." in str(tuning(failed, *TRIALS[1:]))
