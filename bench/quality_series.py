"""Forecasting on public data (variable ELMAN_DATA), through the public API with its default settings.

Every test set is scored once, at the end; nothing is chosen on it. Columns, horizon, season and frequency are
those of the data set's protocol.

    ELMAN_DATA=... python bench/quality_series.py m4_hourly m4_weekly etth1 walmart seattle
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

import elman
from elman.tasks.forecast import metrics as scores
from elman.tasks.forecast.baseline import classical_forecasts, naive2

LEVELS: Final = (0.1, 0.5, 0.9)
# Month → the holiday of Walmart's four that lies in it.
HOLIDAYS: Final = {2: "Super Bowl", 9: "Labor Day", 11: "Thanksgiving", 12: "Christmas"}


def m4_hourly(**settings: Any) -> dict[str, Any]:
    """M4 competition, 414 hourly series, 48 hours ahead (Makridakis et al. 2020)."""
    return _m4("Hourly", 48, 24, **settings)


def m4_weekly(**settings: Any) -> dict[str, Any]:
    """M4 competition, 359 weekly series, 13 weeks ahead; its rules give them no season."""
    return _m4("Weekly", 13, 1, **settings)


def etth1(**settings: Any) -> dict[str, Any]:
    """Oil temperature of a transformer, hourly: 12 months to train, 4 to validate, 4 to test (Zhou et al.
    2021); a forecast from every hour of the test months."""
    frame = pl.read_csv(_data("ett/ETTh1.csv")).select("date", "OT")
    month = 30 * 24
    train, test = frame[: 16 * month], frame[16 * month : 20 * month]
    return {
        f"horizon {horizon}": _measure(train, test, step=1, horizon=horizon, **settings)
        for horizon in (24, 96)
    }


def walmart(**settings: Any) -> dict[str, Any]:
    """Weekly sales of 45 shops with the holidays known ahead; the last 39 weeks, 13 ahead."""
    return _walmart("Holiday_Flag", **settings)


def walmart_names(**settings: Any) -> dict[str, Any]:
    """The same with the names of the four holidays as a text rather than a flag; its month tells which."""
    return _walmart("Holiday", **settings)


def _walmart(covariate: str, **settings: Any) -> dict[str, Any]:
    frame = pl.read_csv(_data("walmart_weekly/walmart_weekly_sales.csv"), try_parse_dates=True)
    month = pl.col("Date").dt.month().replace_strict(HOLIDAYS, default=None, return_dtype=pl.String)
    frame = frame.with_columns(Holiday=pl.when(pl.col("Holiday_Flag") == 1).then(month))
    first = frame["Date"].unique().sort()[-39]
    columns = {"time": "Date", "value": "Weekly_Sales", "series": "Store", "future": [covariate]}
    train, test = frame.filter(pl.col("Date") < first), frame.filter(pl.col("Date") >= first)
    return _measure(train, test, step=1, horizon=13, **columns, **settings)


def seattle(**settings: Any) -> dict[str, Any]:
    """Highest temperature of 1,461 days; the last fifth, 14 days ahead."""
    return _seattle(**settings)


def seattle_sky(**settings: Any) -> dict[str, Any]:
    """The same with the text column of the weather (rain, sun, ...) known ahead, as if foreseen rightly."""
    return _seattle("weather", **settings)


def _seattle(*future: str, **settings: Any) -> dict[str, Any]:
    frame = pl.read_csv(_data("vega_datasets/seattle-weather.csv")).select("date", "temp_max", *future)
    cut = len(frame) * 4 // 5
    return _measure(frame[:cut], frame[cut:], step=1, horizon=14, value="temp_max", future=future, **settings)


def m3(period: str, **settings: Any) -> dict[str, Any]:
    """Every second series of the M3 competition (Makridakis, Hibon 2000), with its horizons; beside it, where
    statsforecast is installed, its AutoETS and AutoTheta."""
    lines = _data("m3_half/M3_odd.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["period"] == period]
    horizon, season = rows[0]["h"], {"QUARTERLY": 4, "MONTHLY": 12}.get(period, 1)
    train = {row["id"]: np.array(row["x"], np.float64) for row in rows}
    actual = np.array([row["xx"] for row in rows], np.float64)
    start = time.perf_counter()
    model = elman.Forecaster.fit(_long(train), horizon=horizon, season=season, **settings)
    trained = time.perf_counter() - start
    ahead = model.predict()
    predicted = time.perf_counter() - start - trained
    assert ahead["unique_id"].unique(maintain_order=True).to_list() == list(train), "all series are answered"
    forecasts = ahead.select("q0.1", "q0.5", "q0.9").to_numpy().reshape(len(train), horizon, 3)
    scales = np.array([scores.mase_scale(history, season) for history in train.values()])
    parts = {one.name: one.values for one in classical_forecasts([*train.values()], horizon, season)}
    others = {
        name: _points(values, actual, scales)
        for name, values in (parts | _peers(train, horizon, season)).items()
    }
    ours = scores.summary(actual, forecasts, LEVELS, scales)
    return {"scores": ours, "others": others} | _about(model, trained, predicted)


def _points(values: np.ndarray, actual: np.ndarray, scales: np.ndarray) -> dict[str, float]:
    summary = scores.summary(actual, values[..., None], (0.5,), scales)
    return {name: summary[name] for name in ("mase", "smape")}


def _peers(train: dict[str, np.ndarray], horizon: int, season: int) -> dict[str, np.ndarray]:
    """Return the forecasts of statsforecast's models, none where it is not installed."""
    try:
        from statsforecast.models import AutoETS, AutoTheta
    except ImportError:
        return {}
    models = {"AutoETS": AutoETS, "AutoTheta": AutoTheta}
    return {
        name: np.stack([model(season_length=season).forecast(y, horizon)["mean"] for y in train.values()])
        for name, model in models.items()
    }


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "m4_hourly": m4_hourly,
    "m4_weekly": m4_weekly,
    "etth1": etth1,
    "walmart": walmart,
    "walmart_names": walmart_names,
    "seattle": seattle,
    "seattle_sky": seattle_sky,
    **{f"m3_{period.lower()}": partial(m3, period) for period in ("YEARLY", "QUARTERLY", "MONTHLY", "OTHER")},
}


