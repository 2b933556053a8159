"""What the lens looks at: modules as they are, copies of foreign ones, and views that tasks make."""

from typing import Any

import pytest
import torch
from torch import nn

import elman
from elman import UsageError, lens
from elman.lens.view import View, view_of


def test_a_module_is_its_own_view() -> None:
    layer, x = elman.LSTM(2, 3), torch.randn(4, 1, 2)
    view = view_of(layer, x)
    assert view.module is layer and view.input is x
    assert view_of(view, None) is view
    result = layer(x)
    torch.testing.assert_close(view.loss(result), result[0].square().sum() / 2)
    assert view.labels_of("LSTM l0") == ()


def test_a_foreign_module_is_copied() -> None:
    module = nn.Sequential(nn.LSTM(2, 3))
    view = view_of(module, torch.randn(4, 1, 2))
    assert view.module is not module and isinstance(module[0], nn.LSTM)


def test_labels_are_those_of_the_longest_fitting_name() -> None:
    view = View(nn.Identity(), None, labels={"": (("a",),), "encoder": (("b",),)})
    assert view.labels_of("encoder.0 l0") == (("b",),) and view.labels_of("decoder l0") == (("a",),)


def test_scores_of_the_last_step_alone() -> None:
    view = View(nn.Identity(), None, score=lambda x: x.sum(1), last=lambda x: x[:, -1])
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert float(view.loss(x)) == -10 and float(view.at_end(x)) == -6
    assert float(View(nn.Identity(), None, score=lambda x: x.sum(1)).at_end(x)) == -10


@pytest.mark.parametrize("model", [3, "runs/reviews", nn.Linear(2, 2), None])
def test_what_can_not_be_looked_into(model: object) -> None:
    with pytest.raises(UsageError, match=r"the lens looks into|no recurrent layer"):
        lens.states(model, torch.zeros(1, 1, 2))


@pytest.mark.parametrize(
    "look", [lens.gradient_flow, lens.memory_horizon, lens.unroll, lens.diagnose, lens.attribution]
)
def test_a_loss_is_a_function(look: Any) -> None:
    with pytest.raises(UsageError, match="must be a function of what the module returns, not float"):
        look(elman.LSTM(2, 3), torch.zeros(4, 1, 2), 0.5)
