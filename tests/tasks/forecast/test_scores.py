"""Evaluations against slow sums; only copies of the last value are called so."""

import json
import math
from datetime import date, timedelta

import numpy as np
import pytest

from elman.data.series.panel import Panel, read_panel
from elman.tasks.forecast import metrics as scores
from elman.tasks.forecast.baseline import naive, seasonal_naive
from elman.tasks.forecast.scores import ForecastEvaluation, copy_note

LEVELS = (0.1, 0.5, 0.9)


def panel(values: list[float]) -> Panel:
    return read_panel({"ds": [date(2021, 1, 1) + timedelta(i) for i in range(len(values))], "y": values})


def test_an_evaluation_is_the_sum_of_its_windows() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(50, 5, 60)
    pairs = [(0, 30), (0, 40), (0, 57)]
    quantiles = np.sort(rng.normal(50, 5, (3, 4, 3)), axis=-1)
    found = ForecastEvaluation.of(panel(values.tolist()), pairs, quantiles, LEVELS, 7, [None])
    ours, weekly, last = [], [], []
    for (_, cutoff), forecast in zip(pairs, quantiles, strict=True):
        actual = values[cutoff : cutoff + 4]
        scale = scores.mase_scale(values[:cutoff], 7)
        for into, point in (
            (ours, forecast[:, 1]),
            (weekly, seasonal_naive(values[:cutoff], 4, 7, (0.5,))[:, 0]),
            (last, naive(values[:cutoff], 4, 7, (0.5,))[:, 0]),
        ):
            into.append(np.abs(actual - point[: len(actual)]).mean() / scale)
    assert found.scores["mase"] == pytest.approx(np.mean(ours))
    assert found.baselines["seasonal naive"]["mase"] == pytest.approx(np.mean(weekly))
    assert found.baselines["naive"]["mase"] == pytest.approx(np.mean(last))
    assert found.scores["skill_naive"] == pytest.approx(1 - np.mean(ours) / np.mean(last))
    assert found.scores["skill_seasonal_naive"] == pytest.approx(1 - np.mean(ours) / np.mean(weekly))
    assert (found.windows, found.horizon, found.band) == (3, 4, 0.8)
    scaled = ForecastEvaluation.of(panel(values.tolist()), pairs, quantiles, LEVELS, 7, [2.0])
    ratio = scaled.scores["mase"] / scaled.baselines["naive"]["mase"]
    assert scaled.scores["skill_naive"] == pytest.approx(1 - ratio)
    assert list(found.baselines) == ["seasonal naive", "naive", "exponential smoothing", "Theta"]
    assert found.baseline == found.baselines["seasonal naive"]


def test_undefined_scores_print_and_travel() -> None:
    found = ForecastEvaluation.of(panel([0.0] * 30), [(0, 20)], np.zeros((1, 4, 3)), LEVELS, 7, [None])
    assert found.scores["mase"] is None
    assert found.scores["skill_naive"] is None
    assert found.scores["smape"] == 0
    assert "MASE" not in str(found), "a score that nobody has is not printed"
    again = ForecastEvaluation.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again == found


def test_the_evaluation_that_0_1_0_saved() -> None:
    scores = {"mase": 0.5, "smape": 4.5, "crps": 0.02, "coverage": 0.8, "skill_naive": None}
    saved = {"scores": scores, "baseline": scores | {"mase": 1.0}, "naive": scores | {"mase": 0.7}}
    again = ForecastEvaluation.from_dict(saved | {"windows": 3, "horizon": 4, "band": 0.8, "notes": ["x"]})
    assert {name: one["mase"] for name, one in again.baselines.items()} == {
        "seasonal naive": 1.0,
        "naive": 0.7,
    }
    assert (again.windows, again.horizon, again.band, again.notes) == (3, 4, 0.8, ("x",))
    lines = [line.split() for line in str(again).splitlines()]
    assert lines[0] == ["forecast", "seasonal", "naive", "naive"]
    assert ["MASE", "0.500", "1.000", "0.700"] in lines
    assert ["coverage", "of", "the", "80", "%", "band", "80.0%", "80.0%", "80.0%"] in lines


def test_copies_of_the_last_value_are_called_so() -> None:
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(size=(1, 300))).reshape(-1)
    last, actual = walk[:-1, None], walk[1:, None]
    shaken = last + 0.05 * rng.normal(size=last.shape)
    assert "as far as the series" in copy_note(shaken, last, actual, -0.01)[0]
    assert copy_note(actual, last, actual, 1.0) == (), "the truth is no copy"
    assert copy_note(last + 1, last, actual, -0.5) == (), "bad, but no copy"
    assert copy_note(shaken, last, actual, 0.2) == (), "good"
    constant = np.full((5, 1), 3.0)
    assert copy_note(constant, constant, constant, math.nan) == ()
