"""What a layer reads is found, and the module is left as it was even after an error."""

import pytest
import torch
from torch import Tensor, nn

import elman
from elman import UsageError
from elman.lens.reading import Reading
from elman.lens.view import view_of


def test_the_first_layer_that_is_called_is_read() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second, self.first = elman.GRU(4, 2), elman.GRU(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            final: Tensor = self.second(self.first(x)[0])[1]
            return final[0].sum(1)

    reading = Reading(view_of(Two(), torch.randn(5, 2, 3)), lambda scores: scores)
    assert reading.name == "first l0" and reading.taken.shape == (5, 2)
    whole = torch.randn(5, 2, 3)
    view = view_of(Two(), torch.randn(5, 2, 3))
    assert Reading(view, lambda s: s, whole).baseline_of(2).equal(whole[:2])  # type: ignore[union-attr]
    assert Reading(view, lambda s: s, whole[0]).baseline_of(2).equal(whole[0])  # type: ignore[union-attr]
    assert Reading(view, lambda s: s).baseline_of(2) == 0.0


def test_an_error_leaves_the_module_as_it_was() -> None:
    layer = elman.LSTM(3, 2).train()
    reading = Reading(view_of(layer, torch.randn(5, 2, 3)), lambda result: result[0])
    with pytest.raises(UsageError, match="one number"):
        reading.integrated(4)
    assert layer.training and all(p.requires_grad for p in layer.parameters())
    assert not layer._forward_pre_hooks
