"""What a forecaster's folder holds beside its network: the same again, or a refusal."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from elman.data.series.panel import Panel, read_panel
from elman.tasks.forecast.forecaster import Forecaster
from elman.tasks.forecast.saved import from_parts, read_calibration, read_shape, to_parts

DAYS = ["2021-01-01", "2021-01-02", "2021-01-03"]
WITH_A_COVARIATE = read_panel(
    {"ds": DAYS, "y": [0.1, None, 0.3], "promo": [1, 0, 1]}, value="y", future=["promo"], frequency="1d"
)


@pytest.mark.parametrize("whole", [WITH_A_COVARIATE, read_panel({"y": [1 / 3, 2.0]})])
def test_parts_and_back_are_exact(whole: Panel) -> None:
    described, tensors = to_parts(whole, [float("nan")])
    found, scales = from_parts(json.loads(json.dumps(described, allow_nan=False)), tensors, whole.texts)
    assert np.isnan(scales[0])
    for one, other in zip(found.series, whole.series, strict=True):
        assert (one.name, one.start, one.static) == (other.name, other.start, other.static)
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.future, other.future)
    assert (found.frequency, found.columns, found.kind) == (whole.frequency, whole.columns, whole.kind)
    assert replace(found, series=(), notes=()).name == whole.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 0}, "horizon must be from 1 to"),
        ({"context": 3}, "not that of the settings and features"),
    ],
)
def test_a_shape_that_can_not_be(model: Forecaster, change: dict[str, Any], message: str) -> None:
    shape = dict(model.parts().settings["shape"])
    assert read_shape(shape, model.settings, model.features) == model.network.shape
    with pytest.raises(ValueError, match=message):
        read_shape(shape | change, model.settings, model.features)
    with pytest.raises(ValueError, match="the holidays of the settings and features differ"):
        read_shape(shape, replace(model.settings, holidays="DE"), model.features)


def test_a_calibration_of_other_quantiles(model: Forecaster) -> None:
    saved = model.parts().files["adjustment"]
    assert read_calibration(saved, model.settings) == model.calibration
    with pytest.raises(ValueError, match="not of the quantiles of the settings"):
        read_calibration(saved, replace(model.settings, quantiles=(0.5,)))
