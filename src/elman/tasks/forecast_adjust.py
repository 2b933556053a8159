"""What validation windows teach about a trained network: how much of the better naive forecast to blend in,
and how wide the bands must be.

Bands: conformalised quantile regression (Romano, Patterson & Candès 2019, arXiv:1905.03222) in its scaled
form: the distances from the median are stretched (Sesia & Candès 2020, arXiv:1909.05433).

Shapes: N windows, H steps, Q levels. All values are in units of each window's scale.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.data.series import Array

_WEIGHTS = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class Adjustment:
    """weight: share of the network in the middle of the forecast, beside `base`, the better naive forecast
    ("naive" or "seasonal naive"). stretch: factor on each level's distance from the median. network_error,
    base_error, error: mean absolute errors of the three on validation."""

    weight: float
    base: str
    stretch: tuple[float, ...]
    network_error: float
    base_error: float
    error: float

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence, if the network alone is no better than the naive forecast."""
        if self.network_error < self.base_error:
            return ()
        worse = 100 * (self.network_error / self.base_error - 1) if self.base_error else 0.0
        share = f"{100 * self.weight:.0f} % network and {100 - 100 * self.weight:.0f} % {self.base}"
        return (
            f"The network alone did not beat {self.base} on validation (its error is {worse:.0f} % larger): "
            f"the forecast is a blend of {share}.",
        )

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Adjustment":
        """From JSON, which has no tuples."""
        return cls(**found | {"stretch": tuple(found["stretch"])})

    @classmethod
    def fit(
        cls,
        quantiles: Array,
        naive: Array,
        seasonal: Array,
        target: Array,
        levels: Sequence[float],
        horizons: float,
    ) -> "Adjustment":
        """From quantiles (N, H, Q), the two naive forecasts and the truth (N, H), NaN where missing.

        What is best on validation is trusted the more, the more `horizons` the validating steps make: with 1
        the weight and the stretch count half, with 9 nine tenths.
        """
        trust = horizons / (horizons + 1)
        median = quantiles[..., list(levels).index(0.5)]
        errors = {name: _error(point, target) for name, point in _bases(naive, seasonal).items()}
        base = min(errors, key=lambda name: errors[name])
        point = _bases(naive, seasonal)[base]
        blends = [_error(w * median + (1 - w) * point, target) for w in _WEIGHTS]
        weight = float(_WEIGHTS[int(np.argmin(blends))]) * trust
        middle = weight * median + (1 - weight) * point
        distances = quantiles - median[..., None]
        stretch = tuple(_stretch(target - middle, distances, levels, i) ** trust for i in range(len(levels)))
        return cls(weight, base, stretch, _error(median, target), errors[base], _error(middle, target))

    def apply(self, quantiles: Array, naive: Array, seasonal: Array, levels: Sequence[float]) -> Array:
        """Adjusted quantiles (N, H, Q), still rising."""
        median = quantiles[..., list(levels).index(0.5)]
        middle = self.weight * median + (1 - self.weight) * _bases(naive, seasonal)[self.base]
        distances = (quantiles - median[..., None]) * np.asarray(self.stretch)
        # Two levels on one side may have been stretched past each other.
        return np.sort(middle[..., None] + distances, axis=-1)


def _bases(naive: Array, seasonal: Array) -> dict[str, Array]:
    # Seasonal naive first: it is meant where both are the same.
    return {"seasonal naive": seasonal, "naive": naive}


def _error(point: Array, target: Array) -> float:
    return float(np.nanmean(np.abs(point - target)))


def _stretch(residual: Array, distances: Array, levels: Sequence[float], index: int) -> float:
    """The factor on the distance of level `index` that would have covered its share of validation steps.

    Levels that face each other around the median (10 and 90 %) are stretched together, so that their band
    covers its share; a level without a counterpart is stretched for itself.
    """
    level = levels[index]
    if level == 0.5:
        return 1.0
    facing = [i for i, other in enumerate(levels) if math.isclose(other, 1 - level)]
    known = ~np.isnan(residual)
    used = [index, *facing]
    ratios = [residual[known] / _away_from_zero(distances[..., i][known]) for i in used]
    share = abs(2 * level - 1) if facing else max(level, 1 - level)
    worst = np.max(ratios, axis=0)
    rank = min(math.ceil((len(worst) + 1) * share), len(worst))
    # More than a fourfold change would mean that the few validation windows decide everything.
    return float(np.clip(np.sort(worst)[rank - 1], 0.25, 4.0))


def _away_from_zero(distances: Array) -> Array:
    """A distance is never 0 (the network's steps are positive), but it may be too small to divide by."""
    tiny = np.finfo(np.float32).tiny
    return np.where(distances < 0, np.minimum(distances, -tiny), np.maximum(distances, tiny))
