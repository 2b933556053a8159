"""Small series, and forecasters trained on them in a second."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from elman.tasks.forecast.forecaster import Forecaster

TINY: dict[str, Any] = {"hidden": 8, "epochs": 2, "progress": False}
H = 6


def daily(n: int = 120, names: tuple[str, ...] = ("a", "b"), seed: int = 0) -> pl.DataFrame:
    """Daily series of several levels, with a weekly season, a slope and some noise."""
    parts = []
    for i, name in enumerate(names):
        rng, steps = np.random.default_rng((seed, i)), np.arange(n)
        values = 10 * (i + 1) * (5 + 0.01 * steps + np.sin(2 * np.pi * steps / 7) + 0.1 * rng.normal(size=n))
        days = [date(2021, 1, 4) + timedelta(int(d)) for d in steps]
        parts.append(pl.DataFrame({"unique_id": [name] * n, "ds": days, "y": values}))
    return pl.concat(parts)


def fitted(data: Any, **options: Any) -> Forecaster:
    """A forecaster whose network counts, however little it has learned."""
    model = Forecaster.fit(data, **TINY | options)
    return replace(model, calibration=replace(model.calibration, weight=1.0))


def with_covariates(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        (pl.col("ds").dt.day() == 1).cast(pl.Int8).alias("promo"),
        pl.when(pl.col("unique_id") == "a").then(pl.lit("X")).otherwise(pl.lit("Y")).alias("town"),
        pl.when(pl.col("unique_id") == "a").then(1.5).otherwise(3.0).alias("size"),
    )
