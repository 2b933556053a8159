"""Layer normalisation in the kernels against torch's own, where it is easy and where it is delicate."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import elman
from compare import assert_same, gradients
from elman.cells import CELLS
from elman.engine.cpu import launch

T, B, I = 6, 3, 5  # noqa: E741


def layer_of(kind: Any, hidden: int, dtype: torch.dtype, **more: Any) -> Any:
    """With gains and biases that aren't all alike."""
    torch.manual_seed(1)
    layer = kind(I, hidden, layer_norm=True, dtype=dtype, engine="compiled", **more)
    with torch.no_grad():
        for name, p in layer.named_parameters():
            if not name.startswith("weight"):
                p.uniform_(-1, 1)
    return layer


def sides(layer: Any, x: Tensor, h: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """The gates' parts, by torch."""
    rows = layer.gain_ih_l0.shape
    from_x = F.layer_norm(x @ layer.weight_ih_l0.T, rows, layer.gain_ih_l0, layer.bias_ih_l0)
    from_h = F.layer_norm(h @ layer.weight_hh_l0.T, rows, layer.gain_hh_l0, layer.bias_hh_l0)
    gates = rows[0] // layer.hidden_size
    return list(from_x.chunk(gates, 1)), list(from_h.chunk(gates, 1))


def lstm(layer: Any, x: Tensor) -> Tensor:
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    outputs = []
    for x_t in x:
        i, f, g, o = (a + u for a, u in zip(*sides(layer, x_t, h), strict=True))
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs)


def gru(layer: Any, x: Tensor) -> Tensor:
    h = x.new_zeros(x.shape[1], layer.hidden_size)
    outputs = []
    for x_t in x:
        (x_r, x_z, x_n), (u_r, u_z, u_n) = sides(layer, x_t, h)
        z = (x_z + u_z).sigmoid()
        h = (1 - z) * (x_n + (x_r + u_r).sigmoid() * u_n).tanh() + z * h
        outputs.append(h)
    return torch.stack(outputs)


LOOPS = {"lstm": (elman.LSTM, lstm), "gru": (elman.GRU, gru)}


@pytest.mark.parametrize("hidden", [5, 16, 37])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("kind", LOOPS)
def test_layers_are_torchs_layer_norm_in_a_loop(kind: str, dtype: torch.dtype, hidden: int) -> None:
    made, loop = LOOPS[kind]
    layer = layer_of(made, hidden, dtype)
    x = torch.randn(T, B, I, dtype=dtype, requires_grad=True)
    actual, expected = layer(x)[0], loop(layer, x)
    assert_same(actual, expected)
    leaves = [x, *layer.parameters()]
    assert_same(
        gradients(actual, leaves), gradients(expected, leaves), within={dtype: 1e-4, torch.float64: 1e-11}
    )


def test_a_large_mean_costs_no_precision() -> None:
    """The deviation is that of differences from the mean, not a difference of large squares."""
    layer = layer_of(elman.LSTM, 37, torch.float32)
    exact = layer_of(elman.LSTM, 37, torch.float64)
    x = torch.randn(T, B, I)
    x[..., 0] = 1.0
    with torch.no_grad():
        layer.weight_ih_l0[:, 0] = 64.0  # all sums are about 64, and differ by about 1
        for own, other in zip(exact.parameters(), layer.parameters(), strict=True):
            own.copy_(other)
    assert_same(layer(x)[0].double(), exact(x.double())[0], within={torch.float64: 2e-4})
    assert_same(exact(x.double())[0], lstm(exact, x.double()))


@pytest.mark.parametrize("kind", CELLS)
def test_rows_without_deviation(kind: str) -> None:
    """Inputs and states of zeros, and a single unit: finite numbers, as torch's."""
    for hidden in (1, 20):
        layer = elman.Recurrent(CELLS[kind], I, hidden, layer_norm=True, dtype=torch.float64)
        x = torch.zeros(T, B, I, dtype=torch.float64, requires_grad=True)
        found = []
        for layer.engine in ("compiled", "eager"):
            output = layer(x)[0]
            found.append([output, *gradients(output, [x, *layer.parameters()])])
        assert_same(*found)


def test_a_row_is_never_shared_by_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean is over all units: even where few rows with many units would be."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(launch, "MIN_TEAM_WORK", 0)
    monkeypatch.setattr(launch, "MIN_SPLIT_WORK", 0)
    try:
        assert launch.share_rows(4, 3, None, 1).split
        assert not launch.share_rows(4, 3, None, 1, whole=True).split
        for batch in (1, 3):
            layer, x = layer_of(elman.GRU, 96, torch.float64), torch.randn(T, batch, I, dtype=torch.float64)
            assert_same(layer(x)[0], gru(layer, x))
            with torch.no_grad():
                assert_same(layer(x)[0], gru(layer, x))
    finally:
        torch.set_num_threads(before)


def test_explain_says_compiled() -> None:
    layer = elman.LSTM(I, 8, layer_norm=True)
    assert layer.explain(torch.zeros(T, B, I)).startswith("compiled: ")
    assert elman.LSTM(I, 8, layer_norm=True, int8=True).explain(torch.zeros(T, B, I)).startswith("compiled: ")
