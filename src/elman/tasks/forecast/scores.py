"""Scores of forecasts beside those of the naive forecasts, of exponential smoothing and of Theta."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import polars as pl

from elman.data.series.panel import Panel
from elman.data.series.rows import Array
from elman.errors import counted
from elman.tasks.evaluation import Evaluation, Metric, scores_by
from elman.tasks.forecast import metrics
from elman.tasks.forecast.baseline import BASELINES, NAIVE, SEASONAL_NAIVE, smoothed
from elman.tasks.forecast.smoothing import BANKS
from elman.tasks.forecast.table import divisors, part_scores, true_values, worst_forecasts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Forecasts that move less than this share of what the series moves, and hardly beat its last value, copy it.
COPY_MOVES, COPY_SKILL = 0.35, 0.05
NETWORK: Final = "network"
PRINTED_PARTS: Final = 5  # steps and series whose scores are printed


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
    HAS_PICTURE: ClassVar = True
    GROUPS: ClassVar = {"series": "unique_id", "step": "step", "cutoff": "cutoff"}
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

        The baselines see all values before the cut-off. MASE divides by the `divisors` of `scales`.
        """
        horizon, middle = quantiles.shape[1], list(levels).index(0.5)
        actual, sizes = true_values(panel, cutoffs, horizon), divisors(panel, cutoffs, season, scales)
        histories = [panel.series[s].values[:cutoff] for s, cutoff in cutoffs]
        forecasts = {NETWORK: quantiles}
        for name in (SEASONAL_NAIVE, NAIVE):
            forecasts[name] = np.stack([BASELINES[name](h, horizon, season, levels) for h in histories])
        for name in BANKS:
            forecasts[name] = smoothed(name, histories, horizon, season, levels)
        scores = {name: metrics.summary(actual, q, levels, sizes) for name, q in forecasts.items()}
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
        line = f"{counted(self.windows, 'forecast')} of up to {counted(self.horizon, 'step')}"
        return [line, *self._parts()] if self.has_table else [line]

    def grouped(self, group: str) -> pl.DataFrame:
        steps = 1 if group == "step" else self.horizon
        return scores_by(self.frame(), self.GROUPS[group], lambda part: part_scores(part, steps))

    def figure(self) -> "Figure":
        from elman.tasks.forecast.plot import scored_forecasts  # matplotlib takes long to load

        return scored_forecasts(self.frame())

    def worst(self) -> pl.DataFrame:
        return worst_forecasts(self.frame(), self.horizon)

    def _parts(self) -> Iterator[str]:
        """Yield a line with the MASE of a few steps, and one with that of the worst series."""
        steps = self.grouped("step").filter(pl.col("mase").is_not_null())
        if len(steps) > 1:
            few = np.unique(np.linspace(0, len(steps) - 1, PRINTED_PARTS).astype(int))
            yield "MASE by step: " + _listed(steps[few.tolist()], "step")
        series = self.grouped("series").filter(pl.col("mase").is_not_null())
        if len(series) > 1:
            worst = series.sort("mase", descending=True, maintain_order=True).head(PRINTED_PARTS)
            of_all = f", of {len(series)} series" if len(series) > PRINTED_PARTS else ""
            yield f"MASE by series, the highest first: {_listed(worst, 'unique_id')}{of_all}"


def _listed(frame: pl.DataFrame, column: str) -> str:
    """Return the MASE of each row as text, after its name."""
    return ", ".join(f"{name!s:.30}: {mase:.3f}" for name, mase in frame.select(column, "mase").iter_rows())


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
