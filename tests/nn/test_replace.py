"""`elman.replace`: the same model with elman's layers inside, on the very same parameters."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import elman
from compare import assert_same, tensors


class Reader(nn.Module):
    """Recurrent layers at several depths, one of them used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.LSTM(3, 6, 2, dropout=0.5, bidirectional=True, proj_size=4, batch_first=True)
        self.middle = nn.ModuleDict({"a": nn.GRU(8, 5, bias=False), "b": nn.RNN(5, 5, nonlinearity="relu")})
        self.again = self.middle["b"]
        self.last = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.front(x)
        for layer in (self.middle["a"], self.middle["b"], self.again):
            x, _ = layer(x)
        return self.last(x)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("engine", ["auto", "vendor"])
def test_every_layer_is_swapped_and_nothing_else_changes(engine: str) -> None:
    model = Reader().eval()
    x = torch.randn(2, 7, 3)
    expected, before = model(x), dict(model.named_parameters())
    names, flags = list(model.state_dict()), [p.requires_grad for p in model.parameters()]
    assert elman.replace(model) is model
    kinds = [type(m) for m in (model.front, model.middle["a"], model.middle["b"])]
    assert kinds == [elman.LSTM, elman.GRU, elman.RNN]
    assert model.again is model.middle["b"] and isinstance(model.last, nn.Linear)
    assert list(model.state_dict()) == names and [p.requires_grad for p in model.parameters()] == flags
    assert all(p is before[name] for name, p in model.named_parameters())
    for layer in (model.front, model.middle["a"], model.middle["b"]):
        layer.engine = engine
    assert_same(model(x), expected)
    assert engine == "auto" or torch.equal(model(x), expected)
    assert not any(m.training for m in model.modules())
    restored = Reader()
    restored.load_state_dict(model.state_dict(), strict=True)
    assert_same(restored.eval()(x), expected)
    assert elman.replace(model) is model and type(model.front) is elman.LSTM


@pytest.mark.parametrize(
    ("layer", "kind"),
    [(nn.RNN(3, 4), elman.RNN), (nn.GRU(3, 4).double(), elman.GRU), (nn.LSTM(3, 4).train(False), elman.LSTM)],
)
def test_a_layer_itself(layer: Any, kind: type) -> None:
    layer.bias_ih_l0.requires_grad_(False)
    new = elman.replace(layer)
    assert type(new) is kind and new.training == layer.training
    assert all(a is b for a, b in zip(new.parameters(), layer.parameters(), strict=True))
    x = torch.randn(5, 2, 3, dtype=layer.weight_ih_l0.dtype)
    assert_same(new(x), layer(x))
    new.engine = "vendor"
    assert all(torch.equal(a, b) for a, b in zip(tensors(new(x)), tensors(layer(x)), strict=True))


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (nn.RNNCell(3, 32, nonlinearity="relu"), elman.RNNCell),
        (nn.GRUCell(3, 32, bias=False).double(), elman.GRUCell),
        (nn.LSTMCell(3, 32).eval(), elman.LSTMCell),
    ],
)
def test_cells(cell: Any, kind: type) -> None:
    x = torch.randn(5, 3, dtype=cell.weight_ih.dtype)
    new, expected = elman.replace(cell), cell(x)
    assert type(new) is kind and new.training == cell.training and repr(new) == repr(cell)
    assert all(a is b for a, b in zip(new.parameters(), cell.parameters(), strict=True))
    inside = elman.replace(nn.ModuleList([cell, cell]))
    assert type(inside[0]) is kind and inside[0] is inside[1]
    for one in (new, inside[0]):
        assert_same(one(x), expected)
        with torch.no_grad():
            assert_same(one(x), expected)


def test_optimiser_goes_on_with_the_same_parameters() -> None:
    models = [nn.Sequential(nn.GRU(3, 4)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    x = torch.randn(5, 2, 3)
    optimisers = [torch.optim.Adam(m.parameters()) for m in models]
    elman.replace(models[1])
    for model, optimiser in zip(models, optimisers, strict=True):
        for _ in range(3):
            optimiser.zero_grad()
            model(x)[0].square().sum().backward()
            optimiser.step()
    assert_same(list(models[1].parameters()), list(models[0].parameters()))


def test_subclasses_are_left_alone() -> None:
    class Mine(nn.LSTM):
        def forward(self, input: Any, hx: Any = None) -> Any:
            return super().forward(2 * input, hx)

    model = nn.Sequential(Mine(3, 4))
    assert type(elman.replace(model)[0]) is Mine


def test_layers_with_other_parameters_are_left_alone() -> None:
    layer = prune.random_unstructured(nn.GRU(3, 4), "weight_hh_l0", 0.5)
    assert elman.replace(nn.Sequential(layer))[0] is layer
    assert elman.replace(layer) is layer
