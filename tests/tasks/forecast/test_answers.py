"""A forecast, line by line."""

import json

from daily_series import H, daily
from elman.tasks.forecast.forecaster import Forecaster


def test_answers_are_the_lines_of_the_forecast(model: Forecaster) -> None:
    answers = list(model.answers())
    assert {answer.heading for answer in answers} == {"unique_id,ds,q0.1,q0.5,q0.9"}
    assert len(answers) == 2 * H
    lines = [answers[0].heading, *map(str, answers)]
    assert "\n".join(lines) == model.predict().write_csv().rstrip()
    rows = [json.loads(json.dumps(answer.to_dict())) for answer in model.answers(daily(125))]
    assert rows[0]["ds"] == "2021-05-09"
    assert list(rows[0]) == ["unique_id", "ds", "q0.1", "q0.5", "q0.9"]
