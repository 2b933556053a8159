"""A forecast of any table with a column of dates and one of values, beside the naive forecasts.

    python examples/forecast_csv.py sales.csv 12           # the next 12 steps
    python examples/forecast_csv.py                        # US retail sales, shipped with the demo

Prints the scores on held-out steps of the past, then the steps ahead, and draws them to forecast.png.
"""

import sys
from pathlib import Path
from typing import Any

import polars as pl

import elman
from elman.demo import series


def main(data: str | pl.DataFrame, horizon: int, picture: Path, **settings: Any) -> pl.DataFrame:
    model = elman.Forecaster.fit(data, horizon=horizon, **settings)
    print(model.validation)
    forecast = model.predict()
    with pl.Config(tbl_rows=horizon, float_precision=1, tbl_hide_dataframe_shape=True):
        print(forecast)
    model.plot(picture)
    print(f"drawn to {picture}")
    return forecast


if __name__ == "__main__":
    if len(sys.argv) not in (1, 3):
        sys.exit(__doc__)
    data, horizon = (sys.argv[1], int(sys.argv[2])) if sys.argv[1:] else (series.sales(), 12)
    main(data, horizon, Path("forecast.png"))
