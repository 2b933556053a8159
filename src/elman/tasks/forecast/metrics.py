"""Scores for forecasts, on plain numpy arrays. A missing actual (NaN) never counts.

Shapes: `actual` and `forecast` are (..., H), one row a forecast window of H steps; quantile forecasts are
(..., H, Q) for Q levels in rising order.

References: MASE: Hyndman & Koehler 2006, "Another look at measures of forecast accuracy". sMAPE and OWA as in
the M4 competition: Makridakis, Spiliotis & Assimakopoulos 2020. CRPS as the mean weighted quantile loss:
Gneiting & Ranjan 2011; Salinas et al. 2020 (DeepAR).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def smape(actual: Array, forecast: Array) -> Array:
    """Symmetric mean absolute percentage error of every window, 0 to 200. Shape (...,)."""
    size = np.abs(actual) + np.abs(forecast)
    error = np.abs(actual - forecast)
    # Where both are zero the forecast is right: an error of 0, not 0/0.
    share = np.divide(error, size, out=np.where(np.isnan(size), np.nan, 0.0), where=size > 0)
    return 200 * _mean(share)


def mase_scale(history: Array, season: int) -> float:
    """Mean absolute step of one season inside `history` (n,): what a MASE divides by.

    NaN when a constant or tiny history leaves nothing to divide by: such a window has no MASE. A history
    shorter than a season and a step is judged by its steps of one.
    """
    for lag in (season, 1):
        if len(history) > lag:
            steps = np.abs(history[lag:] - history[:-lag])
            steps = steps[~np.isnan(steps)]
            # Rounding noise on a constant series is not a scale.
            if len(steps) and steps.mean() > 1e-12 * np.nanmax(np.abs(history)):
                return float(steps.mean())
    return float("nan")


def mase(actual: Array, forecast: Array, scale: Array | float) -> Array:
    """Mean absolute error of every window over its `mase_scale`. Shape (...,)."""
    return np.asarray(_mean(np.abs(actual - forecast)) / np.asarray(scale))


def quantile_loss(actual: Array, forecast: Array, level: float) -> Array:
    """Pinball loss of the forecast of one quantile `level`, per step; shape of `actual`."""
    error = actual - forecast
    return np.asarray(np.maximum(level * error, (level - 1) * error))


def weighted_quantile_loss(actual: Array, quantiles: Array, levels: Sequence[float]) -> float:
    """Mean over `levels` of 2 Σ pinball / Σ |actual|: the CRPS as forecasting tools report it. 0 is perfect.

    NaN when every actual is zero or missing.
    """
    total = np.nansum(np.abs(actual))
    if total == 0:
        return float("nan")
    sums = [np.nansum(quantile_loss(actual, quantiles[..., i], level)) for i, level in enumerate(levels)]
    return float(2 * np.mean(sums) / total)


def coverage(actual: Array, low: Array, high: Array) -> float:
    """Share of the actual values inside [low, high]."""
    known = ~np.isnan(actual)
    inside = (actual >= low) & (actual <= high)
    return float(inside[known].mean()) if known.any() else float("nan")


def owa(smape: float, mase: float, smape_naive2: float, mase_naive2: float) -> float:
    """Overall weighted average of the M4 competition: 1 is as good as Naive2, below 1 better."""
    return (smape / smape_naive2 + mase / mase_naive2) / 2


def skill(ours: float, reference: float) -> float:
    """1 - ours / reference: 0 is as good as the reference, 1 perfect, negative worse."""
    if reference == 0:
        return 0.0 if ours == 0 else float("-inf")
    return 1 - ours / reference


def summary(actual: Array, quantiles: Array, levels: Sequence[float], scales: Array) -> dict[str, float]:
    """The scores of one method over N windows.

    actual (N, H); quantiles (N, H, Q) with level 0.5 among `levels`; scales (N,) from `mase_scale`. Windows
    without a scale (constant series) have no MASE and are left out of that score alone.
    """
    median = quantiles[..., list(levels).index(0.5)]
    return {
        "mase": float(_mean(mase(actual, median, scales))),
        "smape": float(_mean(smape(actual, median))),
        "crps": weighted_quantile_loss(actual, quantiles, levels),
        "coverage": coverage(actual, quantiles[..., 0], quantiles[..., -1]),
    }


def _mean(values: Array) -> Array:
    """Mean along the last axis over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(-1)
    total = np.where(known, values, 0.0).sum(-1)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))
