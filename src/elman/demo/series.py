"""Three real data sets, each forecast over its last fifth beside the naive forecasts."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any, Final

import polars as pl
from vega_datasets import local_data

from elman.tasks.forecast.forecaster import Forecaster

HELD_OUT: Final = 0.2  # share of the time stamps, at the end


def stocks() -> pl.DataFrame:
    """Return monthly closing prices of five companies, 2000 to 2010, from the package vega_datasets."""
    frame = pl.read_csv(local_data.stocks.filepath)
    return frame.select(unique_id="symbol", ds=pl.col("date").str.to_date("%b %d %Y"), y="price")


def weather() -> pl.DataFrame:
    """Return daily maximum temperature in Seattle, °C, 2012 to 2015, from vega_datasets (NOAA)."""
    frame = pl.read_csv(local_data.seattle_weather.filepath)
    day = pl.col("date").str.to_date("%Y/%m/%d")
    return frame.select(unique_id=pl.lit("maximum temperature"), ds=day, y="temp_max")


def sales() -> pl.DataFrame:
    """Return monthly US retail and food services sales, not adjusted, millions of dollars, 1992 to May 2016.

    Source: U.S. Census Bureau, Monthly Retail Trade Survey; a work of the US government, public domain.
    retail_sales.csv has one line per year.
    """
    text = (files("elman.demo") / "retail_sales.csv").read_text(encoding="utf-8")
    _, *years = csv.reader(text.splitlines())
    cells = [(int(year), i + 1, cell) for year, *months in years for i, cell in enumerate(months) if cell]
    stamps, values = [date(y, m, 1) for y, m, _ in cells], [float(cell) for _, _, cell in cells]
    return pl.DataFrame({"unique_id": "retail sales", "ds": stamps, "y": values})


@dataclass(frozen=True)
class Show:
    """One data set of the demo: its labels, and how far ahead it is forecast."""

    title: str
    unit: str
    source: str
    load: Callable[[], pl.DataFrame]
    horizon: int
    pictured: int  # time stamps before the cut-off in the figure


SHOWS: Final[dict[str, Show]] = {
    "stocks": Show(
        "Stock prices",
        "US dollars",
        "monthly closing prices of five companies, 2000–2010; package vega_datasets",
        stocks,
        horizon=6,
        pictured=48,
    ),
    "weather": Show(
        "Weather",
        "°C",
        "daily maximum temperature in Seattle, 2012–2015; NOAA, package vega_datasets",
        weather,
        horizon=14,
        pictured=150,
    ),
    "sales": Show(
        "Sales",
        "millions of US dollars",
        "monthly US retail and food services sales, 1992–2016; U.S. Census Bureau, public domain",
        sales,
        horizon=12,
        pictured=84,
    ),
}


@dataclass(frozen=True)
class Shown:
    """The results: scores for the report; values, forecasts and cut-off for the figure."""

    show: Show
    scores: dict[str, Any]
    values: pl.DataFrame
    forecasts: pl.DataFrame
    cutoff: date


def run(show: Show, progress: bool, **settings: Any) -> Shown:
    """Train on the past of the cut-off; score one forecast per horizon after it."""
    frame = show.load()
    stamps = frame["ds"].unique().sort()
    first = int(len(stamps) * (1 - HELD_OUT))
    past = frame.filter(pl.col("ds") < stamps[first])
    model = Forecaster.fit(past, horizon=show.horizon, progress=progress, **settings)
    evaluation = model.evaluate(frame)
    cuts = [stamps[i] for i in range(first, len(stamps), show.horizon)]
    forecasts = pl.concat([model.predict(frame.filter(pl.col("ds") < cut)) for cut in cuts])
    about = {"trained on": len(past), "cutoff": str(stamps[first]), "epochs": model.plan.epochs}
    weight = {"weight of the network": model.calibration.weight}
    scores = {"source": show.source, **about, **weight, **evaluation.to_dict()}
    scores["notes"] = list(dict.fromkeys([*model.notes, *evaluation.notes]))
    observed = forecasts.filter(pl.col("ds") <= stamps[-1])
    return Shown(show, scores, frame, observed, stamps[first])
