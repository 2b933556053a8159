"""Classical seasonal decomposition: whether a series has a season, and the series without it.

A history (n,) of floats is NaN where a value is missing.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# More of the past says little about today, and costs time and memory.
MIN_STEPS, MAX_STEPS, SEASONS = 400, 2000, 4
# A phase of a smaller share of the level is no divisor.
MIN_INDEX: Final = 0.01


@dataclass(frozen=True, eq=False)
class Adjusted:
    """A history (n,) without its season, and what puts the season back H steps ahead.

    Attributes:
        factors, offsets: (H,) a forecast of the history becomes `factors * forecast + offsets`.
    """

    history: Array
    factors: Array
    offsets: Array


def smoothed_steps(season: int) -> int:
    """Return how many of the last values of a series are smoothed."""
    return min(max(MIN_STEPS, SEASONS * season), MAX_STEPS)


def adjust(history: Array, horizon: int, season: int) -> Adjusted:
    """Take the season out where a 90 % autocorrelation test finds one: by division where all values are
    positive, else by subtraction."""
    ones, zeros = np.ones(horizon), np.zeros(horizon)
    filled = fill_forward(history)
    if not is_seasonal(filled, season):
        return Adjusted(history, ones, zeros)
    here = np.arange(len(history)) % season
    ahead = (len(history) + np.arange(horizon)) % season
    if filled.min() > 0:
        index = seasonal_indices(filled, season)
        if index.min() > MIN_INDEX:
            return Adjusted(history / index[here], index[ahead], zeros)
    offset = seasonal_offsets(filled, season)
    return Adjusted(history - offset[here], ones, offset[ahead])


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
    trend = _trend(values, season)
    index = _phase_means(values / trend, season)
    return np.asarray(index / index.mean())


def seasonal_offsets(values: Array, season: int) -> Array:
    """Return the additive offset of every phase (season,), of mean 0: the average of value less centred
    moving average."""
    offset = _phase_means(values - _trend(values, season), season)
    return np.asarray(offset - offset.mean())


def fill_forward(values: Array) -> Array:
    """Return the values with the last known one in place of a missing one, and the first known one before it.
    Without any known value, all are 0."""
    observed = ~np.isnan(values)
    if not observed.any():
        return np.zeros_like(values)
    last = np.maximum.accumulate(np.where(observed, np.arange(len(values)), -1))
    return np.asarray(values[np.where(last < 0, int(observed.argmax()), last)])


def _trend(values: Array, season: int) -> Array:
    """Return the centred moving average over a season (n,), NaN at the ends."""
    weights = np.ones(season + 1 - season % 2)
    if season % 2 == 0:
        weights[[0, -1]] = 0.5  # an even season has no middle step, so half a step counts at either end
    trend = np.full(len(values), np.nan)
    edge = len(weights) // 2
    trend[edge : len(values) - edge] = np.convolve(values, weights / season, mode="valid")
    return trend


def _phase_means(values: Array, season: int) -> Array:
    return np.array([np.nanmean(values[phase::season]) for phase in range(season)])
