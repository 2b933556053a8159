"""States and gates of every step: those of the equations, step by step."""

from typing import Any

import pytest
import torch
from torch import nn

import elman
from elman import UsageError, cells
from elman.lens.activity import states


def test_gates_are_those_of_torch_nn_by_hand() -> None:
    torch.manual_seed(0)
    layer = elman.LSTM(3, 4, dtype=torch.float64)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    (found,) = states(layer, x).layers
    h = c = torch.zeros(2, 4, dtype=torch.float64)
    for t in range(6):
        sums = x[t] @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h @ layer.weight_hh_l0.T + layer.bias_hh_l0
        i, f, g, o = sums.detach().chunk(4, 1)
        expected = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
        c = expected["f"] * c + expected["i"] * expected["g"]
        h = expected["o"] * c.tanh()
        for name, value in expected.items():
            torch.testing.assert_close(found.gates[name][t], value)
        torch.testing.assert_close(found.states["h"][t], h)
        torch.testing.assert_close(found.states["c"][t], c)


@pytest.mark.parametrize("cell", sorted(cells.CELLS))
@pytest.mark.parametrize("option", [{}, {"bidirectional": True, "num_layers": 2}, {"layer_norm": True}])
def test_every_cell_shows_its_gates(cell: str, option: dict[str, Any]) -> None:
    layer = elman.Recurrent(cell, 3, 4, **option)
    found = states(layer, torch.randn(5, 2, 3))
    assert len(found.layers) == layer.num_layers * layer.directions
    for one in found.layers:
        assert set(one.states) == set(layer.cell.state)
        for gate in one.gates.values():
            assert gate.shape == (5, 2, 4) and gate.abs().max() <= 1
        assert set(one.saturation()) == set(one.gates)
    assert set(found.to_dict()[found.layers[0].name]) >= set(layer.cell.state)


def test_ragged_sequences_begin_at_their_own_ends_backwards() -> None:
    torch.manual_seed(0)
    layer = elman.Recurrent("gru", 3, 4, bidirectional=True, dtype=torch.float64)
    x, lengths = torch.randn(6, 2, 3, dtype=torch.float64), torch.tensor([6, 2])

    class Ragged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layer

        def forward(self, x: torch.Tensor) -> Any:
            return self.inner(x, lengths=lengths)

    whole, alone = states(Ragged(), x).layers[1], states(layer, x[:2, 1:]).layers[1]
    torch.testing.assert_close(whole.gates["z"][:2, 1], alone.gates["z"][:, 0])
    assert whole.taken.sum(0).tolist() == [6, 2]


def test_saturated_dead_and_stuck_units() -> None:
    layer = elman.LSTM(2, 3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.1)
        layer.bias_ih_l0[:3] = torch.tensor([50.0, -50.0, 0.0])  # the input gates
        layer.bias_ih_l0[3:6] = 50.0  # the forget gates
        layer.bias_ih_l0[6:9] = torch.tensor([50.0, 0.0, 0.0])
        layer.bias_ih_l0[9:] = 50.0
    (found,) = states(layer, torch.randn(300, 4, 2)).layers
    shares = found.saturation()
    assert shares["i"].high.tolist() == [1, 0, 0] and shares["i"].low.tolist() == [0, 1, 0]
    assert shares["f"].high.eq(1).all()
    assert found.dead_units() == [1] and found.stuck_units() == [0]


def test_units_are_ordered_by_what_they_track() -> None:
    layer = elman.Recurrent("elman", 1, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight_ih_l0.copy_(torch.tensor([[0.1], [-0.1]]))
    x = torch.randn(50, 3, 1)
    (found,) = states(layer, x).layers
    assert found.tracking(x[..., 0]) == pytest.approx([1.0, -1.0], abs=1e-2)
    assert found.tracking(torch.ones(50, 3)).tolist() == [0.0, 0.0]
    with pytest.raises(UsageError, match=r"a signal must be \(50, 3\), not \(3,\)"):
        found.tracking([1.0, 2.0, 3.0])
