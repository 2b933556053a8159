"""The baselines against their definitions, and against the figures the M4 competition published for them."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.forecast import baseline as baselines
from elman.tasks.forecast import metrics as scores
from elman.tasks.forecast.seasonal import is_seasonal

LEVELS = (0.1, 0.5, 0.9)
MIDDLE = 1


def test_naive_repeats_the_last_known_value() -> None:
    found = baselines.naive(np.array([1.0, 5.0, 3.0, np.nan]), 4, 1, LEVELS)
    assert found.shape == (4, 3)
    np.testing.assert_array_equal(found[:, MIDDLE], 3.0)


def test_seasonal_naive_repeats_the_last_season() -> None:
    history = np.array([0.0, 0, 0, 1, 2, 3])
    np.testing.assert_array_equal(
        baselines.seasonal_naive(history, 7, 3, LEVELS)[:, MIDDLE], [1, 2, 3, 1, 2, 3, 1]
    )
    short = baselines.seasonal_naive(np.array([4.0, 7.0]), 2, 3, LEVELS)
    np.testing.assert_array_equal(short[:, MIDDLE], 7.0)


def test_there_is_one_naive_forecast() -> None:
    """Those that are blended in are the medians of those that are printed, for any gaps and any length."""
    rng = np.random.default_rng(3)
    histories = [rng.normal(size=n) for n in (2, 6, 7, 8, 40)]
    histories[-1][[5, -1, -7]] = np.nan
    for season in (1, 7):
        for forecasts in baselines.classical_forecasts(histories, 9, season, tuple(baselines.POINTS)):
            printed = [baselines.BASELINES[forecasts.name](h, 9, season, LEVELS) for h in histories]
            np.testing.assert_array_equal(forecasts.values, np.stack(printed)[..., MIDDLE])


def test_errors_of_a_naive_forecast_grow_with_the_root_of_its_lag() -> None:
    seasonal, last = baselines.classical_forecasts([np.arange(9.0)], 5, 2, tuple(baselines.POINTS))
    assert (seasonal.name, last.name) == ("seasonal naive", "naive")
    np.testing.assert_allclose(seasonal.growth, np.sqrt([1, 1, 2, 2, 3]))
    np.testing.assert_allclose(last.growth, np.sqrt([1, 2, 3, 4, 5]))


def test_naive2_takes_a_pure_season_apart() -> None:
    pattern = np.array([0.5, 1.0, 1.5, 1.0])
    history = 100 * np.tile(pattern, 8)
    np.testing.assert_allclose(
        baselines.naive2(history, 6, 4, LEVELS)[:, MIDDLE], 100 * np.resize(pattern, 6)
    )


def test_naive2_is_naive_without_a_season() -> None:
    rng = np.random.default_rng(1)
    for history in (rng.normal(100, 1, 200), np.tile([-1.0, 1.0], 50), np.full(60, 3.0)):
        assert not (is_seasonal(history, 12) and history.min() > 0)
        expected = baselines.naive(history, 5, 12, LEVELS)
        np.testing.assert_array_equal(baselines.naive2(history, 5, 12, LEVELS), expected)


def test_bands_of_a_random_walk_cover_and_widen() -> None:
    rng = np.random.default_rng(2)
    walks = np.cumsum(rng.normal(size=(300, 220)), axis=1)
    found = np.stack([baselines.naive(walk[:200], 16, 1, LEVELS) for walk in walks])
    covered = scores.coverage(walks[:, 200:216], found[..., 0], found[..., 2])
    assert covered == pytest.approx(0.8, abs=0.05)
    width = (found[..., 2] - found[..., 0]).mean(0)
    assert width[-1] == pytest.approx(4 * width[0], rel=0.2), "√16 as wide"


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(-1e9, 1e9)), min_size=1, max_size=40),
    st.integers(1, 9),
    st.integers(1, 12),
    st.sampled_from(sorted(baselines.BASELINES)),
)
def test_any_history_gives_finite_rising_quantiles(
    values: list[float], horizon: int, season: int, name: str
) -> None:
    found = baselines.BASELINES[name](np.array(values), horizon, season, LEVELS)
    assert found.shape == (horizon, 3)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=1) >= -1e-3).all()


def test_a_constant_series_has_no_spread() -> None:
    np.testing.assert_array_equal(baselines.naive(np.full(30, 7.0), 3, 1, LEVELS), 7.0)


def _m4(name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    root = os.environ.get("ELMAN_DATA")
    if not root:
        pytest.skip(
            "set ELMAN_DATA to the folder of public data to compare with the M4 competition's figures"
        )
    parts = []
    for part in ("train", "test"):
        lines = Path(root, "timeseries", "m4", f"{name}-{part}.csv").read_text().splitlines()[1:]
        cells = [[cell.strip('"') for cell in line.split(",")[1:]] for line in lines]
        parts.append([np.array([float(cell) for cell in row if cell]) for row in cells])
    return parts[0], parts[1]


# sMAPE and MASE as published with the M4 competition.
@pytest.mark.parametrize(
    ("name", "season", "method", "smape", "mase"),
    [
        ("Hourly", 24, "naive2", 18.383, 2.395),
        ("Hourly", 24, "seasonal naive", 13.912, 1.193),
        ("Weekly", 1, "naive2", 9.161, 2.777),
    ],
)
def test_published_m4_figures(name: str, season: int, method: str, smape: float, mase: float) -> None:
    train, test = _m4(name)
    actual = np.stack(test)
    forecasts = [baselines.BASELINES[method](history, actual.shape[1], season, (0.5,)) for history in train]
    scales = np.array([scores.mase_scale(history, season) for history in train])
    found = scores.summary(actual, np.stack(forecasts), (0.5,), scales)
    assert found["smape"] == pytest.approx(smape, abs=6e-4)
    assert found["mase"] == pytest.approx(mase, abs=6e-4)
