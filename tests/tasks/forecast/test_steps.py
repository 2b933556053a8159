"""Forecasts of several series together, near and far, and of a network that computes nothing."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from daily_series import H, daily, fitted
from elman.errors import NotFinite
from elman.tasks.forecast.history import ends, tail
from elman.tasks.forecast.steps import Ahead, ForecastSteps


@pytest.mark.parametrize("mode", ["direct", "recursive"])
def test_series_together_have_the_bits_of_each_alone(mode: str) -> None:
    model = fitted(daily(90, ("a", "b", "c")), horizon=H, mode=mode)
    predictor, panel = model.predictor, tail(model.history, model.settings.kept_steps)
    steps = ForecastSteps(predictor)
    requests = [
        Ahead(replace(panel, series=(series,)), horizon)
        for series, horizon in zip(panel.series, (H, 1, H + 2), strict=True)
    ]
    together = steps.answer(requests)
    for request, quantiles in zip(requests, together, strict=True):
        assert quantiles.shape[:2] == (1, request.steps)
        assert np.array_equal(quantiles, steps.answer([request])[0])
    assert np.array_equal(together[0], predictor.quantiles(requests[0].panel, ends(requests[0].panel)))


def test_a_network_that_computes_nothing_is_said() -> None:
    model = fitted(daily(90, ("a",)), horizon=H)
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        network.head.out.bias[0] = torch.nan
    calibration = replace(model.predictor.calibration, weight=1.0)
    steps = ForecastSteps(replace(model.predictor, network=network, calibration=calibration))
    (answer,) = steps.answer([Ahead(model.history, H)])
    assert isinstance(answer, NotFinite)
