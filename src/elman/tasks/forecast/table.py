"""The forecasts behind a score: a row for every step of every one."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from elman.atomic import null_if_infinite
from elman.data.series.panel import Panel
from elman.data.series.rows import Array
from elman.data.series.stamps import with_zone
from elman.data.series.windows import Cutoffs
from elman.tasks.evaluation import spaced
from elman.tasks.forecast import metrics
from elman.tasks.forecast.baseline import NAIVE, POINTS, SEASONAL_NAIVE
from elman.tasks.forecast.history import names_column

MAX_DRAWN_SERIES: Final = 6  # of which pictures have a panel each
# Columns of the naive forecasts.
PLAIN: Final = {SEASONAL_NAIVE: "seasonal_naive", NAIVE: "naive"}


def table_of(
    panel: Panel,
    cutoffs: Cutoffs,
    quantiles: Array,
    levels: Sequence[float],
    season: int,
    scales: Sequence[float | None],
) -> pl.DataFrame:
    """Return a row for each step of the forecasts from these (series, cut-off).

    Columns: `unique_id`; `cutoff`, the first stamp that is forecast; `ds`, the stamp; `step`, from 1;
    `y`, the true value, null where it is missing or after the end of the data; `q0.1` and the like, the
    quantiles; `seasonal_naive` and `naive`, the naive forecasts; `scale`, by which the MASE divides, null of
    a constant series. Of too many forecasts, some are left out whole.

    Args:
        quantiles: (N, H, Q) for `levels`.
        scales: as `divisors` takes them.
    """
    horizon = quantiles.shape[1]
    windows = spaced(len(cutoffs), "forecasts", horizon)
    chosen = [cutoffs[n] for n in windows]
    stamps = np.concatenate([panel.stamps(panel.series[s], cutoff, horizon) for s, cutoff in chosen])
    plain = {
        column: [POINTS[name](panel.series[s].values[:cutoff], horizon, season) for s, cutoff in chosen]
        for name, column in PLAIN.items()
    }
    steps = np.tile(np.arange(1, horizon + 1), len(chosen))
    columns = {
        "unique_id": names_column(panel, [panel.series[s].name for s, _ in chosen for _ in range(horizon)]),
        "cutoff": with_zone(np.repeat(stamps[::horizon], horizon), panel.clock),
        "ds": with_zone(stamps, panel.clock),
        "step": steps,
        "y": true_values(panel, chosen, horizon).ravel(),
        **{f"q{level:g}": quantiles[windows, :, i].ravel() for i, level in enumerate(levels)},
        **{column: np.concatenate(each) for column, each in plain.items()},
        "scale": np.repeat(divisors(panel, chosen, season, scales), horizon),
    }
    return pl.DataFrame(columns).with_columns(pl.col("y", "scale", *PLAIN.values()).fill_nan(None))


def true_values(panel: Panel, cutoffs: Sequence[tuple[int, int]], horizon: int) -> Array:
    """Return the values (N, H) from each (series, cut-off) on, NaN where missing or after the end."""
    values = np.full((len(cutoffs), horizon), np.nan)
    for row, (s, cutoff) in zip(values, cutoffs, strict=True):
        actual = panel.series[s].values[cutoff : cutoff + horizon]
        row[: len(actual)] = actual
    return values


def divisors(
    panel: Panel, cutoffs: Sequence[tuple[int, int]], season: int, scales: Sequence[float | None]
) -> Array:
    """Return what the MASE of each forecast divides by (N,): `scales[i]` for series i, or, if that is None,
    the seasonal step of the values before the cut-off; NaN where these are constant."""
    each = [
        metrics.mase_scale(panel.series[s].values[:cutoff], season) if scales[s] is None else scales[s]
        for s, cutoff in cutoffs
    ]
    return np.array(each, dtype=np.float64)


def levels_of(frame: pl.DataFrame) -> list[float]:
    """Return the levels of the quantiles of such a table, ascending."""
    return [float(name[1:]) for name in frame.columns if name.startswith("q")]


def part_scores(frame: pl.DataFrame, steps: int) -> Any:
    """Return the scores of rows of such a table: of all forecasts of a series or from a cut-off, or of one
    step of each.

    Args:
        steps: rows that follow each other and are of one forecast.
    """
    levels = levels_of(frame)
    quantiles = frame.select(f"q{level:g}" for level in levels).to_numpy()
    actual = frame["y"].to_numpy().reshape(-1, steps)
    scales = frame["scale"].to_numpy()[::steps]
    scores = metrics.summary(actual, quantiles.reshape(*actual.shape, -1), levels, scales)
    result: dict[str, Any] = {"forecasts": len(actual), **scores}
    for name in PLAIN.values():
        plain = frame[name].to_numpy().reshape(actual.shape)
        result[f"skill_{name}"] = metrics.skill(scores["mase"], metrics.mean_mase(actual, plain, scales))
    return null_if_infinite(result)


def worst_forecasts(frame: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Return a row for each forecast of such a table, the one of highest MASE first: `unique_id`, `cutoff`,
    `mase`, `smape`, and `inside`, the share of the values in the outer band."""
    levels = levels_of(frame)
    low, middle, high = (
        frame[f"q{level:g}"].to_numpy().reshape(-1, horizon) for level in (levels[0], 0.5, levels[-1])
    )
    actual = frame["y"].to_numpy().reshape(-1, horizon)
    each: dict[str, Any] = {
        "mase": metrics.mase(actual, middle, frame["scale"].to_numpy()[::horizon]),
        "smape": metrics.smape(actual, middle),
        "inside": [metrics.coverage(*rows) for rows in zip(actual, low, high, strict=True)],
    }
    forecasts = frame.gather_every(horizon).select("unique_id", "cutoff")
    scored = forecasts.with_columns(pl.Series(name, values) for name, values in each.items()).fill_nan(None)
    return scored.sort("mase", "smape", descending=True, nulls_last=True, maintain_order=True)
