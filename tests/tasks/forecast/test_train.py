"""Training is reproducible, survives being killed, and calibrates on steps that the network has not seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daily_series import TINY, H, daily, fitted
from elman.data.series.panel import read_panel
from elman.tasks.forecast.forecaster import Forecaster
from elman.tasks.forecast.train import train


def test_the_same_seed_gives_the_same_model(model: Forecaster) -> None:
    assert fitted(daily(), horizon=H).predict().equals(model.predict())
    assert not fitted(daily(), horizon=H, seed=1).predict().equals(model.predict())


def test_a_killed_run_ends_with_the_same_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the first network was trained and before the second: all that is left is a checkpoint."""

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    whole = Forecaster.fit(daily(), horizon=H, **TINY)
    with monkeypatch.context() as patch:
        patch.setattr(Forecaster, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            Forecaster.fit(daily(), horizon=H, folder=tmp_path / "m", **TINY)
    assert (tmp_path / "m" / "checkpoint.pt").exists()
    again = Forecaster.fit(daily(), horizon=H, folder=tmp_path / "m", resume=True, **TINY)
    assert again.predict().equals(whole.predict())
    assert again.validation == whole.validation


def test_validation_is_of_a_network_that_has_not_seen_it() -> None:
    """Wild last horizons change what validates, but not the first network, and they do train the second."""
    data = daily(80, ("a",))
    wild = data["y"].to_numpy().copy()
    wild[-6:] *= 10
    choices = {"hidden": 8, "epochs": 1}
    calm, other = (
        train(read_panel(data.with_columns(y=y)), H, choices, "f") for y in (data["y"].to_numpy(), wild)
    )
    assert calm.notes == other.notes == ()
    assert other.validation.scores["mase"] > calm.validation.scores["mase"]
    weights = [model.predictor.network.head.out.weight.detach().numpy() for model in (calm, other)]
    assert not np.array_equal(*weights)
    assert calm.predictor.settings == other.predictor.settings
    assert calm.signal is None
    assert calm.failure is None
