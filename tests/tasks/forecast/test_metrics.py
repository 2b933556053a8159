"""Scores against sums done by hand and against slow obvious loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.forecast import metrics as scores

finite = st.floats(-1e6, 1e6, allow_nan=False)


def test_smape_by_hand() -> None:
    assert scores.smape(np.array([100.0, 50.0]), np.array([110.0, 50.0])) == pytest.approx(
        200 * (10 / 210) / 2
    )
    assert scores.smape(np.array([0.0, 2.0]), np.array([0.0, 2.0])) == 0
    assert scores.smape(np.array([1.0]), np.array([-1.0])) == 200


def test_missing_actuals_never_count() -> None:
    actual, forecast = np.array([[1.0, np.nan, 3.0]]), np.array([[2.0, 9.0, 3.0]])
    assert scores.mase(actual, forecast, np.array([2.0])) == pytest.approx([0.25])
    assert scores.smape(actual, forecast) == pytest.approx([200 * (1 / 3) / 2])
    assert scores.coverage(actual, forecast - 1, forecast + 1) == 1.0
    assert math.isnan(scores.smape(np.array([np.nan]), np.array([1.0])))


def test_mase_scale() -> None:
    assert scores.mase_scale(np.array([1.0, 2.0, 4.0, 8.0]), 1) == pytest.approx(7 / 3)
    assert scores.mase_scale(np.array([1.0, 2.0, 4.0, 8.0]), 2) == pytest.approx((3 + 6) / 2)
    assert scores.mase_scale(np.array([1.0, np.nan, 4.0, 8.0]), 1) == pytest.approx(4)
    assert scores.mase_scale(np.array([1.0, 3.0]), 12) == 2, "too short for a season: steps of one"
    assert math.isnan(scores.mase_scale(np.array([5.0] * 9), 3)), "a constant series has no scale"
    assert math.isnan(scores.mase_scale(np.array([0.1 + 1e-17, 0.1, 0.1]), 1))
    assert math.isnan(scores.mase_scale(np.array([1.0]), 1))


@settings(deadline=None)
@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=20), st.floats(0.01, 0.99))
def test_quantile_loss_is_the_textbook_pinball(pairs: list[tuple[float, float]], level: float) -> None:
    actual, forecast = np.array(pairs).T
    slow = [level * (y - q) if y >= q else (1 - level) * (q - y) for y, q in pairs]
    np.testing.assert_allclose(scores.quantile_loss(actual, forecast, level), slow, rtol=1e-12)


@settings(deadline=None)
@given(st.lists(finite, min_size=1, max_size=30), st.floats(0.05, 0.95))
def test_the_empirical_quantile_minimises_the_pinball_loss(values: list[float], level: float) -> None:
    data = np.array(values)
    best = scores.quantile_loss(
        data, np.full(len(data), np.quantile(data, level, method="inverted_cdf")), level
    ).sum()
    for other in data:
        assert best <= scores.quantile_loss(data, np.full(len(data), other), level).sum() + 1e-6


def test_weighted_quantile_loss_by_hand() -> None:
    actual = np.array([[10.0, 20.0]])
    quantiles = np.array([[[8.0, 12.0], [18.0, 19.0]]])
    low = 0.1 * 2 + 0.1 * 2
    high = 0.1 * 2 + 0.9 * 1
    assert scores.weighted_quantile_loss(actual, quantiles, (0.1, 0.9)) == pytest.approx(
        2 * (low + high) / 2 / 30
    )
    assert math.isnan(scores.weighted_quantile_loss(np.zeros((1, 2)), quantiles, (0.1, 0.9)))


def test_a_median_alone_makes_the_crps_the_relative_absolute_error() -> None:
    rng = np.random.default_rng(0)
    actual, forecast = rng.normal(5, 1, (4, 6)), rng.normal(5, 1, (4, 6))
    expected = np.abs(actual - forecast).sum() / np.abs(actual).sum()
    assert scores.weighted_quantile_loss(actual, forecast[..., None], (0.5,)) == pytest.approx(expected)


def test_coverage_counts_the_borders() -> None:
    assert scores.coverage(np.array([1.0, 2.0, 3.0, 4.0]), np.full(4, 2.0), np.full(4, 3.0)) == 0.5
    assert math.isnan(scores.coverage(np.array([np.nan]), np.zeros(1), np.ones(1)))


def test_skill() -> None:
    assert scores.skill(1.0, 2.0) == 0.5
    assert scores.skill(3.0, 2.0) == -0.5
    assert scores.skill(0.0, 0.0) == 0.0
    assert scores.skill(1.0, 0.0) == -math.inf


def test_summary_leaves_constant_series_out_of_mase_alone() -> None:
    actual = np.array([[1.0, 1.0], [2.0, 4.0]])
    quantiles = np.stack([actual - 1, actual + np.array([[0.0], [1.0]]), actual + 2], axis=-1)
    found = scores.summary(actual, quantiles, (0.1, 0.5, 0.9), np.array([np.nan, 2.0]))
    assert found["mase"] == pytest.approx(0.5)
    assert found["smape"] == pytest.approx((0 + 200 * (1 / 5 + 1 / 9) / 2) / 2)
    assert found["coverage"] == 1.0
    assert found["crps"] > 0
