"""The forecasts to beat: the last value, the last season, and the M4 competition's Naive2, with bands.

A history (n,) of floats is NaN where a value is missing. `POINTS` makes both the naive forecasts that a
forecaster blends in and those that are scored beside it. The latter have bands (H, Q), one column a quantile
level: quantiles of the past errors of the same method at the same distance, mirrored so that the median is
the point forecast.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEASONAL_NAIVE, NAIVE = "seasonal naive", "naive"
# Past errors beyond this many steps say little about today, and cost time.
RECENT_STEPS: Final = 500


@dataclass(frozen=True, eq=False)
class PointForecasts:
    """The forecasts of one of the naive methods after several histories.

    Attributes:
        name: of the method, a key of `POINTS`.
        values: (N, H), a row for each history.
        growth: (H,) the factor by which errors grow with the steps: the root of the number of steps, or of
            seasons, over which a value is carried, as for a random walk.
    """

    name: str
    values: Array
    growth: Array


def last_value(history: Array, horizon: int, season: int) -> Array:
    """Return the last known value, repeated (H,). `season` is unused: all methods are called alike."""
    return np.full(horizon, fill_forward(history)[-1])


def last_season(history: Array, horizon: int, season: int) -> Array:
    """Return the value of the same phase in the last season (H,), or the last known one before it where it is
    missing. After a history shorter than a season, this is `last_value`."""
    if season == 1 or len(history) < season:
        return last_value(history, horizon, season)
    return np.asarray(fill_forward(history)[len(history) - season + np.arange(horizon) % season])


POINTS: Final = {SEASONAL_NAIVE: last_season, NAIVE: last_value}


def naive_forecasts(histories: Sequence[Array], horizon: int, season: int) -> tuple[PointForecasts, ...]:
    """Return the forecasts of every naive method after each history."""
    steps = np.arange(horizon)
    growth = {SEASONAL_NAIVE: np.sqrt(1 + steps // season), NAIVE: np.sqrt(1 + steps)}
    return tuple(
        PointForecasts(name, np.stack([point(h, horizon, season) for h in histories]), growth[name])
        for name, point in POINTS.items()
    )


def naive(history: Array, horizon: int, season: int, levels: Sequence[float]) -> Array:
    """Return `last_value` with bands (H, Q)."""
    return _with_bands(last_value(history, horizon, season), history, np.arange(1, horizon + 1), levels)


def seasonal_naive(history: Array, horizon: int, season: int, levels: Sequence[float]) -> Array:
    """Return `last_season` with bands (H, Q)."""
    if season == 1 or len(history) < season:
        return naive(history, horizon, season, levels)
    lags = (np.arange(horizon) // season + 1) * season
    return _with_bands(last_season(history, horizon, season), history, lags, levels)


def naive2(history: Array, horizon: int, season: int, levels: Sequence[float]) -> Array:
    """Return the last value of the seasonally adjusted history, put back into season: M4's benchmark.

    Adjusts by classical multiplicative decomposition where a 90 % autocorrelation test finds the season and
    all values are positive; else this is `naive`.
    """
    filled = fill_forward(history)
    if not is_seasonal(filled, season) or filled.min() <= 0:
        return naive(history, horizon, season, levels)
    index = seasonal_indices(filled, season)
    here = index[np.arange(len(filled)) % season]
    ahead = index[(len(filled) + np.arange(horizon)) % season]
    return naive(history / here, horizon, 1, levels) * ahead[:, None]


BASELINES: Final[dict[str, Callable[[Array, int, int, Sequence[float]], Array]]] = {
    SEASONAL_NAIVE: seasonal_naive,
    NAIVE: naive,
    "naive2": naive2,
}


def is_seasonal(values: Array, season: int) -> bool:
    """Return whether the autocorrelation at `season` is outside its 90 % band under Bartlett's formula."""
    n = len(values)
    if season == 1 or n < 3 * season:
        return False
    centred = values - values.mean()
    power = centred @ centred
    if power <= 0:
        return False
    correlation = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, season + 1)]) / power
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(correlation[:-1] ** 2)) / n)
    return bool(abs(correlation[-1]) > limit)


def seasonal_indices(values: Array, season: int) -> Array:
    """Return the multiplicative index of every phase (season,), of mean 1: the average of value over centred
    moving average."""
    weights = np.ones(season + 1 - season % 2)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5  # an even season has no middle step, so half a step counts at either end
    trend = np.convolve(values, weights / season, mode="valid")
    edge = len(weights) // 2
    ratio = np.full(len(values), np.nan)
    ratio[edge : edge + len(trend)] = values[edge : edge + len(trend)] / trend
    index = np.array([np.nanmean(ratio[phase::season]) for phase in range(season)])
    return np.asarray(index / index.mean())


def fill_forward(values: Array) -> Array:
    """Return the values with the last known one in place of a missing one, and the first known one before it.
    Without any known value, all are 0."""
    observed = ~np.isnan(values)
    if not observed.any():
        return np.zeros_like(values)
    last = np.maximum.accumulate(np.where(observed, np.arange(len(values)), -1))
    return np.asarray(values[np.where(last < 0, int(observed.argmax()), last)])


def _with_bands(point: Array, history: Array, lags: NDArray[np.int64], levels: Sequence[float]) -> Array:
    """Add the quantiles of history[t] - history[t - lag], mirrored about 0, to a point forecast (H,)."""
    recent = history[-RECENT_STEPS:]
    away = 2 * np.asarray(levels) - 1  # a quantile of mirrored errors is ± a quantile of their sizes
    out = np.empty((len(point), len(levels)))
    for lag in np.unique(lags):
        sizes = np.sort(_error_sizes(recent, int(lag)))
        spread = np.sign(away) * np.interp(np.abs(away) * (len(sizes) - 1), np.arange(len(sizes)), sizes)
        out[lags == lag] = point[lags == lag, None] + spread
    return out


def _error_sizes(recent: Array, lag: int) -> Array:
    """Return the sizes of past errors at distance `lag`, or, if too few are known, those at a shorter one,
    widened as for a random walk."""
    for shorter in (lag, *(lag // k for k in (2, 4, 8)), 1):
        if 0 < shorter < len(recent):
            sizes = np.abs(recent[shorter:] - recent[:-shorter])
            sizes = sizes[~np.isnan(sizes)]
            if len(sizes) >= 8 or (shorter == 1 and len(sizes)):
                return np.asarray(sizes * np.sqrt(lag / shorter))
    return np.zeros(1)
