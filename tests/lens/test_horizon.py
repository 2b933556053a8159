"""Memory horizons, Jacobians and Lyapunov exponents: those that theory gives for linear networks."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import elman
from elman import UsageError
from elman.lens.horizon import fall, jacobian, lyapunov_exponents, memory_horizon
from elman.lens.recording import Layer, prepared, recording


@elman.cell(state="h", gates="n")
def linear(x: Any, u: Any, s: Any) -> Any:
    return x.n + u.n


def rotation(decay: float, units: int = 6) -> elman.Recurrent:
    """h_t = x_t + decay · Q h_{t-1} with an orthogonal Q: all its eigenvalues have that size."""
    torch.manual_seed(0)
    layer = elman.Recurrent(linear, 2, units, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(decay * torch.linalg.qr(torch.randn(units, units).double()).Q)
    return layer


def passes(layer: elman.Recurrent, x: torch.Tensor, **call: Any) -> Layer:
    with recording(prepared(layer)) as layers:
        layer(x, **call)
    return layers()[0]


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.97])
def test_a_linear_network_forgets_as_its_spectrum_says(decay: float) -> None:
    x = torch.randn(300, 5, 2, dtype=torch.float64)
    found = memory_horizon(rotation(decay), x, unit="hours")
    (memory,) = found.layers
    for horizon in memory.horizons:
        expected = math.log(horizon.share) / math.log(decay)
        assert horizon.steps == pytest.approx(expected, rel=0.02)
        assert horizon.low <= horizon.steps <= horizon.high
    assert found.length == 300 and found.to_dict()["unit"] == "hours"


@pytest.mark.parametrize("decay", [0.8, 1.0, 1.05])
def test_lyapunov_exponents_are_the_spectrum_of_a_linear_network(decay: float) -> None:
    layer = passes(rotation(decay), torch.randn(50, 3, 2, dtype=torch.float64))
    exponents = lyapunov_exponents(layer, 6)
    torch.testing.assert_close(exponents, torch.full((6,), math.log(decay), dtype=torch.float64))


def test_exponents_of_a_known_diagonal_come_in_falling_order() -> None:
    layer = rotation(1.0, 3)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.diag(torch.tensor([0.5, 0.9, 0.7]).double()))
    found = lyapunov_exponents(passes(layer, torch.randn(400, 2, 2).double()), 3)
    expected = torch.tensor([0.9, 0.7, 0.5]).double().log()
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.0)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_jacobians_are_those_of_autograd(cell: str) -> None:
    torch.manual_seed(0)
    layer = elman.Recurrent(cell, 2, 3, dtype=torch.float64)
    x = torch.randn(6, 2, 2, dtype=torch.float64)
    run = passes(layer, x)
    found = jacobian(run, 1, 4)

    def later(*states: torch.Tensor) -> torch.Tensor:
        state: Any = tuple(s.unsqueeze(0) for s in states)
        _, end = layer(x[2:5], state if len(states) > 1 else state[0])
        return torch.cat([s[0] for s in (end if isinstance(end, tuple) else (end,))], 1)

    states = tuple(s[1] for s in run.run.states)
    blocks = torch.autograd.functional.jacobian(later, states)
    for b in range(2):
        whole = torch.cat([block[b, :, b] for block in blocks], 1)
        torch.testing.assert_close(found[b], whole, rtol=1e-6, atol=1e-12)


def test_a_reset_ends_the_memory() -> None:
    reset = torch.zeros(40, 2, dtype=torch.bool)
    reset[30] = True
    layer = rotation(0.99)
    x = torch.randn(40, 2, 2, dtype=torch.float64)

    class Resetting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layer

        def forward(self, x: torch.Tensor) -> Any:
            return self.inner(x, reset=reset)

    (memory,) = memory_horizon(Resetting(), x).layers
    assert all(9 <= h.steps <= 10 for h in memory.horizons)
    found = lyapunov_exponents(passes(layer, x, reset=reset), 1)
    assert float(found) < -1  # what was before is gone


def test_ragged_sequences_are_measured_from_their_own_ends() -> None:
    layer, lengths = rotation(0.5), torch.tensor([60, 20, 3])

    class Ragged(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layer

        def forward(self, x: torch.Tensor) -> Any:
            return self.inner(x, lengths=lengths)

    x = torch.randn(60, 3, 2, dtype=torch.float64)
    (memory,) = memory_horizon(Ragged(), x, lambda result: result[1].sum()).layers
    steps = torch.arange(20, dtype=torch.float64)
    expected = (0.5**steps)[:, None].expand(-1, 2)
    assert torch.isnan(memory.influence[3:, 2]).all() and not torch.isnan(memory.influence[:3, 2]).any()
    assert memory.influence[:20, :2].log() == pytest.approx(expected.log().numpy(), abs=2.0)


def test_a_backward_layer_is_measured_from_the_beginning() -> None:
    layer = elman.Recurrent("lstm", 2, 4, bidirectional=True)
    found = memory_horizon(layer, torch.randn(30, 3, 2), lambda result: result[0][[0, -1]].square().sum())
    assert [one.name for one in found.layers] == ["Recurrent l0", "Recurrent l0 reverse"]
    for one in found.layers:
        assert one.influence.shape == (30, 3) and one.influence[0].eq(1).all()
        assert one.influence[20].max() < 0.1


@given(st.floats(0.3, 0.99), st.floats(0.001, 0.5))
def test_the_fall_of_a_geometric_influence(decay: float, share: float) -> None:
    influence = decay ** np.arange(2_000, dtype=float)
    assert fall(influence, share) == pytest.approx(math.log(share) / math.log(decay), rel=1e-6)


def test_what_does_not_fall_is_beyond_the_sequences() -> None:
    assert fall(np.ones(5), 0.1) == math.inf
    assert fall(np.array([0.05, 0.01]), 0.1) == 0.0
    found = memory_horizon(rotation(1.0), torch.randn(20, 2, 2, dtype=torch.float64))
    assert found.layers[0].horizons[0].steps == math.inf
    assert found.to_dict()["layers"]["Recurrent l0"][0]["steps"] is None


def test_a_loss_that_does_not_see_the_layer_is_refused() -> None:
    class Blind(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = elman.GRU(2, 3), torch.nn.Linear(2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.inner(x)
            output: torch.Tensor = self.head(x)
            return output

    with pytest.raises(UsageError, match="does not depend on a recurrent layer"):
        memory_horizon(Blind(), torch.randn(4, 2, 2))
