"""The banks against textbook recurrences in plain loops, and on series whose continuation is known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.forecast import smoothing
from elman.tasks.forecast.seasonal import smoothed_steps
from elman.tasks.forecast.smoothing import BANKS, MIN_LINE, SMOOTHING, THETA, Bank, forecast, without_season

Array = np.ndarray
Rates = tuple[float, ...]
BOTH = pytest.mark.parametrize("bank", BANKS.values(), ids=list(BANKS))


def only(bank: Bank, unit: int) -> Bank:
    weights = {name: values[unit : unit + 1] for name, values in bank.weights.items()}
    return replace(bank, weights=weights, costs=bank.costs[:1], variances=bank.variances[:, unit : unit + 1])


def damped(
    values: Array, rates: tuple[float, ...], ahead: float, trend: float, horizon: int
) -> tuple[Array, Array]:
    """Return errors and forecasts of Holt's method with a damped trend (Gardner & McKenzie 1985) from an
    first forecast and an initial trend; a missing value moves the level on."""
    alpha, beta, phi = rates
    level = ahead - phi * trend
    errors = []
    for value in values:
        error = 0.0 if np.isnan(value) else value - level - phi * trend
        errors.append(error)
        level, trend = level + phi * trend + alpha * error, phi * trend + beta * error
    return np.array(errors), level + trend * np.cumsum(phi ** np.arange(1, horizon + 1))


def theta(
    values: Array, rates: tuple[float, ...], level: float, _: float, horizon: int
) -> tuple[Array, Array]:
    """Return errors and forecasts of the dynamic theta method: at every step the line of least squares so
    far, of values that count less and less, and simple smoothing of the theta line that it makes of the
    values."""
    alpha, theta = rates
    time = np.arange(1.0, len(values) + 1)
    ahead, errors = level, []
    for now in range(1, len(values) + 2):
        if now > 1:
            known = ~np.isnan(values[: now - 1])
            slope, intercept = (
                (0.0, values[:now][known.argmax()])
                if known.sum() < 2
                else np.polyfit(
                    time[: now - 1][known],
                    values[: now - 1][known],
                    1,
                    w=(1 - 1 / max(horizon, MIN_LINE)) ** ((now - 1 - time[: now - 1][known]) / 2),
                )
            )
            lines = theta * values + (1 - theta) * (intercept + slope * time)
            smooth = theta * level
            for step in np.flatnonzero(known):
                smooth += alpha * (lines[step] - smooth)
            ahead = smooth / theta + (1 - 1 / theta) * (intercept + slope * now)
        if now <= len(values):
            counts = not np.isnan(values[now - 1]) and (~np.isnan(values[:now])).sum() > 2
            errors.append(values[now - 1] - ahead if counts else 0.0)
    return np.array(errors), ahead + (1 - 1 / theta) * slope * np.arange(horizon)


def best(method: Callable[..., Any], values: Array, rates: Rates, bank: Bank) -> Array:
    """Return the forecasts from the initial state of least squares, which is a linear regression."""
    spread, center = np.nanstd(values), np.nanmean(values)
    scaled = (values - center) / spread
    first = scaled[(~np.isnan(scaled)).argmax()]
    zero = method(scaled, rates, first, 0.0, 5)
    moved = [method(scaled, rates, first + 1, float(trend), 5) for trend in range(len(bank.impulses))]
    design = np.stack([zero[0] - one[0] for one in moved], 1)
    counted = (~np.isnan(values)).sum() - bank.skipped
    ridge = np.diag(counted / bank.variances[:, 0])
    found = np.linalg.solve(design.T @ design + ridge, design.T @ zero[0])
    changes = [share * (one[1] - zero[1]) for share, one in zip(found, moved, strict=True)]
    return np.asarray(center + spread * (zero[1] + sum(changes)))


@pytest.mark.parametrize("gaps", [(), (3, 4, 9)])
@pytest.mark.parametrize("unit", [0, 5, 11, 14, 40, 90, 140])
def test_smoothing_is_that_of_the_textbook(unit: int, gaps: tuple[int, ...]) -> None:
    bank = only(SMOOTHING, unit % len(SMOOTHING.costs))
    values = np.random.default_rng(unit).normal(size=14).cumsum() + 5
    values[list(gaps)] = np.nan
    rates = tuple(float(bank.weights[name][0]) for name in ("alpha", "beta", "phi"))
    expected = best(damped, values, rates, bank)
    np.testing.assert_allclose(forecast(bank, [values], 5, 1)[0][0], expected, rtol=1e-6)


@pytest.mark.parametrize("gaps", [(), (3, 4, 9)])
@pytest.mark.parametrize("unit", [0, 2, 9, 35, 71])
def test_theta_is_that_of_its_paper(unit: int, gaps: tuple[int, ...]) -> None:
    bank = only(THETA, unit)
    values = np.random.default_rng(unit).normal(size=14).cumsum() + 5
    values[list(gaps)] = np.nan
    rates = float(bank.weights["alpha"][0]), float(1 / (1 - bank.weights["lift"][0]))
    expected = best(theta, values, rates, bank)
    np.testing.assert_allclose(forecast(bank, [values], 5, 1)[0][0], expected, rtol=1e-6)


@BOTH
def test_what_is_regular_goes_on(bank: Bank) -> None:
    season = np.array([1.0, 2.0, 3.0, 2.0])
    walk = np.random.default_rng(0).normal(size=300).cumsum()
    level = np.random.default_rng(1).normal(size=300) + 50
    values, deviations = forecast(
        bank, [np.full(9, 1 / 3), np.zeros(5), np.tile(season, 10), walk, level], 4, 4
    )
    np.testing.assert_array_equal(values[0], 1 / 3)
    np.testing.assert_array_equal(values[1], 0)
    np.testing.assert_allclose(values[2], season)
    np.testing.assert_allclose(values[3], walk[-1], atol=0.6)
    np.testing.assert_allclose(values[4], 50, atol=0.5)
    np.testing.assert_allclose(deviations[3], np.sqrt(np.arange(1, 5)), rtol=0.2)
    np.testing.assert_allclose(deviations[4], 1, rtol=0.1)


def test_a_trend_goes_on() -> None:
    line = np.arange(40.0) + 0.1 * np.random.default_rng(0).normal(size=40)
    for bank, within in ((SMOOTHING, 0.5), (THETA, 1.5)):
        np.testing.assert_allclose(forecast(bank, [line], 4, 1)[0][0], np.arange(40, 44), atol=within)


@BOTH
def test_a_forecast_does_not_depend_on_the_others(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alike, with gaps and of other lengths, in one scan or in many."""
    rng = np.random.default_rng(0)
    histories = [rng.normal(size=n).cumsum() for n in (20,) * 6 + (3, 7, 31, 40)]
    for row in (4, 8, 9):
        histories[row][[1, -2]] = np.nan
    together = forecast(bank, histories, 6, 4)
    alone = [forecast(bank, [history], 6, 4) for history in histories]
    monkeypatch.setattr(smoothing, "MAX_OUTPUTS", 20_000)
    apart = forecast(bank, histories, 6, 4)
    for which in (0, 1):
        np.testing.assert_allclose(together[which], [one[which][0] for one in alone], rtol=1e-9)
        np.testing.assert_allclose(together[which], apart[which], rtol=1e-9)


