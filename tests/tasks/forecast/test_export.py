"""Exported forecasters in onnxruntime beside `predict`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elman
from daily_series import H, daily, fitted, with_covariates
from elman import UsageError
from elman.data.series.windows import Windows
from elman.tasks.forecast.calibration import mixed, sizes
from elman.tasks.forecast.forecaster import Forecaster
from elman.tasks.forecast.history import ends
from elman.tasks.forecast.network import RecursiveNet
from elman.tasks.forecast.predictor import classical_after, make_store
from onnx_files import call, metadata, session
from saved_models import SAVED

NAIVES = {"naive": 0.25, "seasonal naive": 0.75}
BANKS = {"exponential smoothing": 0.5, "naive": 0.5}


def blended(model: Forecaster, weight: float, shares: dict[str, float]) -> Forecaster:
    factors = tuple(1.2 - 0.1 * k for k in range(len(model.settings.levels)))
    spread = tuple(1.5 * (level - 0.5) for level in model.settings.levels)
    calibration = replace(model.calibration, weight=weight, shares=shares, spread=spread, least_steps=0)
    return replace(model, calibration=replace(calibration, conformal_factors=factors))


def feeds(model: Forecaster) -> dict[str, Any]:
    """What the graph reads: the last values of all series, and what else the model knows of them."""
    network, panel, after = model.network, model.history, ends(model.history)
    windows: Windows = make_store(network, model.features, panel).cut(after)
    context = network.shape.context
    values = np.full((len(after), context), np.nan)
    for row, series in zip(values, panel.series, strict=True):
        last = series.values[-context:]
        row[context - len(last) :] = last
    found: dict[str, Any] = {"values": values}
    if network.shape.known:
        found["known"] = windows.known
    if network.shape.vocabularies:
        found["codes"] = windows.codes
    shares = model.calibration.shares
    if model.calibration.weight < 1 and not {*shares} <= {*NAIVES}:
        classical = classical_after(panel, after, network.shape.horizon, model.calibration.season)
        scale = windows.scale.numpy()
        found |= {"base": mixed(classical, shares), "base_spread": scale * sizes(classical, shares, scale)}
    return found


def assert_same(model: Forecaster, file: Path) -> None:
    expected = model.predictor.quantiles(model.history, ends(model.history))
    found = call(session(file), **feeds(model))["quantiles"]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.fixture(scope="module")
def covariates() -> Forecaster:
    columns = {"future": ["promo"], "static": ["town", "size"]}
    return fitted(with_covariates(daily()), horizon=H, **columns)


@pytest.mark.parametrize(("weight", "shares"), [(1.0, BANKS), (0.6, NAIVES), (0.3, BANKS)])
def test_quantiles_are_those_of_predict(
    covariates: Forecaster, weight: float, shares: dict[str, float], tmp_path: Path
) -> None:
    model = blended(covariates, weight, shares)
    (file,) = model.export_onnx(tmp_path / "model.onnx")
    assert_same(model, file)
    found = metadata(session(file))
    assert (found["horizon"], found["shares"]["network"]) == (H, weight)


def test_gaps_short_series_and_negative_values(covariates: Forecaster, tmp_path: Path) -> None:
    model = blended(covariates, 0.6, NAIVES)
    first, second = model.history.series
    gaps = first.values.copy()
    gaps[[0, 1, 5, 6, -1, -2]] = np.nan
    series = (replace(first, values=gaps), replace(second, values=-second.values))
    later = replace(second, name="new", values=np.r_[[np.nan] * 4, np.full(4, 3.0)])
    model = replace(model, history=replace(model.history, series=(*series, later)))
    model = replace(model, settings=replace(model.settings, nonnegative=False))
    (file,) = model.export_onnx(tmp_path / "model.onnx")
    assert_same(model, file)
    model = replace(model, settings=replace(model.settings, nonnegative=True))
    (file,) = model.export_onnx(tmp_path / "model.onnx")
    assert_same(model, file)


def test_a_model_of_before(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "forecast")
    model = blended(model, 0.5, dict(model.calibration.shares))
    assert_same(model, model.export_onnx(tmp_path / "model.onnx")[0])


def test_what_cannot_be_exported_is_named(covariates: Forecaster, tmp_path: Path) -> None:
    sampled = RecursiveNet(covariates.settings, covariates.network.shape)
    with pytest.raises(UsageError, match="mode='recursive'"):
        replace(covariates, network=sampled).export_onnx(tmp_path / "model.onnx")
    with pytest.raises(UsageError, match="there is nothing to export"):
        blended(covariates, 0.0, {"naive": 1.0}).export_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
