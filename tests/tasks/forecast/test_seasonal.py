"""Seasonal decomposition finds the seasons of made-up series, and an adjusted series can be put back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.tasks.forecast.seasonal import (
    adjust,
    fill_forward,
    is_seasonal,
    seasonal_indices,
    seasonal_offsets,
    smoothed_steps,
)

PATTERN = np.array([0.5, 1.0, 1.5, 1.0])


def test_a_pure_season_is_found() -> None:
    history = 100 * np.tile(PATTERN, 8)
    assert is_seasonal(history, 4)
    np.testing.assert_allclose(seasonal_indices(history, 4), PATTERN)
    np.testing.assert_allclose(seasonal_offsets(history, 4), 100 * (PATTERN - 1))
    assert not is_seasonal(history[:11], 4), "three seasons at least"
    assert not is_seasonal(np.random.default_rng(0).normal(size=200), 12)


@pytest.mark.parametrize("season", [3, 4])
def test_seasonal_indices_see_through_a_trend(season: int) -> None:
    pattern = np.linspace(0.8, 1.2, season)
    history = np.linspace(100, 200, 12 * season) * np.tile(pattern, 12)
    np.testing.assert_allclose(seasonal_indices(history, season), pattern / pattern.mean(), atol=0.01)
    moved = np.linspace(100, 200, 12 * season) + np.tile(pattern, 12)
    np.testing.assert_allclose(seasonal_offsets(moved, season), pattern - pattern.mean(), atol=1e-9)


@pytest.mark.parametrize("level", [1.0, 0.5, -3.0])
def test_an_adjusted_history_has_no_season_and_gets_it_back(level: float) -> None:
    """By division where all values are positive, else by subtraction."""
    history = 100 * (np.tile(PATTERN, 8) - 1 + level)[:-1]
    found = adjust(history, 6, 4)
    expected = 100.0 if level == 1 else 100 * level
    np.testing.assert_allclose(found.history, expected)
    ahead = found.factors * expected + found.offsets
    np.testing.assert_allclose(ahead, 100 * (np.resize(np.roll(PATTERN, 1), 6) - 1 + level))


def test_gaps_stay_gaps_and_a_history_without_season_stays_as_it_is() -> None:
    history = 100 * np.tile(PATTERN, 8)
    history[9] = np.nan
    assert np.flatnonzero(np.isnan(adjust(history, 2, 4).history)).tolist() == [9]
    found = adjust(history[:7], 2, 4)
    np.testing.assert_array_equal(found.history, history[:7])
    assert (found.factors.tolist(), found.offsets.tolist()) == ([1, 1], [0, 0])


def test_fill_forward_carries_the_last_known_value() -> None:
    filled = fill_forward(np.array([np.nan, 1.0, np.nan, np.nan, 4.0, np.nan]))
    np.testing.assert_array_equal(filled, [1, 1, 1, 1, 4, 4])
    np.testing.assert_array_equal(fill_forward(np.full(2, np.nan)), 0)


@given(st.integers(1, 100_000))
def test_smoothed_steps_hold_some_seasons_and_are_bounded(season: int) -> None:
    assert 400 <= smoothed_steps(season) <= 2000
    assert smoothed_steps(season) >= min(4 * season, 2000)