@BOTH
def test_units_and_the_distant_past_do_not_matter(bank: Bank) -> None:
    values = np.random.default_rng(0).normal(size=450).cumsum()
    plain = forecast(bank, [values], 3, 1)
    np.testing.assert_array_equal(plain[0], forecast(bank, [values[-smoothed_steps(1) :]], 3, 1)[0])
    for unit in (1e-200, 1e200):
        for one, other in zip(forecast(bank, [values * unit], 3, 1), plain, strict=True):
            np.testing.assert_allclose(one / unit, other, rtol=1e-6)
    np.testing.assert_allclose(forecast(bank, [values + 1e6], 3, 1)[0] - 1e6, plain[0], atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.lists(st.one_of(st.just(float("nan")), st.floats(-1e9, 1e9)), min_size=1, max_size=20),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 9),
    st.integers(1, 5),
    st.sampled_from(list(BANKS.values())),
)
def test_any_history_has_finite_forecasts(
    rows: list[list[float]], horizon: int, season: int, bank: Bank
) -> None:
    values, deviations = forecast(bank, [np.array(row) for row in rows], horizon, season)
    assert values.shape == deviations.shape == (len(rows), horizon)
    assert np.isfinite(values).all()
    assert np.isfinite(deviations).all()
    assert (deviations >= 0).all()


@pytest.mark.parametrize("shift", [0.0, -100.0], ids=["divided out", "subtracted"])
@BOTH
def test_a_forecast_without_the_season_that_was_put_back(bank: Bank, shift: float) -> None:
    steps, season = np.arange(96), np.tile([1.3, 1.1, 0.7, 0.9], 24)
    history = (50 + 0.5 * steps) * season + shift
    ahead, _ = forecast(bank, [history, steps + 1.0], 8, 4)
    plain = without_season([history, steps + 1.0], ahead, 4)
    assert np.ptp(np.diff(plain[0])) < 1.5 < np.ptp(np.diff(ahead[0]))
    assert plain[1] == pytest.approx(ahead[1]), "without a season it is the forecast itself"
