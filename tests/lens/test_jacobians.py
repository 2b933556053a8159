"""Jacobians are autograd's; Lyapunov exponents those that theory gives for linear networks."""

import math
from typing import Any

import pytest
import torch

import elman
from elman import UsageError
from elman.lens.jacobians import jacobian, lyapunov_exponents
from linear_layers import WithOptions, rotation


@pytest.mark.parametrize("decay", [0.8, 1.0, 1.05])
def test_lyapunov_exponents_are_the_spectrum_of_a_linear_network(decay: float) -> None:
    found = lyapunov_exponents(rotation(decay), torch.randn(50, 3, 2, dtype=torch.float64), 6)
    expected = torch.full((6,), math.log(decay), dtype=torch.float64)
    torch.testing.assert_close(found, {"Recurrent l0": expected})


def test_exponents_of_a_known_diagonal_come_in_falling_order() -> None:
    layer = rotation(1.0, 3)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.diag(torch.tensor([0.5, 0.9, 0.7]).double()))
    found = lyapunov_exponents(layer, torch.randn(400, 2, 2).double(), 5)
    expected = torch.tensor([0.9, 0.7, 0.5]).double().log()
    torch.testing.assert_close(found["Recurrent l0"], expected, rtol=0.02, atol=0.0)


@pytest.mark.parametrize("zoneout", [0.0, 0.3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_jacobians_are_those_of_autograd(cell: str, zoneout: float) -> None:
    torch.manual_seed(0)
    layer = elman.Recurrent(cell, 2, 3, dtype=torch.float64, zoneout=zoneout).eval()
    x = torch.randn(6, 2, 2, dtype=torch.float64)
    found = jacobian(layer, x, 1, 4)["Recurrent l0"]

    def later(*states: torch.Tensor) -> torch.Tensor:
        state: Any = tuple(s.unsqueeze(0) for s in states)
        _, end = layer(x[2:5], state if len(states) > 1 else state[0])
        return torch.cat([s[0] for s in (end if isinstance(end, tuple) else (end,))], 1)

    _, start = layer(x[:2])
    states = tuple(s[0].detach() for s in (start if isinstance(start, tuple) else (start,)))
    blocks = torch.autograd.functional.jacobian(later, states)
    for b in range(2):
        whole = torch.cat([block[b, :, b] for block in blocks], 1)
        torch.testing.assert_close(found[b], whole, rtol=1e-6, atol=1e-12)


def test_a_reset_ends_what_was_before() -> None:
    reset = torch.zeros(40, 2, dtype=torch.bool)
    reset[30] = True
    model, x = WithOptions(rotation(0.99), reset=reset), torch.randn(40, 2, 2, dtype=torch.float64)
    assert float(lyapunov_exponents(model, x, 1)["inner l0"]) < -1
    assert not jacobian(model, x, 20, 35)["inner l0"].any() and jacobian(model, x, 30, 35)["inner l0"].any()


def test_wrong_arguments() -> None:
    layer, x = elman.GRU(2, 3), torch.randn(5, 1, 2)
    with pytest.raises(UsageError, match="steps in order, from 0 to 4, not 3 and 2"):
        jacobian(layer, x, 3, 2)
    with pytest.raises(UsageError, match="not 0 and 5"):
        jacobian(layer, x, 0, 5)
    with pytest.raises(UsageError, match="count must be 1 or more, not 0"):
        lyapunov_exponents(layer, x, 0)
