"""Forecasts in the demo: what is said of one."""

import pytest

from elman.demo.forecasts import verdict


@pytest.mark.parametrize(
    ("skill", "sentence"),
    [
        (0.2, "The forecast is 20% better than naive"),
        (0.01, "The forecast is about as good as naive (+1.0%)"),
        (-0.3, "The forecast is worse than naive by 30%: use naive here."),
    ],
)
def test_the_verdict_is_about_the_best_simple_forecast(skill: float, sentence: str) -> None:
    baselines = {"seasonal naive": {"mase": 2.0}, "naive": {"mase": 1.0}, "Theta": {"mase": 1.5}}
    assert verdict({"scores": {"mase": 1 - skill}, "baselines": baselines}).startswith(sentence)
