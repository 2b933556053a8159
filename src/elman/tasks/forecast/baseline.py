"""The forecasts to beat: the last value, the last season, exponential smoothing, Theta, and the M4
competition's Naive2, with bands.

A history (n,) of floats is NaN where a value is missing. `classical_forecasts` makes both the forecasts that
a forecaster blends in and those that are scored beside it. The latter have bands (H, Q), one column a
quantile level. Those of a naive forecast are quantiles of the past errors of the same method at the same
distance, mirrored so that the median is the point forecast; those of smoothing are of a normal distribution.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elman.tasks.forecast.seasonal import Array, fill_forward, is_seasonal, seasonal_indices
from elman.tasks.forecast.smoothing import BANKS, forecast

SEASONAL_NAIVE, NAIVE = "seasonal naive", "naive"
# Past errors beyond this many steps say little about today, and cost time.
RECENT_STEPS: Final = 500


@dataclass(frozen=True, eq=False)
class PointForecasts:
    """The forecasts of one method after several histories.

    Attributes:
        name: of the method, one of `CLASSICAL`.
        values: (N, H), a row for each history.
        growth: of the errors. Of a naive forecast, the factor by which they grow with the steps (H,): the
            root of the number of steps, or of seasons, over which a value is carried, as for a random walk.
            Of a bank, the standard deviations that it expects (N, H), in units of the values.
    """

    name: str
    values: Array
    growth: Array

    def sizes(self, scale: Array | float) -> Array:
        """Return the sizes of the errors (H,) or (N, H) in units of `scale` (N, 1)."""
        return self.growth if self.growth.ndim == 1 else np.asarray(self.growth / scale)


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
CLASSICAL: Final = (*POINTS, *BANKS)


def classical_forecasts(
    histories: Sequence[Array],
    horizon: int,
    season: int,
    names: Sequence[str] = CLASSICAL,
    steps: int | None = None,
) -> tuple[PointForecasts, ...]:
    """Return the forecasts of the methods with these names after each history: of a horizon, or of `steps`
    by methods set for that horizon."""
    count = horizon if steps is None else steps
    ahead = np.arange(count)
    growth = {SEASONAL_NAIVE: np.sqrt(1 + ahead // season), NAIVE: np.sqrt(1 + ahead)}
    forecasts = []
    for name in names:
        if name in BANKS:
            forecasts.append(PointForecasts(name, *forecast(BANKS[name], histories, horizon, season, steps)))
        else:
            values = np.stack([POINTS[name](h, count, season) for h in histories])
            forecasts.append(PointForecasts(name, values, growth[name]))
    return tuple(forecasts)


def smoothed(
    name: str, histories: Sequence[Array], horizon: int, season: int, levels: Sequence[float]
) -> Array:
    """Return the forecasts of a bank with bands (N, H, Q)."""
    values, deviations = forecast(BANKS[name], histories, horizon, season)
    away = np.array([NormalDist().inv_cdf(level) for level in levels])
    return np.asarray(values[..., None] + deviations[..., None] * away)


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
