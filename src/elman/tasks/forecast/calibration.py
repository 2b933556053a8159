"""Calibration of a trained network on validation windows: the shares of the network and of the classical
forecasts in a blend, and the width of the bands.

Bands: conformalised quantile regression (Romano, Patterson & Candès 2019, arXiv:1905.03222) in its scaled
form, which multiplies the distances from the median by a factor (Sesia & Candès 2020, arXiv:1909.05433).

Shapes: N windows, H steps, Q levels. All values are in one unit for each window, such as its scale.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elman.data.series.rows import Array
from elman.tasks.forecast.baseline import CLASSICAL, PointForecasts
from elman.tasks.forecast.smoothing import BANKS
from elman.typed import typed

WEIGHTS: Final = np.linspace(0, 1, 21)
SHARE_STEPS: Final = 10  # of a whole, in the search for the shares of the classical forecasts
# A forecast whose error is within this factor of the best has a share until there is evidence against it.
GOOD: Final = 1.1
NETWORK_PRIOR: Final = 0.5
MIN_SHARE: Final = 0.04  # a smaller one is not worth its time
MIN_SIZE: Final = 1e-6  # of errors: a history without any tells nothing of their size
# A larger change of a band's width would let the few validation windows decide everything.
MAX_CONFORMAL_FACTOR: Final = 4.0


@dataclass(frozen=True, eq=False)
class Past:
    """Forecasts of windows of the whole past, of which the classical methods have learned nothing.

    Attributes:
        forecasts: of each method, in units of the windows' scales.
        target: (M, H) true values, NaN where missing.
        horizons: length of the steps forecast of a usual series, in horizons: many series of one time are
            hardly more evidence.
    """

    forecasts: Sequence[PointForecasts]
    target: Array
    horizons: float


@dataclass(frozen=True)
class Calibration:
    """A blend of the network with classical forecasts, and the width of its bands.

    Attributes:
        weight: the share of the network in the forecast.
        shares: of each classical forecast in the rest, by name; their sum is 1.
        spread: the distance of each level from the point forecast of these, for errors of size 1.
        conformal_factors: by which each level's distance from the median of the blend is multiplied.
        network_error, base_error: mean absolute errors on validation, of the network (None if no series was
            long enough to train one) and of the rest.
        season: of the classical forecasts.
        least_steps: of a history after which the network has its weight; after a shorter one it has none.
    """

    weight: float
    shares: dict[str, float]
    spread: tuple[float, ...]
    conformal_factors: tuple[float, ...]
    network_error: float | None
    base_error: float
    season: int = 1
    least_steps: int = 0

    @property
    def contributions(self) -> str:
        """The share of every part of the forecast, in words."""
        parts = {"network": self.weight}
        parts |= {name: (1 - self.weight) * share for name, share in self.shares.items()}
        words = [f"{100 * share:.0f} % {name}" for name, share in parts.items() if share]
        return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence, if the network alone is no better than the classical forecasts."""
        if self.network_error is None:
            return (f"no series is long enough for a network: the forecast is {self.contributions}",)
        if self.network_error < self.base_error:
            return ()
        worse = 100 * (self.network_error / self.base_error - 1) if self.base_error else 0.0
        return (
            f"the network alone did not beat {' or '.join(self.shares)} on validation (its error is "
            f"{worse:.0f} % larger): the forecast is a blend of {self.contributions}",
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the key that 0.1.0 saved for the factors."""
        return {_SAVED_NAMES.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any], season: int) -> "Calibration":
        """Read what `to_json` gave. Older folders have one naive forecast, the base; those of 0.1.0 lack its
        `season`, which is that of the network. Raises ValueError for an unknown forecast, or a value of
        another kind."""
        names: dict[str, str] = {saved: name for name, saved in _SAVED_NAMES.items()}
        entries = {names.get(key, key): value for key, value in ({"season": season} | values).items()}
        if isinstance(base := entries.pop("base", None), str):
            entries["shares"] = {base: 1.0}
        calibration: Calibration = typed(cls, entries, "adjustment.json")
        for name, share in calibration.shares.items():
            if name not in CLASSICAL:
                raise ValueError(f"there is no classical forecast {name!r:.60}")
            if not 0 < share <= 1:
                raise ValueError(f"adjustment.json: {name} can't have a share of {share}")
        if not math.isclose(sum(calibration.shares.values()), 1):
            raise ValueError("adjustment.json: the shares must have the sum 1")
        return calibration

    @classmethod
    def classical(cls, past: Past, levels: Sequence[float], season: int = 1) -> "Calibration":
        """Choose the shares and the spread on the past, where there is no network."""
        shares = _shares(past)
        error = _error(mixed(past.forecasts, shares), past.target) if past.horizons else 0.0
        return cls(0.0, shares, _spread(past, shares, levels), (1.0,) * len(levels), None, error, season)

    @classmethod
    def fit(
        cls,
        quantiles: Array,
        classical: Sequence[PointForecasts],
        target: Array,
        levels: Sequence[float],
        horizons: float,
        past: Past,
        season: int = 1,
        least_steps: int = 0,
    ) -> "Calibration":
        """Choose the shares on the past, weight and factors on validation windows.

        Args:
            quantiles: (N, H, Q) of the network.
            classical: the forecasts of these windows by each method, in units of the windows' scales.
            target: (N, H) true values, NaN where missing.
            levels: of the quantiles, ascending, with 0.5.
            horizons: length of the validation steps. The more, the more their best choice is trusted: with 1
                the weight and the factors count half, with 9 nine tenths.
            past: what the classical methods forecast in all of the past.
            season, least_steps: as in the attributes.
        """
        trust = horizons / (horizons + 1)
        alone = cls.classical(past, levels, season)
        median, base = quantiles[..., list(levels).index(0.5)], mixed(classical, alone.shares)
        blends = [_error(w * median + (1 - w) * base, target) for w in WEIGHTS]
        errors = _error(median, target), _error(base, target)
        best = float(WEIGHTS[int(np.argmin(blends))])
        prior = NETWORK_PRIOR if best and errors[0] <= GOOD * errors[1] else 0.0
        weight = best * trust + prior * (1 - trust)
        weight = 0.0 if weight < MIN_SHARE else weight
        plain = replace(alone, weight=weight, network_error=errors[0], base_error=errors[1])
        plain = replace(plain, least_steps=least_steps)
        middle, distances = plain._blend(quantiles, classical, levels, 0.0, 1.0)
        factors = [_conformal_factor(target - middle, distances, levels, i) for i in range(len(levels))]
        return replace(plain, conformal_factors=tuple(factor**trust for factor in factors))

    def apply(
        self,
        quantiles: Array,
        classical: Sequence[PointForecasts],
        levels: Sequence[float],
        center: Array | float = 0.0,
        scale: Array | float = 1.0,
        steps: Sequence[int] | None = None,
    ) -> Array:
        """Return the calibrated quantiles (N, H, Q), ascending, in units of the classical forecasts, of which
        there must be those with a share.

        The network's quantiles are in units of each window's `scale` (N, 1) from its `center` (N, 1).
        `steps` are those of the histories, if some may be too short for the network.

        With a weight of 0 and one share, the median is that forecast to the bit.
        """
        middle, distances = self._blend(quantiles, classical, levels, center, scale)
        short = np.zeros(len(quantiles), bool) if steps is None else ~self.reaches(steps)
        if short.any():
            alone = replace(self, weight=0.0)._blend(quantiles, classical, levels, center, scale)
            middle = np.where(short[:, None], alone[0], middle)
            distances = np.where(short[:, None, None], alone[1], distances)
        # The factors may have moved one level past another.
        return np.sort(middle[..., None] + distances * np.asarray(self.conformal_factors), axis=-1)

    def reaches(self, steps: Sequence[int]) -> NDArray[np.bool_]:
        """Return which histories, of so many steps, are long enough for the network (N,)."""
        return np.asarray(steps) >= self.least_steps

    def _blend(
        self,
        quantiles: Array,
        classical: Sequence[PointForecasts],
        levels: Sequence[float],
        center: Array | float,
        scale: Array | float,
    ) -> tuple[Array, Array]:
        """Return the median (N, H) of the blend, and the distances (N, H, Q) of the levels from it."""
        base = mixed(classical, self.shares)
        size = sizes(classical, self.shares, scale)
        around_base = size[..., None] * np.asarray(self.spread) + np.zeros_like(quantiles)
        if self.weight == 0:
            return base, np.asarray(scale)[..., None] * around_base
        median = quantiles[..., list(levels).index(0.5)]
        middle = self.weight * (center + scale * median) + (1 - self.weight) * base
        distances = self.weight * (quantiles - median[..., None]) + (1 - self.weight) * around_base
        return middle, np.asarray(scale)[..., None] * distances


def mixed(forecasts: Sequence[PointForecasts], shares: Mapping[str, float]) -> Array:
    """Return the mean (N, H) of the forecasts that have shares."""
    return _sum([shares[one.name] * one.values for one in forecasts if one.name in shares])


def sizes(
    forecasts: Sequence[PointForecasts], shares: Mapping[str, float], scale: Array | float = 1.0
) -> Array:
    """Return the sizes (N, H) or (H,) of the errors of this mean, in units of `scale` (N, 1)."""
    return _sum([shares[one.name] * one.sizes(scale) for one in forecasts if one.name in shares])


def _sum(terms: Sequence[Array]) -> Array:
    """Add arrays up; one alone stays as it is, even where it is -0."""
    return np.asarray(sum(terms[1:], terms[0]))


def _shares(past: Past) -> dict[str, float]:
    """Return the shares with the least error, drawn to equal ones of good smoothing and of the best forecast
    as the evidence is little."""
    names = [one.name for one in past.forecasts]
    if not past.horizons:
        return dict.fromkeys(names, 1 / len(names))
    errors = np.array([_error(one.values, past.target) for one in past.forecasts])
    smooth = np.array([name in BANKS for name in names])
    good = (errors <= GOOD * errors.min()) & (smooth | (errors == errors.min()))
    best = min(_compositions(len(names)), key=lambda one: _mixed_error(one, past))
    if 1.0 in best and not smooth[best.index(1.0)]:
        return {names[best.index(1.0)]: 1.0}  # to the bit
    trust = past.horizons / (past.horizons + len(names))
    shares = trust * np.array(best) + (1 - trust) * good / good.sum()
    shares = np.where(shares < MIN_SHARE, 0.0, shares)
    return {name: float(share) for name, share in zip(names, shares / shares.sum(), strict=True) if share}


def _compositions(parts: int) -> list[tuple[float, ...]]:
    """Return all shares of `parts` in steps of 1 / SHARE_STEPS, first those of the first parts alone."""
    counts = itertools.product(range(SHARE_STEPS, -1, -1), repeat=parts)
    return [tuple(count / SHARE_STEPS for count in one) for one in counts if sum(one) == SHARE_STEPS]


def _mixed_error(shares: Sequence[float], past: Past) -> float:
    values = sum(share * one.values for share, one in zip(shares, past.forecasts, strict=True) if share)
    return _error(np.asarray(values), past.target)


_SAVED_NAMES: Final = {"conformal_factors": "stretch"}


def _spread(past: Past, shares: Mapping[str, float], levels: Sequence[float]) -> tuple[float, ...]:
    """Return quantiles of the errors of a blend for errors of size 1, mirrored so that the median is 0; those
    of a normal distribution, where little of the past is known."""
    normal = np.array([NormalDist().inv_cdf(q) for q in levels])
    errors = np.abs(past.target - mixed(past.forecasts, shares))
    size = np.broadcast_to(sizes(past.forecasts, shares), errors.shape)
    measured = ~np.isnan(errors) & (size > MIN_SIZE)
    if not measured.any():
        return tuple(normal.tolist())
    relative = errors[measured] / size[measured]
    quantiles = np.array([np.sign(q - 0.5) * np.quantile(relative, abs(2 * q - 1)) for q in levels])
    trust = past.horizons / (past.horizons + 1)
    return tuple((trust * quantiles + (1 - trust) * normal).tolist())


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
