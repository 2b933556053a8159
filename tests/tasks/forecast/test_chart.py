"""What is drawn of a forecast: the values of `predict` and of the naive forecasts, and covariates to move."""

import json
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from daily_series import H, daily, fitted
from elman.errors import UsageError
from elman.tasks.forecast.baseline import last_season

DAYS = 120


def with_price(ahead: int = H) -> pl.DataFrame:
    """A series whose price, and weather in words, are known ahead for so many days."""
    days = [date(2021, 1, 4) + timedelta(k) for k in range(DAYS + ahead)]
    values = [10.0 + k % 7 if k < DAYS else None for k in range(DAYS + ahead)]
    weather = ["rain" if k % 3 else "sun" for k in range(DAYS + ahead)]
    return pl.DataFrame(
        {"ds": days, "y": values, "price": [float(k % 5) for k in range(DAYS + ahead)], "weather": weather}
    )


@pytest.fixture(scope="module")
def priced() -> Any:
    return fitted(with_price(0), horizon=H, future=("price", "weather"))


def test_it_is_what_predict_and_the_naive_forecast_say() -> None:
    data = daily(110, ("a", "b"))
    model = fitted(data[:150], horizon=H)
    drawn = model.chart(data, series="b")
    forecast = model.predict(data).filter(pl.col("unique_id") == "b")
    assert drawn["ahead"]["ds"] == [str(day) for day in forecast["ds"]]
    for level, values in drawn["ahead"]["quantiles"].items():
        if f"q{level}" in forecast.columns:
            assert values == pytest.approx(forecast[f"q{level}"].to_list())
    past = data.filter(pl.col("unique_id") == "b")["y"].to_numpy()
    assert drawn["past"]["value"][-20:] == pytest.approx(past[-20:])
    assert drawn["ahead"]["naive"]["last season"] == pytest.approx(last_season(past, H, 7))
    assert drawn["ahead"]["naive"]["last value"] == [past[-1]] * H
    assert drawn["names"] == ["a", "b"] and drawn["name"] == "b" and drawn["known"] == []
    json.dumps(drawn, allow_nan=False)


def test_a_covariate_that_is_moved_moves_the_forecast(priced: Any) -> None:
    drawn = priced.chart(with_price())
    price, weather = drawn["known"]
    assert price["ahead"] == [float(k % 5) for k in range(DAYS, DAYS + H)] and price["choices"] is None
    assert weather["ahead"][0] in ("rain", "sun") and {*weather["choices"]} >= {"rain", "sun"}
    future = [{"ds": day, "price": 40.0, "weather": "sun"} for day in drawn["ahead"]["ds"]]
    moved = priced.chart(with_price(), future=future)
    assert moved["known"][0]["ahead"] == [40.0] * H
    assert moved["ahead"]["quantiles"]["0.5"] != drawn["ahead"]["quantiles"]["0.5"]


def test_what_is_not_given_ahead_is_carried_on_and_said(priced: Any) -> None:
    drawn = priced.chart(with_price(ahead=1))
    assert drawn["known"][0]["ahead"] == [float(DAYS % 5)] * H
    assert drawn["notes"][-1] == "not given ahead, so their last values are carried on: price, weather"


def test_an_unknown_series_is_named(priced: Any) -> None:
    with pytest.raises(UsageError, match="there is no series 'shop'"):
        priced.chart(with_price(), series="shop")


def test_a_long_past_is_cut(priced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from elman.tasks.forecast import chart as module

    monkeypatch.setattr(module, "MAX_PAST_STEPS", 30)
    drawn = priced.chart(with_price())
    assert len(drawn["past"]["value"]) == len(drawn["past"]["ds"]) == 30
    assert drawn["notes"] == ["the last 30 steps are shown"]
