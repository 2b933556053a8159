"""The table of forecasts against slow sums, and against the scores of all of them."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from elman.data.series.panel import read_panel
from elman.tasks import evaluation
from elman.tasks.forecast import metrics
from elman.tasks.forecast.scores import ForecastEvaluation
from elman.tasks.forecast.table import divisors, table_of, true_values, worst_forecasts

LEVELS, H, SEASON = (0.1, 0.5, 0.9), 3, 7
DAYS = [date(2021, 1, 1) + timedelta(i) for i in range(40)]
RNG = np.random.default_rng(0)
VALUES = {"b": RNG.normal(50, 5, 40), "a": RNG.normal(9, 2, 40)}
VALUES["b"][31] = np.nan
PANEL = read_panel(
    {
        "unique_id": [name for name in VALUES for _ in DAYS],
        "ds": DAYS * 2,
        "y": np.concatenate(list(VALUES.values())).tolist(),
    }
)
CUTOFFS = [(0, 30), (0, 38), (1, 30), (1, 33)]
QUANTILES = np.sort(RNG.normal(30, 20, (4, H, 3)), axis=-1)
FORECASTS = (PANEL, CUTOFFS, QUANTILES, LEVELS, SEASON, [None, 2.0])


def scored() -> ForecastEvaluation:
    return ForecastEvaluation.of(*FORECASTS).with_table(table_of(*FORECASTS))


def test_a_row_for_every_step() -> None:
    names = [series.name for series in PANEL.series]
    rows = table_of(*FORECASTS).rows(named=True)
    assert len(rows) == len(CUTOFFS) * H
    for i, row in enumerate(rows):
        (s, cutoff), step = CUTOFFS[i // H], i % H
        values = VALUES[names[s]]
        assert (row["unique_id"], row["cutoff"], row["step"]) == (
            names[s],
            DAYS[0] + timedelta(cutoff),
            step + 1,
        )
        assert row["ds"] == DAYS[0] + timedelta(cutoff + step)
        known = cutoff + step < 40 and not np.isnan(values[cutoff + step])
        assert row["y"] == (values[cutoff + step] if known else None)
        assert [row["q0.1"], row["q0.5"], row["q0.9"]] == QUANTILES[i // H, step].tolist()
        assert row["naive"] == values[cutoff - 1]
        if not np.isnan(season_ago := values[cutoff - SEASON + step]):
            assert row["seasonal_naive"] == season_ago
        assert row["scale"] == (metrics.mase_scale(values[:cutoff], SEASON) if s == 0 else 2.0)


def test_the_scores_of_all_parts_make_those_of_the_whole() -> None:
    result = scored()
    for group, count in (("series", 2), ("cutoff", 3)):
        parts = result.by(group)
        assert len(parts) == count and parts["forecasts"].sum() == len(CUTOFFS)
        for key in ("mase", "smape"):
            mean = (parts[key] * parts["forecasts"]).sum() / len(CUTOFFS)
            assert mean == pytest.approx(result.scores[key])
    steps = result.by("step")
    assert steps["step"].to_list() == [1, 2, 3]
    actual, median = true_values(PANEL, CUTOFFS, H), QUANTILES[..., 1]
    scales = divisors(PANEL, CUTOFFS, SEASON, [None, 2.0])
    errors = np.abs(actual - median) / scales[:, None]
    assert steps["mase"].to_list() == pytest.approx(np.nanmean(errors, 0).tolist())
    inside = (actual >= QUANTILES[..., 0]) & (actual <= QUANTILES[..., 2])
    assert steps["coverage"].to_list() == pytest.approx(
        [inside[:, k][~np.isnan(actual[:, k])].mean() for k in range(H)]
    )
    naive = result.by("series")
    assert naive["skill_naive"].is_not_null().all() and naive["skill_seasonal_naive"].is_not_null().all()


def test_the_worst_forecast_comes_first() -> None:
    worst = worst_forecasts(table_of(*FORECASTS), H)
    assert worst.columns == ["unique_id", "cutoff", "mase", "smape", "inside"]
    assert worst["mase"].to_list() == sorted(worst["mase"].to_list(), reverse=True)
    assert worst["mase"].mean() == pytest.approx(scored().scores["mase"])
    assert scored().errors(1).rows() == worst[:1].rows()


def test_the_printed_parts() -> None:
    lines = str(scored()).splitlines()
    by_step, by_series = (line for line in lines if line.startswith("MASE by"))
    names = [part.split(": ")[0] for part in by_step.removeprefix("MASE by step: ").split(", ")]
    assert names == ["1", "2", "3"]
    worst = scored().by("series").sort("mase", descending=True)["unique_id"][0]
    assert by_series.startswith(f"MASE by series, the highest first: {worst}: ")
    assert "MASE by" not in str(ForecastEvaluation.of(*FORECASTS)), "without a table"


def test_a_constant_series_has_no_mase() -> None:
    flat = read_panel({"ds": DAYS, "y": [1.0] * 40})
    forecasts = (flat, [(0, 30)], np.ones((1, H, 3)), LEVELS, SEASON, [None])
    result = ForecastEvaluation.of(*forecasts).with_table(table_of(*forecasts))
    assert result.by("series").row(0, named=True)["mase"] is None
    assert result.errors()["mase"].to_list() == [None] and "MASE by" not in str(result)


def test_forecasts_are_left_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_TABLE_ROWS", 2 * H)
    frame = table_of(*FORECASTS)
    assert frame.group_by("unique_id", "cutoff").agg(pl.len())["len"].to_list() == [H, H]
