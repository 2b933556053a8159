"""How good forecasts are, beside those of naive and seasonal naive: never a score alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.data.series.panel import Array, Panel, Series
from elman.tasks.forecast import metrics as scores
from elman.tasks.forecast.baseline import naive, seasonal_naive

# Forecasts that move less than this share of what the series moves, and hardly beat its last value, copy it.
_COPY_MOVES, _COPY_SKILL = 0.35, 0.05


@dataclass(frozen=True)
class Evaluation:
    """Scores over `windows` forecasts. `scores`, `baseline` (seasonal naive) and `naive` have the same keys:

    mase, smape (0 to 200), crps (mean weighted quantile loss), coverage (of the outer band, `band` wide), and
    skill_seasonal_naive, skill_naive: 1 - MASE / MASE of that baseline, 0 as good as it, 1 perfect.
    A score that is not defined (a constant series has no MASE) is NaN. `notes` are sentences for the reader.
    """

    scores: dict[str, float]
    baseline: dict[str, float]
    naive: dict[str, float]
    windows: int
    horizon: int
    band: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = {
            "mase": "MASE",
            "smape": "sMAPE %",
            "crps": "CRPS",
            "coverage": f"coverage of the {100 * self.band:.0f} % band",
            "skill_seasonal_naive": "skill over seasonal naive",
            "skill_naive": "skill over naive",
        }
        lines = [f"{'':28}{'ours':>10}{'seasonal naive':>17}{'naive':>10}"]
        for key, name in names.items():
            ours, baseline, last = (
                _cell(found[key], key) for found in (self.scores, self.baseline, self.naive)
            )
            lines.append(f"{name:28}{ours:>10}{baseline:>17}{last:>10}")
        lines.append(f"{self.windows} forecasts of up to {self.horizon} steps")
        return "\n".join([*lines, *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what is not defined is None."""
        parts = {"scores": self.scores, "baseline": self.baseline, "naive": self.naive}
        found: dict[str, Any] = {
            name: {k: _or_none(v) for k, v in part.items()} for name, part in parts.items()
        }
        about = {"windows": self.windows, "horizon": self.horizon, "band": self.band}
        return {**found, **about, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Evaluation":
        ours, baseline, last = (
            {k: math.nan if v is None else float(v) for k, v in found[name].items()}
            for name in ("scores", "baseline", "naive")
        )
        windows, horizon = int(found["windows"]), int(found["horizon"])
        return cls(ours, baseline, last, windows, horizon, float(found["band"]), tuple(found["notes"]))


def compare(
    panel: Panel,
    pairs: Sequence[tuple[int, int]],
    quantiles: Array,
    levels: Sequence[float],
    season: int,
    scales: Sequence[float | None],
    notes: Sequence[str] = (),
) -> Evaluation:
    """Score quantiles (N, H, Q) that start at the (series, cut-off) `pairs` of a panel.

    The baselines see all values before the cut-off. MASE divides by `scales[i]` for series i, or, if that is
    None, by the seasonal step of the values before the cut-off.
    """
    horizon = quantiles.shape[1]
    actual = np.stack([_ahead(panel.series[s], cutoff, horizon) for s, cutoff in pairs])
    histories = [panel.series[s].values[:cutoff] for s, cutoff in pairs]
    divisors = np.array(
        [
            scores.mase_scale(history, season) if scales[s] is None else scales[s]
            for (s, _), history in zip(pairs, histories, strict=True)
        ],
        dtype=np.float64,
    )
    forecasts = {
        "ours": quantiles,
        "seasonal": np.stack([seasonal_naive(h, horizon, season, levels) for h in histories]),
        "naive": np.stack([naive(h, horizon, season, levels) for h in histories]),
    }
    found = {name: scores.summary(actual, q, levels, divisors) for name, q in forecasts.items()}
    for one in found.values():
        one["skill_seasonal_naive"] = scores.skill(one["mase"], found["seasonal"]["mase"])
        one["skill_naive"] = scores.skill(one["mase"], found["naive"]["mase"])
    middle = list(levels).index(0.5)
    copied = copy_warning(
        quantiles[..., middle], forecasts["naive"][..., middle], actual, found["ours"]["skill_naive"]
    )
    return Evaluation(
        found["ours"],
        found["seasonal"],
        found["naive"],
        len(pairs),
        horizon,
        levels[-1] - levels[0],
        (*notes, *copied),
    )


def copy_warning(forecast: Array, last: Array, actual: Array, skill: float) -> tuple[str, ...]:
    """A sentence if forecasts (N, H) do little but repeat the last value, as they do for stock prices.

    Plotted beside the truth such forecasts look right and are the truth, one step late.
    """
    known = ~np.isnan(actual)
    moved = np.abs(actual - last)[known].mean() if known.any() else 0.0
    if moved == 0 or math.isnan(skill):
        return ()
    share = float(np.abs(forecast - last)[known].mean() / moved)
    if share >= _COPY_MOVES or skill >= _COPY_SKILL:
        return ()
    return (
        "Warning: these forecasts are little more than copies of the last value (they move "
        f"{100 * share:.0f} % as far as the series and are {100 * skill:.1f} % better than repeating it): "
        "a picture of them follows the series one step late and looks better than it is.",
    )


def _ahead(series: Series, cutoff: int, horizon: int) -> Array:
    """The values (H,) from a cut-off on, NaN beyond the end."""
    found = np.full(horizon, np.nan)
    known = series.values[cutoff : cutoff + horizon]
    found[: len(known)] = known
    return found


def _cell(value: float, key: str) -> str:
    if math.isnan(value):
        return "-"
    if key == "smape":
        return f"{value:.2f}"
    if key == "coverage":
        return f"{100 * value:.1f} %"
    return f"{value:+.3f}" if key.startswith("skill") else f"{value:.3f}"


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
