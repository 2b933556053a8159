"""Three real data sets, each forecast over its last fifth beside the naive forecasts.

DATA.md beside the files names their sources and licences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any, Final

import polars as pl

from elman.tasks.forecast.forecaster import Forecaster

HELD_OUT: Final = 0.2  # share of the time stamps, at the end


def stocks() -> pl.DataFrame:
    """Return monthly closing prices of five companies, US dollars, January 2000 to March 2010."""
    prices = _read("stock_prices.csv").unpivot(index="month", variable_name="unique_id", value_name="y")
    return prices.drop_nulls().select("unique_id", ds="month", y="y")


def weather() -> pl.DataFrame:
    """Return daily maximum temperature in Seattle, °C, 2012 to 2015."""
    return _read("seattle_temperature.csv").select(
        unique_id=pl.lit("maximum temperature"), ds="date", y="temp_max"
    )


def sales() -> pl.DataFrame:
    """Return monthly US retail and food services sales, millions of dollars, January 1992 to May 2016."""
    years = _read("retail_sales.csv")
    months = years.unpivot(index="year", variable_name="month", value_name="y").drop_nulls()
    stamp = pl.format("1 {} {}", "month", "year").str.to_date("%d %b %Y")
    return months.select(unique_id=pl.lit("retail sales"), ds=stamp, y=pl.col("y").cast(float)).sort("ds")


def _read(name: str) -> pl.DataFrame:
    return pl.read_csv((files("elman.demo") / name).read_bytes(), try_parse_dates=True)


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
        "monthly closing prices of five companies, 2000–2010, by way of vega_datasets (MIT licence)",
        stocks,
        horizon=6,
        pictured=48,
    ),
    "weather": Show(
        "Weather",
        "°C",
        "daily maximum temperature in Seattle, 2012–2015; NOAA, public domain",
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
