"""Forecasts in units of the data: the network's and the naive ones are scaled by the same windows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from daily_series import H
from elman.tasks.forecast.baseline import last_season, last_value
from elman.tasks.forecast.forecaster import Forecaster
from elman.tasks.forecast.predictor import (
    classical_after,
    make_network,
    make_store,
    network_quantiles,
    nonnegative,
    scaled_classical,
)

CUTOFFS = [(0, 40), (1, 30), (0, 49)]


@pytest.mark.parametrize(("base", "method"), [("naive", last_value), ("seasonal naive", last_season)])
def test_without_the_network_a_forecast_is_the_naive_one(model: Forecaster, base: str, method: Any) -> None:
    calibration = replace(model.calibration, weight=0.0, shares={base: 1.0})
    predictor = replace(model.predictor, calibration=calibration)
    quantiles = predictor.quantiles(model.history, CUTOFFS)
    histories = [model.history.series[series].values[:cutoff] for series, cutoff in CUTOFFS]
    expected = [method(history, H, 7) for history in histories]
    np.testing.assert_array_equal(quantiles[..., 1], expected, "to the bit")
    assert (quantiles[..., 0] < quantiles[..., 1]).all()


def test_windows_are_forecast_in_any_number(model: Forecaster) -> None:
    store = make_store(model.network, model.features, model.history)
    many = network_quantiles(model.network, store, CUTOFFS * 100)
    few = network_quantiles(model.network, store, CUTOFFS)
    for one, other in zip(many, few, strict=True):
        np.testing.assert_allclose(one[:3], other, rtol=1e-4, atol=1e-6)
        assert len(one) == 300
    naives = scaled_classical(model.history, CUTOFFS, H, 7, few[1], few[2])
    last = [model.history.series[series].values[cutoff - 1] for series, cutoff in CUTOFFS]
    np.testing.assert_allclose(few[1][:, 0] + few[2][:, 0] * naives[1].values[:, 0], last)


def test_no_forecast_is_below_zero_where_no_value_is(model: Forecaster) -> None:
    assert nonnegative(model.history, CUTOFFS, None).tolist() == [True] * 3
    first, second = model.history.series
    values = first.values.copy()
    values[45] = -1.0
    panel = replace(model.history, series=(replace(first, values=values), replace(second, nonnegative=False)))
    assert nonnegative(panel, CUTOFFS, None).tolist() == [True, False, False], "only values before count"
    for setting in (True, False):
        assert nonnegative(panel, CUTOFFS, setting).tolist() == [setting] * 3
    wide = replace(model.calibration, weight=0.0, shares={"naive": 1.0}, spread=(-1e6, 0.0, 1e6))
    low = replace(model.predictor, calibration=wide).quantiles(panel, CUTOFFS)[..., 0]
    assert (low[0] == 0).all()
    assert (low[1:] < 0).all()


def test_classical_after_are_in_units_of_the_data(model: Forecaster) -> None:
    found = classical_after(model.history, CUTOFFS, H, 7)
    assert found[1].values[0].tolist() == [model.history.series[0].values[39]] * H


def test_the_mode_decides_the_network(model: Forecaster) -> None:
    recursive = replace(model.settings, mode="recursive")
    shape = model.network.shape
    assert type(make_network(recursive, shape)).__name__ == "RecursiveNet"
    assert type(make_network(model.settings, shape)).__name__ == "DirectNet"
