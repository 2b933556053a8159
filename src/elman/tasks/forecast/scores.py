"""Scores of forecasts beside those of the naive forecasts, of exponential smoothing and of Theta."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from elman.data.series.panel import Panel, Series
from elman.data.series.rows import Array
from elman.errors import counted
from elman.tasks.evaluation import Evaluation, Metric
from elman.tasks.forecast import metrics
from elman.tasks.forecast.baseline import BASELINES, NAIVE, SEASONAL_NAIVE, smoothed
from elman.tasks.forecast.smoothing import BANKS

# Forecasts that move less than this share of what the series moves, and hardly beat its last value, copy it.
COPY_MOVES, COPY_SKILL = 0.35, 0.05
NETWORK: Final = "network"


@dataclass(frozen=True, kw_only=True, repr=False)
class ForecastEvaluation(Evaluation):
    """Scores of forecasts from several cut-offs.

    `mase`; `smape` (0 to 200); `crps` (the mean weighted quantile loss); `coverage` (of the outer band);
    `skill_seasonal_naive` and `skill_naive`: 1 - MASE / MASE of that baseline, 0 as good as it, 1 perfect.
    A constant series has no MASE.

    Attributes:
        windows: number of forecasts.
        horizon: steps of a forecast.
        band: the share of values that the outer band should cover.
    """

    NAME: ClassVar = "forecast"
    SAVED_BASELINES: ClassVar = {"baseline": SEASONAL_NAIVE, "naive": NAIVE}

    windows: int
    horizon: int
    band: float

    @classmethod
    def of(
        cls,
        panel: Panel,
        cutoffs: Sequence[tuple[int, int]],
        quantiles: Array,
        levels: Sequence[float],
        season: int,
        scales: Sequence[float | None],
        notes: tuple[str, ...] = (),
    ) -> "ForecastEvaluation":
        """Score quantiles (N, H, Q) that start at the (series, cut-off) `cutoffs` of a panel.

        The baselines see all values before the cut-off. MASE divides by `scales[i]` for series i, or, if that
        is None, by the seasonal step of the values before the cut-off.
        """
        horizon, middle = quantiles.shape[1], list(levels).index(0.5)
        actual = np.stack([_ahead(panel.series[s], cutoff, horizon) for s, cutoff in cutoffs])
        histories = [panel.series[s].values[:cutoff] for s, cutoff in cutoffs]
        divisors = np.array(
            [
                metrics.mase_scale(history, season) if scales[s] is None else scales[s]
                for (s, _), history in zip(cutoffs, histories, strict=True)
            ],
            dtype=np.float64,
        )
        forecasts = {NETWORK: quantiles}
        for name in (SEASONAL_NAIVE, NAIVE):
            forecasts[name] = np.stack([BASELINES[name](h, horizon, season, levels) for h in histories])
        for name in BANKS:
            forecasts[name] = smoothed(name, histories, horizon, season, levels)
        scores = {name: metrics.summary(actual, q, levels, divisors) for name, q in forecasts.items()}
        for one in scores.values():
            one["skill_seasonal_naive"] = metrics.skill(one["mase"], scores[SEASONAL_NAIVE]["mase"])
            one["skill_naive"] = metrics.skill(one["mase"], scores[NAIVE]["mase"])
        skill = scores[NETWORK]["skill_naive"]
        copies = copy_note(quantiles[..., middle], forecasts[NAIVE][..., middle], actual, skill)
        defined = {
            name: {key: value if math.isfinite(value) else None for key, value in one.items()}
            for name, one in scores.items()
        }
        return cls(
            scores=defined.pop(NETWORK),
            baselines=defined,
            notes=notes + copies,
            windows=len(cutoffs),
            horizon=horizon,
            band=levels[-1] - levels[0],
        )

    def metrics(self) -> dict[str, Metric]:
        return {
            "mase": Metric("MASE", ".3f"),
            "smape": Metric("sMAPE %", ".2f"),
            "crps": Metric("CRPS", ".3f"),
            "coverage": Metric(f"coverage of the {100 * self.band:.0f} % band", ".1%"),
            "skill_seasonal_naive": Metric("skill over seasonal naive", "+.3f"),
            "skill_naive": Metric("skill over naive", "+.3f"),
        }

    def facts(self) -> list[str]:
        return [f"{counted(self.windows, 'forecast')} of up to {counted(self.horizon, 'step')}"]


def copy_note(forecast: Array, last: Array, actual: Array, skill: float) -> tuple[str, ...]:
    """Return a note if forecasts (N, H) do little but repeat the last value, as they do for stock prices.

    A picture of such forecasts looks right, although they follow the truth one step late.
    """
    observed = ~np.isnan(actual)
    moved = np.abs(actual - last)[observed].mean() if observed.any() else 0.0
    if moved == 0 or math.isnan(skill):
        return ()
    share = float(np.abs(forecast - last)[observed].mean() / moved)
    if share >= COPY_MOVES or skill >= COPY_SKILL:
        return ()
    return (
        "these forecasts are little more than copies of the last value (they move "
        f"{100 * share:.0f} % as far as the series and are {100 * skill:.1f} % better than repeating it): "
        "a picture of them follows the series one step late and looks better than it is",
    )


def _ahead(series: Series, cutoff: int, horizon: int) -> Array:
    """Return the values (H,) from a cut-off on, NaN beyond the end."""
    values = np.full(horizon, np.nan)
    actual = series.values[cutoff : cutoff + horizon]
    values[: len(actual)] = actual
    return values
