"""Evaluations beside slow sums; the copy warning warns of copies alone."""

import json
import math
from datetime import date, timedelta

import numpy as np
import pytest

from elman.data.series.panel import Panel, read_panel
from elman.tasks.forecast import metrics as scores
from elman.tasks.forecast.baseline import naive, seasonal_naive
from elman.tasks.forecast.scores import Evaluation, compare, copy_warning

LEVELS = (0.1, 0.5, 0.9)


def panel(values: list[float]) -> Panel:
    return read_panel({"ds": [date(2021, 1, 1) + timedelta(i) for i in range(len(values))], "y": values})


def test_compare_is_the_sum_of_its_windows() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(50, 5, 60)
    pairs = [(0, 30), (0, 40), (0, 57)]
    quantiles = np.sort(rng.normal(50, 5, (3, 4, 3)), axis=-1)
    found = compare(panel(values.tolist()), pairs, quantiles, LEVELS, 7, [None])
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
    assert found.baseline["mase"] == pytest.approx(np.mean(weekly))
    assert found.naive["mase"] == pytest.approx(np.mean(last))
    assert found.scores["skill_naive"] == pytest.approx(1 - np.mean(ours) / np.mean(last))
    assert found.scores["skill_seasonal_naive"] == pytest.approx(1 - np.mean(ours) / np.mean(weekly))
    assert (found.windows, found.horizon, found.band) == (3, 4, 0.8)
    scaled = compare(panel(values.tolist()), pairs, quantiles, LEVELS, 7, [2.0])
    assert scaled.scores["skill_naive"] == pytest.approx(1 - scaled.scores["mase"] / scaled.naive["mase"])


def test_undefined_scores_print_and_travel() -> None:
    found = compare(panel([0.0] * 30), [(0, 20)], np.zeros((1, 4, 3)), LEVELS, 7, [None])
    assert math.isnan(found.scores["mase"])
    assert found.scores["smape"] == 0
    assert " - " in str(found)
    again = Evaluation.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert str(again) == str(found)


def test_copies_of_the_last_value_are_called_so() -> None:
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(size=(1, 300))).reshape(-1)
    last, actual = walk[:-1, None], walk[1:, None]
    shaken = last + 0.05 * rng.normal(size=last.shape)
    assert "as far as the series" in copy_warning(shaken, last, actual, -0.01)[0]
    assert copy_warning(actual, last, actual, 1.0) == (), "the truth is no copy"
    assert copy_warning(last + 1, last, actual, -0.5) == (), "bad, but no copy"
    assert copy_warning(shaken, last, actual, 0.2) == (), "good"
    constant = np.full((5, 1), 3.0)
    assert copy_warning(constant, constant, constant, math.nan) == ()
