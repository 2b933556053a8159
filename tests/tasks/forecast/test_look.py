"""What the lens sees of a forecaster: its network's medians of the steps ahead."""

import pytest
import torch

from daily_series import H, daily, fitted
from elman import Forecaster, lens
from elman.data.series.frequency import Frequency
from elman.tasks.forecast.history import ends
from elman.tasks.forecast.predictor import make_store


@pytest.mark.parametrize("mode", ["direct", "recursive"])
def test_scores_are_medians_of_the_network(mode: str) -> None:
    model = fitted(daily(), horizon=H, mode=mode)
    view = model.view(None)
    assert view.score is not None
    score = view.score(view.module(*view.input))
    windows = make_store(model.network, model.features, model.history).cut(ends(model.history))
    median = model.network.shape.levels.index(0.5)
    if mode == "direct":
        expected = model.network.ahead(windows)[..., median].mean(1)
        torch.testing.assert_close(score.detach(), expected.detach())
    for layer in lens.states(view).layers:
        assert all(len(labels) == len(layer.taken) for labels in view.labels_of(layer.name))
    assert view.labels_of("network.encoder l0")[0][-1] == "2021-05-03"  # the last of 120 days
    assert view.answers[0].startswith("a: ") and "2021-05-04" in view.answers[0]
    assert view.unit == "days" and lens.memory_horizon(view).unit == "days"


def test_new_values_move_the_view(model: Forecaster) -> None:
    later = daily(130)
    assert model.view(later).labels_of("network.encoder l0")[0][-1] == "2021-05-13"


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [("1mo", ("months", 1)), ("30min", ("minutes", 30)), ("1bd", ("business days", 1)), ("5", ("steps", 1)),
     ("1mo:1,15", ("steps", 1))],
)  # fmt: skip
def test_units(frequency: str, expected: tuple[str, float]) -> None:
    assert Frequency.parse(frequency).in_words() == expected
