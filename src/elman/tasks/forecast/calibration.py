"""Calibration of a trained network on validation windows: the share of the better naive forecast in a blend,
and the width of the bands.

Bands: conformalised quantile regression (Romano, Patterson & Candès 2019, arXiv:1905.03222) in its scaled
form, which multiplies the distances from the median by a factor (Sesia & Candès 2020, arXiv:1909.05433).

Shapes: N windows, H steps, Q levels. All values are in units of each window's scale.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from elman.data.series.rows import Array
from elman.tasks.forecast.baseline import POINTS, PointForecasts
from elman.typed import typed

WEIGHTS: Final = np.linspace(0, 1, 21)
# A larger change of a band's width would let the few validation windows decide everything.
MAX_CONFORMAL_FACTOR: Final = 4.0


@dataclass(frozen=True)
class Calibration:
    """A blend of the network with a naive forecast, and the width of its bands.

    Attributes:
        weight: the share of the network in the forecast.
        base: the name of the better naive forecast, which has the rest.
        spread: the distance of each level from the base's point forecast, for a growth of 1.
        conformal_factors: by which each level's distance from the median of the blend is multiplied.
        network_error, base_error: mean absolute errors on validation.
        season: of the naive forecasts.
    """

    weight: float
    base: str
    spread: tuple[float, ...]
    conformal_factors: tuple[float, ...]
    network_error: float
    base_error: float
    season: int = 1

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence, if the network alone is no better than the naive forecast."""
        if self.network_error < self.base_error:
            return ()
        worse = 100 * (self.network_error / self.base_error - 1) if self.base_error else 0.0
        share = f"{100 * self.weight:.0f} % network and {100 - 100 * self.weight:.0f} % {self.base}"
        return (
            f"the network alone did not beat {self.base} on validation (its error is {worse:.0f} % larger): "
            f"the forecast is a blend of {share}",
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the key that 0.1.0 saved for the factors."""
        return {_SAVED_NAMES.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any], season: int) -> "Calibration":
        """Read what `to_json` gave; in a folder of 0.1.0, which lacks it, `season` is that of the network.
        Raises ValueError for an unknown base, or a value of another kind."""
        names: dict[str, str] = {saved: name for name, saved in _SAVED_NAMES.items()}
        entries = {names.get(key, key): value for key, value in ({"season": season} | values).items()}
        calibration: Calibration = typed(cls, entries, "adjustment.json")
        if calibration.base not in POINTS:
            raise ValueError(f"there is no naive forecast {calibration.base!r:.60}")
        return calibration

    @classmethod
    def fit(
        cls,
        quantiles: Array,
        naives: Sequence[PointForecasts],
        target: Array,
        levels: Sequence[float],
        horizons: float,
        past: Mapping[str, Array],
        season: int = 1,
    ) -> "Calibration":
        """Choose weight, base and factors on validation windows.

        Args:
            quantiles: (N, H, Q) of the network.
            naives: the naive forecasts of these windows.
            target: (N, H) true values, NaN where missing.
            levels: of the quantiles, ascending, with 0.5.
            horizons: length of the validation steps. The more, the more their best choice is trusted: with 1
                the weight and the factors count half, with 9 nine tenths.
            past: errors of the naive forecasts over the whole past by name, divided by their growth. The
                naive forecasts have learned nothing, so that no part of the past flatters them.
            season: of the naive forecasts.
        """
        trust = horizons / (horizons + 1)
        median = quantiles[..., list(levels).index(0.5)]
        base = min(naives, key=lambda naive: _error(naive.values, target))
        blends = [_error(w * median + (1 - w) * base.values, target) for w in WEIGHTS]
        weight = float(WEIGHTS[int(np.argmin(blends))]) * trust
        spread = _spread(past[base.name], levels)
        errors = _error(median, target), _error(base.values, target)
        plain = cls(weight, base.name, spread, (1.0,) * len(levels), *errors, season)
        middle, distances = plain._blend(quantiles, naives, levels, 0.0, 1.0)
        factors = [_conformal_factor(target - middle, distances, levels, i) for i in range(len(levels))]
        return replace(plain, conformal_factors=tuple(factor**trust for factor in factors))

    def apply(
        self,
        quantiles: Array,
        naives: Sequence[PointForecasts],
        levels: Sequence[float],
        center: Array | float = 0.0,
        scale: Array | float = 1.0,
    ) -> Array:
        """Return the calibrated quantiles (N, H, Q), ascending, in units of the naive forecasts.

        The network's quantiles are in units of each window's `scale` (N, 1) from its `center` (N, 1).

        With a weight of 0, the median is the naive forecast to the bit.
        """
        middle, distances = self._blend(quantiles, naives, levels, center, scale)
        # The factors may have moved one level past another.
        return np.sort(middle[..., None] + distances * np.asarray(self.conformal_factors), axis=-1)

    def _blend(
        self,
        quantiles: Array,
        naives: Sequence[PointForecasts],
        levels: Sequence[float],
        center: Array | float,
        scale: Array | float,
    ) -> tuple[Array, Array]:
        """Return the median (N, H) of the blend, and the distances (N, H, Q) of the levels from it."""
        base = next(naive for naive in naives if naive.name == self.base)
        around_base = base.growth[:, None] * np.asarray(self.spread) + np.zeros_like(quantiles)
        if self.weight == 0:
            return base.values, np.asarray(scale)[..., None] * around_base
        median = quantiles[..., list(levels).index(0.5)]
        middle = self.weight * (center + scale * median) + (1 - self.weight) * base.values
        distances = self.weight * (quantiles - median[..., None]) + (1 - self.weight) * around_base
        return middle, np.asarray(scale)[..., None] * distances


_SAVED_NAMES: Final = {"conformal_factors": "stretch"}


def _spread(errors: Array, levels: Sequence[float]) -> tuple[float, ...]:
    """Return quantiles of the errors, mirrored so that the median is 0."""
    sizes = np.abs(errors[~np.isnan(errors)])
    return tuple(float(np.sign(q - 0.5) * np.quantile(sizes, abs(2 * q - 1))) for q in levels)


def _error(point: Array, target: Array) -> float:
    return float(np.nanmean(np.abs(point - target)))


def _conformal_factor(residual: Array, distances: Array, levels: Sequence[float], index: int) -> float:
    """Return the factor with which level `index` would have covered its share of the validation steps.

    Levels at the same distance from the median (10 and 90 %) get one factor, with which their band covers its
    share; a level without a counterpart gets its own.
    """
    level = levels[index]
    if level == 0.5:
        return 1.0
    facing = [i for i, other in enumerate(levels) if math.isclose(other, 1 - level)]
    observed = ~np.isnan(residual)
    with np.errstate(over="ignore"):  # a ratio beyond float64 is clipped like any other
        ratios = [
            residual[observed] / _nonzero(distances[..., i][observed], levels[i]) for i in [index, *facing]
        ]
    share = abs(2 * level - 1) if facing else max(level, 1 - level)
    worst = np.max(ratios, axis=0)
    rank = min(math.ceil((len(worst) + 1) * share), len(worst))
    return float(np.clip(np.sort(worst)[rank - 1], 1 / MAX_CONFORMAL_FACTOR, MAX_CONFORMAL_FACTOR))


def _nonzero(distances: Array, level: float) -> Array:
    """Return distances to divide by: one may be tiny, or 0 where a base was never wrong."""
    tiny = np.finfo(np.float32).tiny
    return np.minimum(distances, -tiny) if level < 0.5 else np.maximum(distances, tiny)
