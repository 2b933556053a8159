"""Does a forecast copy the last value?"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from elman.errors import UsageError
from elman.lens.finding import Finding

MIN_FORECASTS: Final = 10
# Of the naive error: a forecast that is hardly better than the last value.
SKILL: Final = 0.05
# Of its own error: nearer to the last value than so, a forecast is more a copy of it than anything else. With
# noise as large as the true changes it is just as near.
NEAR: Final = 0.7


def check_forecast(forecast: Any, truth: Any, last: Any) -> Iterator[Finding]:
    """Yield a finding where forecasts copy the last value.

    Args:
        forecast, truth: (N,) or (N, steps ahead).
        last: the value before each forecast's first step, (N,).

    Raises:
        UsageError: the shapes differ, or there are fewer than 10 forecasts.
    """
    forecasts, truths, before = (np.asarray(one, float) for one in (forecast, truth, last))
    if forecasts.shape != truths.shape or forecasts.ndim not in (1, 2) or before.shape != forecasts.shape[:1]:
        shapes = f"{forecasts.shape}, {truths.shape} and {before.shape}"
        raise UsageError(
            f"forecasts must be three arrays: (N,) or (N, H) twice and the last values (N,), not {shapes}"
        )
    before = before.reshape(-1, *[1] * (forecasts.ndim - 1))
    finite = np.isfinite(forecasts) & np.isfinite(truths) & np.isfinite(before)
    if finite.sum() < MIN_FORECASTS:
        raise UsageError(f"forecasts must hold at least {MIN_FORECASTS} finite forecasts, not {finite.sum()}")
    change, true_change = ((one - before)[finite] for one in (forecasts, truths))
    error, naive = np.abs(change - true_change).mean(), np.abs(true_change).mean()
    distance, correlation = np.abs(change).mean(), _correlation(change, true_change)
    if naive == 0 or error < (1 - SKILL) * naive or distance > NEAR * error:
        return
    yield Finding(
        "copies_last",
        f"The forecast copies the last value: it is {distance:.3g} away from it, while the truth is "
        f"{naive:.3g} away, and its error of {error:.3g} is no better than that of repeating the last value; "
        f"its changes have a correlation of {correlation:.2f} with the true ones",
        {"error": float(error), "naive": float(naive), "distance": float(distance)}
        | {"correlation": float(correlation), "forecasts": int(finite.sum())},
        "forecast changes in place of values: train on differences, divided by their standard deviation. If "
        "that is no better either, the data hold nothing beyond their last value (as a random walk)",
    )


def _correlation(a: Any, b: Any) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / size) if size > 0 else 0.0
