"""What validation windows teach about a trained network: how much of the better naive forecast to blend in,
and how wide the bands must be.

Bands: conformalised quantile regression (Romano, Patterson & Candès 2019, arXiv:1905.03222) in its scaled
form: the distances from the median are stretched (Sesia & Candès 2020, arXiv:1909.05433).

Shapes: N windows, H steps, Q levels. All values are in units of each window's scale.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.data.series.panel import Array

_WEIGHTS = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class Naive:
    """One of the naive forecasts: point (N, H), and growth (H,), by which its errors grow with the steps: the
    root of the steps, or seasons, that a value is carried over, as for a random walk."""

    name: str
    point: Array
    growth: Array


@dataclass(frozen=True)
class Adjustment:
    """weight: share of the network in the forecast, beside `base`, the better naive forecast. spread: how far
    each level is from the base's point, for a growth of 1. stretch: factor on how far each is from the middle
    of the blend. network_error, base_error: mean absolute errors on validation."""

    weight: float
    base: str
    spread: tuple[float, ...]
    stretch: tuple[float, ...]
    network_error: float
    base_error: float

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
        lists = {name: tuple(found[name]) for name in ("spread", "stretch")}
        return cls(**found | lists)

    @classmethod
    def fit(
        cls,
        quantiles: Array,
        naives: Sequence[Naive],
        target: Array,
        levels: Sequence[float],
        horizons: float,
        past: Mapping[str, Array],
    ) -> "Adjustment":
        """From quantiles (N, H, Q), the naive forecasts and the truth (N, H), NaN where missing.

        `past` are errors of the naive forecasts, by name, over all of the past, for a growth of 1: they have
        learned nothing, so no stretch of time flatters them.
        What is best on validation is trusted the more, the more `horizons` the validating steps make: with 1
        the weight and the stretch count half, with 9 nine tenths.
        """
        trust = horizons / (horizons + 1)
        median = quantiles[..., list(levels).index(0.5)]
        base = min(naives, key=lambda naive: _error(naive.point, target))
        blends = [_error(w * median + (1 - w) * base.point, target) for w in _WEIGHTS]
        weight = float(_WEIGHTS[int(np.argmin(blends))]) * trust
        spread = _spread(past[base.name], levels)
        errors = _error(median, target), _error(base.point, target)
        plain = cls(weight, base.name, spread, (1.0,) * len(levels), *errors)
        middle, distances = plain._blend(quantiles, naives, levels)
        stretch = tuple(_stretch(target - middle, distances, levels, i) ** trust for i in range(len(levels)))
        return replace(plain, stretch=stretch)

    def apply(self, quantiles: Array, naives: Sequence[Naive], levels: Sequence[float]) -> Array:
        """Adjusted quantiles (N, H, Q), still rising."""
        middle, distances = self._blend(quantiles, naives, levels)
        # Two levels on one side may have been stretched past each other.
        return np.sort(middle[..., None] + distances * np.asarray(self.stretch), axis=-1)

    def _blend(
        self, quantiles: Array, naives: Sequence[Naive], levels: Sequence[float]
    ) -> tuple[Array, Array]:
        """Middle (N, H) of network and base, and the distances (N, H, Q) of the levels from it."""
        base = next(naive for naive in naives if naive.name == self.base)
        median = quantiles[..., list(levels).index(0.5)]
        middle = self.weight * median + (1 - self.weight) * base.point
        around_base = base.growth[:, None] * np.asarray(self.spread)
        around_median = quantiles - median[..., None]
        return middle, self.weight * around_median + (1 - self.weight) * around_base


def _spread(errors: Array, levels: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of the errors, mirrored so that the median is 0."""
    sizes = np.abs(errors[~np.isnan(errors)])
    return tuple(float(np.sign(q - 0.5) * np.quantile(sizes, abs(2 * q - 1))) for q in levels)


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
    ratios = [residual[known] / _away_from_zero(distances[..., i][known], levels[i]) for i in used]
    share = abs(2 * level - 1) if facing else max(level, 1 - level)
    worst = np.max(ratios, axis=0)
    rank = min(math.ceil((len(worst) + 1) * share), len(worst))
    # More than a fourfold change would mean that the few validation windows decide everything.
    return float(np.clip(np.sort(worst)[rank - 1], 0.25, 4.0))


def _away_from_zero(distances: Array, level: float) -> Array:
    """A distance may be 0 (a base that was never wrong), or too small to divide by."""
    tiny = np.finfo(np.float32).tiny
    return np.minimum(distances, -tiny) if level < 0.5 else np.maximum(distances, tiny)
