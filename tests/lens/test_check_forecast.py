"""Forecasts that copy the last value are found; the advice, to forecast changes, helps."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import elman
from elman import UsageError
from elman.lens import diagnose
from elman.lens.check_forecast import check_forecast


def series(seed: int = 0, count: int = 400) -> NDArray[np.float64]:
    """A long walk, whose changes go on as they were."""
    rng, change, level, values = np.random.default_rng(seed), 0.0, 0.0, []
    for _ in range(count):
        change = 0.9 * change + rng.normal()
        level += change
        values.append(level)
    return np.array(values)


class Next(nn.Module):
    """The next value, or the next change, as the last one plus a correction."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.head = elman.Recurrent("elman", 1, 12), nn.Linear(12, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.head(self.inner(x)[0])
        return result


def forecast(values: NDArray[np.float64], train: int) -> NDArray[np.float64]:
    """Train to forecast the next of the values, standardised; return the forecasts after training."""
    mean, spread = values[:train].mean(), values[:train].std()
    x = torch.tensor((values - mean) / spread, dtype=torch.float32)[:, None, None]
    model = Next()
    optimizer = torch.optim.Adam(model.parameters(), 0.001)
    for _ in range(20):
        loss = (model(x[: train - 1]) - x[1:train]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        said = model(x[:-1])[train - 1 :, 0, 0]
    return said.double().numpy() * spread + mean


@pytest.mark.parametrize("seed", [5, 7])
def test_a_copy_is_found_and_forecasting_changes_helps(seed: int) -> None:
    values, train = series(seed), 300
    truth, last = values[train:], values[train - 1 : -1]
    levels = forecast(values, train)
    found = diagnose(elman.Recurrent("elman", 1, 12), torch.randn(20, 4, 1), forecasts=(levels, truth, last))
    assert found.kinds == ("copies_last",) and "train on differences" in str(found)
    figures = found.findings[0].figures
    assert figures["error"] > 0.95 * figures["naive"] and figures["forecasts"] == 100
    changes = np.diff(values)
    better = last + forecast(changes, train - 1)
    assert not [*check_forecast(better, truth, last)]
    assert np.abs(better - truth).mean() < 0.8 * figures["error"]


@pytest.mark.parametrize("seed", range(5))
def test_forecasts_that_are_no_copies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = series(seed)
    truth, last = values[1:], values[:-1]
    good = truth + rng.normal(size=len(truth))
    bad = truth.mean() + rng.normal(size=len(truth))
    assert not [*check_forecast(good, truth, last)] and not [*check_forecast(bad, truth, last)]
    assert [*check_forecast(last, truth, last)]
    assert [*check_forecast(np.c_[last, last], np.c_[truth, truth], last)]
    assert not [*check_forecast(last, last, last)]  # a constant series


def test_arrays_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match=r"not \(12,\), \(11,\) and \(12,\)"):
        [*check_forecast(np.zeros(12), np.zeros(11), np.zeros(12))]
    gaps = np.full(20, np.nan)
    with pytest.raises(UsageError, match="at least 10 finite forecasts, not 0"):
        [*check_forecast(gaps, np.zeros(20), np.zeros(20))]
