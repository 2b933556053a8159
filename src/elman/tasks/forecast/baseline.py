"""The forecasts to beat: last value, last season, and the M4 competition's Naive2, each with honest bands.

Every function takes one history (n,) of floats (NaN where missing) and returns (H, Q): H steps ahead, one
column a quantile level. The middle is the classical point forecast; the bands are the quantiles of the past
errors of the same method at the same distance, mirrored so that the middle stays where it is.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Past errors beyond this many steps say little about today, and cost time.
_RECENT = 500


def naive(history: Array, horizon: int, season: int, levels: Sequence[float]) -> Array:
    """The last value, repeated. `season` is not used: all baselines are called alike."""
    filled = fill_forward(history)
    return _with_bands(np.full(horizon, filled[-1]), history, np.arange(1, horizon + 1), levels)


def seasonal_naive(history: Array, horizon: int, season: int, levels: Sequence[float]) -> Array:
    """The value of the same phase one season ago; the last value where the history is shorter than that."""
    filled = fill_forward(history)
    if season == 1 or len(filled) < season:
        return naive(history, horizon, season, levels)
    steps = np.arange(horizon)
    return _with_bands(
        filled[len(filled) - season + steps % season], history, (steps // season + 1) * season, levels
    )


def naive2(history: Array, horizon: int, season: int, levels: Sequence[float]) -> Array:
    """The last value of the seasonally adjusted history, put back into season: M4's benchmark.

    Adjusts by classical multiplicative decomposition where a 90 % autocorrelation test finds the season and
    all values are positive; the plain last value otherwise.
    """
    filled = fill_forward(history)
    if not is_seasonal(filled, season) or filled.min() <= 0:
        return naive(history, horizon, season, levels)
    index = seasonal_indices(filled, season)
    here = index[np.arange(len(filled)) % season]
    ahead = index[(len(filled) + np.arange(horizon)) % season]
    return naive(history / here, horizon, 1, levels) * ahead[:, None]


BASELINES: dict[str, Callable[[Array, int, int, Sequence[float]], Array]] = {
    "seasonal naive": seasonal_naive,
    "naive": naive,
    "naive2": naive2,
}


def is_seasonal(values: Array, season: int) -> bool:
    """Whether the autocorrelation at `season` stands out of its 90 % band under Bartlett's formula."""
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
    """Multiplicative index of every phase (season,), mean 1: value over centred moving average, averaged."""
    weights = np.ones(season + 1 - season % 2)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5  # an even season has no middle step: half a step at either end
    trend = np.convolve(values, weights / season, mode="valid")
    edge = len(weights) // 2
    ratio = np.full(len(values), np.nan)
    ratio[edge : edge + len(trend)] = values[edge : edge + len(trend)] / trend
    index = np.array([np.nanmean(ratio[phase::season]) for phase in range(season)])
    return np.asarray(index / index.mean())


def fill_forward(values: Array) -> Array:
    """Missing values take the last known one; those before the first known take the first known."""
    known = ~np.isnan(values)
    if not known.any():
        return np.zeros_like(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return np.asarray(values[np.where(last < 0, int(known.argmax()), last)])


def _with_bands(point: Array, history: Array, lags: NDArray[np.int64], levels: Sequence[float]) -> Array:
    """Point forecast (H,) → (H, Q): plus the quantiles of history[t] - history[t - lag], mirrored about 0."""
    recent = history[-_RECENT:]
    away = 2 * np.asarray(levels) - 1  # a mirrored error's quantile is ± the quantile of its size
    out = np.empty((len(point), len(levels)))
    for lag in np.unique(lags):
        sizes = np.sort(_error_sizes(recent, int(lag)))
        spread = np.sign(away) * np.interp(np.abs(away) * (len(sizes) - 1), np.arange(len(sizes)), sizes)
        out[lags == lag] = point[lags == lag, None] + spread
    return out


def _error_sizes(recent: Array, lag: int) -> Array:
    """Past errors at distance `lag`; where too few are known, shorter ones widened as for a random walk."""
    for shorter in (lag, *(lag // k for k in (2, 4, 8)), 1):
        if 0 < shorter < len(recent):
            sizes = np.abs(recent[shorter:] - recent[:-shorter])
            sizes = sizes[~np.isnan(sizes)]
            if len(sizes) >= 8 or (shorter == 1 and len(sizes)):
                return np.asarray(sizes * np.sqrt(lag / shorter))
    return np.zeros(1)