def _measure(train: pl.DataFrame, test: pl.DataFrame, *, step: int, **options: Any) -> dict[str, Any]:
    """Train on one frame, forecast the other from every `step`-th step."""
    start = time.perf_counter()
    model = elman.Forecaster.fit(train, **options)
    trained = time.perf_counter() - start
    result = model.evaluate(test, step=step).to_dict()
    return result | _about(model, trained, time.perf_counter() - start - trained)


def _m4(name: str, horizon: int, season: int, **settings: Any) -> dict[str, Any]:
    """sMAPE, MASE and OWA as the competition computes them, every series from its own last training value."""
    train, test = (_wide(_data(f"m4/{name}-{part}.csv")) for part in ("train", "test"))
    start = time.perf_counter()
    model = elman.Forecaster.fit(_long(train), horizon=horizon, season=season, **settings)
    trained = time.perf_counter() - start
    ahead = model.predict()
    predicted = time.perf_counter() - start - trained
    forecasts = ahead.select("q0.1", "q0.5", "q0.9").to_numpy().reshape(len(train), horizon, 3)
    order = ahead["unique_id"].unique(maintain_order=True).to_list()
    assert order == list(train), "every series is forecast, in the file's order"
    actual = np.stack(list(test.values()))
    scales = np.array([scores.mase_scale(history, season) for history in train.values()])
    reference = np.stack([naive2(history, horizon, season, LEVELS) for history in train.values()])
    ours, base = (scores.summary(actual, forecast, LEVELS, scales) for forecast in (forecasts, reference))
    ours["owa"] = owa(ours["smape"], ours["mase"], base["smape"], base["mase"])
    return {"scores": ours, "baseline": base | {"owa": 1.0}} | _about(model, trained, predicted)


def owa(smape: float, mase: float, smape_naive2: float, mase_naive2: float) -> float:
    """Return the overall weighted average of the M4 competition: 1 is as good as Naive2, below 1 better."""
    return (smape / smape_naive2 + mase / mase_naive2) / 2


def _about(model: Any, trained: float, scored: float) -> dict[str, Any]:
    return {
        "seconds": round(trained, 1),
        "seconds of scoring": round(scored, 1),
        "validation": model.validation.scores,
        "contributions": model.calibration.contributions,
        "settings": asdict(model.settings) | {"epochs": model.plan.epochs},
    }


def _data(part: str) -> Path:
    path = Path(os.environ.get("ELMAN_DATA", "")) / "timeseries" / part
    if not os.environ.get("ELMAN_DATA") or not path.is_file():
        sys.exit(f"set ELMAN_DATA to the folder that holds timeseries/{part}")
    return path


def _wide(path: Path) -> dict[str, np.ndarray]:
    """Read the competition's format: a line per series, its name first, then its values."""
    lines = path.read_text().splitlines()[1:]
    cells = [[cell.strip('"') for cell in line.split(",")] for line in lines]
    return {row[0]: np.array([float(cell) for cell in row[1:] if cell]) for row in cells}


def _long(series: dict[str, np.ndarray]) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame({"unique_id": [name] * len(values), "ds": np.arange(len(values)), "y": values})
        for name, values in series.items()
    )


if __name__ == "__main__":
    for name in sys.argv[1:] or RUNS:
        print(json.dumps({name: RUNS[name]()}), flush=True)
