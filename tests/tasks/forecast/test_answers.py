"""A forecast, line by line."""

import json
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from daily_series import H, daily
from elman.tasks.forecast.answers import ForecastAnswer
from elman.tasks.forecast.forecaster import Forecaster


def test_answers_are_the_lines_of_the_forecast(model: Forecaster) -> None:
    answers = list(model.answers())
    assert {answer.heading for answer in answers} == {"unique_id,ds,q0.1,q0.5,q0.9"}
    assert len(answers) == 2 * H
    forecast = model.predict()
    printed = pl.read_csv("\n".join([answers[0].heading, *map(str, answers)]).encode())
    assert printed["ds"].to_list() == forecast["ds"].cast(pl.String).to_list()
    for name in ("q0.1", "q0.5", "q0.9"):
        np.testing.assert_allclose(printed[name], forecast[name], rtol=1e-3)
    assert [answer.to_dict() for answer in answers] == forecast.cast({"ds": pl.String}).to_dicts()
    rows = [json.loads(json.dumps(answer.to_dict())) for answer in model.answers(daily(125))]
    assert rows[0]["ds"] == "2021-05-09"
    assert list(rows[0]) == ["unique_id", "ds", "q0.1", "q0.5", "q0.9"]


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (1234567.891011, "1234568.0"),
        (12.345678901234, "12.35"),
        (-0.00123456, "-0.001235"),
        (99.999999, "100.0"),
        (0.0, "0.0"),
        (5e-324, "5e-324"),
        (1e300, "1e+300"),
    ],
)
def test_no_digits_without_meaning_are_printed(value: float, printed: str) -> None:
    row = pl.DataFrame({"unique_id": ["a"], "ds": [3], "q0.5": [value]})
    assert str(ForecastAnswer(row, "")) == f"a,3,{printed}"
    assert ForecastAnswer(row, "").to_dict()["q0.5"] == value


@pytest.mark.parametrize(
    ("stamp", "printed"),
    [
        (date(2024, 1, 31), "2024-01-31"),
        (datetime(2024, 1, 31), "2024-01-31T00:00:00"),
        (datetime(2024, 1, 31, 16, 30, tzinfo=ZoneInfo("Europe/Paris")), "2024-01-31T16:30:00+01:00"),
        (datetime(2024, 1, 31, 16, 0, 0, 250_000), "2024-01-31T16:00:00.250000"),
    ],
)
def test_stamps_are_as_short_as_they_can_be(stamp: date, printed: str) -> None:
    row = pl.DataFrame({"unique_id": ["a"], "ds": [stamp], "q0.5": [1.0]})
    assert str(ForecastAnswer(row, "")) == f"a,{printed},1.0"
    assert ForecastAnswer(row, "").to_dict()["ds"] == printed.replace("T", " ")
