"""A data analyst forecasts sales, from a file and from pandas, and shows how far to trust the forecasts."""

import json
import math
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

import elman
from command_line import Call

MONTHS = pd.date_range("2015-01-01", periods=84, freq="MS")
SMALL = {"epochs": 2, "hidden": 8, "seed": 0}


def sales(shops: int = 2) -> pd.DataFrame:
    rows = [
        (
            f"shop {shop}",
            month,
            (shop + 1) * (100 + t + 20 * math.sin(t * math.pi / 6) + 30 * (t % 5 == 0)),
            int(t % 5 == 0),
        )
        for shop in range(shops)
        for t, month in enumerate(MONTHS)
    ]
    return pd.DataFrame(rows, columns=["shop", "month", "sold", "offer"])


def test_on_the_command_line(call: Call, tmp_path: Path) -> None:
    sales().to_csv("sales.csv", index=False)
    train = [
        "train",
        "forecast",
        "sales.csv",
        "--series",
        "shop",
        "--value",
        "sold",
        "--future",
        "offer",
        "--horizon",
        "3",
        "--epochs",
        "2",
        "--hidden",
        "8",
    ]
    # a mistake is told before anything else, and leaves nothing behind
    code, out, err = call(*train, "--test", "nosuch.csv")
    assert (code, out) == (2, "") and "nosuch.csv" in err
    assert not (tmp_path / "runs").exists()
    for folder in ("runs/forecast-sales", "runs/forecast-sales-2"):
        code, out, err = call(*train)
        assert code == 0 and f"Saved in {folder}" in out, err
    # next months need the offers planned for them
    plan = pd.DataFrame(
        {
            "month": pd.date_range("2022-01-01", periods=3, freq="MS").repeat(2),
            "shop": ["shop 0", "shop 1"] * 3,
            "offer": [1, 1, 0, 0, 0, 0],
        }
    )
    plan.to_csv("plan.csv", index=False)
    plan.assign(offer=0).to_csv("none.csv", index=False)
    code, out, err = call("predict", "runs/forecast-sales")
    assert code == 2 and "--future" in err
    code, out, err = call(
        "predict", "runs/forecast-sales", "--future", "plan.csv", "--output", "next.csv", "--plot", "next.png"
    )
    assert code == 0, err
    forecast = pl.read_csv("next.csv")
    assert forecast.columns[:3] == ["unique_id", "ds", "q0.1"] and len(forecast) == 6
    assert forecast["ds"][0] == "2022-01-01" and Path("next.png").stat().st_size > 10_000
    code, out, err = call(
        "predict", "runs/forecast-sales", "--future", "plan.csv", "--against", "none.csv", "--json"
    )
    assert code == 0 and "difference" in json.loads(out.splitlines()[0]), err
    # what earlier trainings would have forecast, row by row
    code, out, err = call(
        "evaluate",
        "runs/forecast-sales",
        "sales.csv",
        "--backtest",
        "2",
        "--output",
        "past.csv",
        "--plot",
        "past.png",
    )
    assert code == 0 and "MASE" in out, err
    past = pl.read_csv("past.csv")
    assert len(past) == 12 and {"unique_id", "cutoff", "ds", "y", "q0.5"} <= {*past.columns}


@pytest.fixture(scope="module")
def model() -> elman.Forecaster:
    frame = (
        sales(1).drop(columns=["shop", "offer"]).set_index("month")
    )  # the usual shape of a series in pandas
    return elman.Forecaster.fit(frame, horizon=3, progress=False, **SMALL)


def test_pandas_in_pandas_out(model: elman.Forecaster) -> None:
    forecast = model.predict()
    assert isinstance(forecast, pd.DataFrame)
    assert forecast["ds"].tolist() == [*pd.date_range("2022-01-01", periods=3, freq="MS")]
    later = model.predict(horizon=6)
    assert len(later) == 6


def test_how_far_it_can_be_trusted(model: elman.Forecaster) -> None:
    past = model.backtest(sales(1).drop(columns=["shop", "offer"]).set_index("month"), cutoffs=2)
    assert isinstance(past.table, pd.DataFrame) and len(past.table) == 6
    by_step = past.by("step")
    assert by_step["step"].tolist() == [1, 2, 3]
    # the score can be computed again from the table behind it
    errors = (past.table["y"] - past.table["q0.5"]).abs() / past.table["scale"]
    assert errors.mean() == pytest.approx(past.scores["mase"])
    assert errors.groupby(past.table["step"]).mean().tolist() == pytest.approx(by_step["mase"].tolist())


def test_a_notebook_shows_it(model: elman.Forecaster) -> None:
    assert len(repr(model)) <= 110 and "\n" not in repr(model)
    for shown in (model, model.validation):
        assert "<table" in shown._repr_html_()
    figure = model.plot()
    assert figure.axes and model.components().columns[:3].tolist() == ["unique_id", "ds", "forecast"]
