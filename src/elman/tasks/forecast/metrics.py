"""Scores for forecasts, on plain numpy arrays. A missing actual value (NaN) never counts.

Shapes: `actual` and `forecast` are (..., H), one row a forecast window of H steps; quantile forecasts are
(..., H, Q) for Q ascending levels.

References: MASE: Hyndman & Koehler 2006, "Another look at measures of forecast accuracy". sMAPE and OWA as in
the M4 competition: Makridakis, Spiliotis & Assimakopoulos 2020. CRPS as the mean weighted quantile loss:
Gneiting & Ranjan 2011; Salinas et al. 2020 (DeepAR).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def smape(actual: Array, forecast: Array) -> Array:
    """Return the symmetric mean absolute percentage error of every window (...,), 0 to 200."""
    size = np.abs(actual) + np.abs(forecast)
    error = np.abs(actual - forecast)
    # Where both are zero, the forecast is right, and the error 0.
    share = np.divide(error, size, out=np.where(np.isnan(size), np.nan, 0.0), where=size > 0)
    return 200 * _mean(share)


def mase_scale(history: Array, season: int) -> float:
    """Return the mean absolute change over a season in `history` (n,), by which a MASE divides.

    It is NaN for a constant or tiny history, which has no MASE. In a history of no more than a season,
    changes over one step count instead.
    """
    for lag in (season, 1):
        if len(history) > lag:
            steps = np.abs(history[lag:] - history[:-lag])
            steps = steps[~np.isnan(steps)]
            # The rounding noise of a constant series is not a scale.
            if len(steps) and steps.mean() > 1e-12 * np.nanmax(np.abs(history)):
                return float(steps.mean())
    return float("nan")


def mase(actual: Array, forecast: Array, scale: Array | float) -> Array:
    """Return the mean absolute error of every window (...,) over its `mase_scale`."""
    return np.asarray(_mean(np.abs(actual - forecast)) / np.asarray(scale))


def mean_mase(actual: Array, forecast: Array, scales: Array) -> float:
    """Return the mean MASE of N windows (N, H) with scales (N,), of which those that are NaN are left out."""
    return float(_mean(mase(actual, forecast, scales)))


def quantile_loss(actual: Array, forecast: Array, level: float) -> Array:
    """Return the pinball loss of every step (..., H), for the forecast of one quantile `level`."""
    error = actual - forecast
    return np.asarray(np.maximum(level * error, (level - 1) * error))


def weighted_quantile_loss(actual: Array, quantiles: Array, levels: Sequence[float]) -> float:
    """Return the mean over `levels` of 2 Σ pinball / Σ |actual|: the CRPS as forecasting tools report it.

    It is 0 for a perfect forecast, and NaN if every actual value is zero or missing.
    """
    total = np.nansum(np.abs(actual))
    if total == 0:
        return float("nan")
    sums = [np.nansum(quantile_loss(actual, quantiles[..., i], level)) for i, level in enumerate(levels)]
    with np.errstate(over="ignore"):
        return float(2 * np.mean(sums) / total)


def coverage(actual: Array, low: Array, high: Array) -> float:
    """Return the share of the actual values inside [low, high]."""
    observed = ~np.isnan(actual)
    inside = (actual >= low) & (actual <= high)
    return float(inside[observed].mean()) if observed.any() else float("nan")


def skill(ours: float, reference: float) -> float:
    """Return 1 - ours / reference: 0 is as good as the reference, 1 perfect, negative worse."""
    if reference == 0:
        return 0.0 if ours == 0 else float("-inf")
    return 1 - ours / reference


def summary(actual: Array, quantiles: Array, levels: Sequence[float], scales: Array) -> dict[str, float]:
    """Return the scores of one method over N windows.

    Args:
        actual: (N, H).
        quantiles: (N, H, Q) for `levels`, with 0.5 among them.
        scales: (N,) from `mase_scale`; a window whose scale is NaN is left out of the MASE alone.
    """
    median = quantiles[..., list(levels).index(0.5)]
    return {
        "mase": mean_mase(actual, median, scales),
        "smape": float(_mean(smape(actual, median))),
        "crps": weighted_quantile_loss(actual, quantiles, levels),
        "coverage": coverage(actual, quantiles[..., 0], quantiles[..., -1]),
    }


def _mean(values: Array) -> Array:
    """Return the mean of the known values along the last axis, NaN where there are none."""
    observed = ~np.isnan(values)
    count = observed.sum(-1)
    total = np.where(observed, values, 0.0).sum(-1)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))
