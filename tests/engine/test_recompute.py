"""Training in little memory: the same outputs and gradients, from states of every √T-th step."""

from typing import Any

import pytest
import torch

import elman
from compare import assert_same, gradients

T, B, I, H = 11, 3, 4, 16  # noqa: E741


def pair(kind: Any, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    plain = kind(I, H, dtype=torch.float64, engine="compiled", **options)
    frugal = kind(I, H, dtype=torch.float64, engine="compiled", recompute=True, **options)
    frugal.load_state_dict(plain.state_dict())
    return plain, frugal


OPTIONS = [{}, {"bidirectional": True, "num_layers": 2}, {"zoneout": 0.3}, {"layer_norm": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", [elman.LSTM, elman.GRU, elman.RNN])
def test_outputs_and_gradients_are_the_same(kind: Any, options: dict[str, Any]) -> None:
    plain, frugal = pair(kind, **options)
    x = torch.randn(T, B, I, dtype=torch.float64, requires_grad=True)
    call = {"lengths": [T, 5, 0], "reset": torch.rand(T, B) < 0.2, "return_states": True}
    found = []
    for layer in (plain, frugal):
        torch.manual_seed(1)  # zoneout draws
        outputs = layer(x, **call)
        found.append((outputs, gradients(outputs, [x, *layer.parameters()])))
    assert_same(found[1], found[0])


def test_the_initial_state_gets_its_gradient() -> None:
    plain, frugal = pair(elman.LSTM)
    x = torch.randn(T, B, I, dtype=torch.float64)
    state = tuple(torch.randn(1, B, H, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert_same(gradients(frugal(x, state), state), gradients(plain(x, state), state))


def test_gradients_can_be_differentiated() -> None:
    _, frugal = pair(elman.GRU)
    x = torch.randn(4, 2, I, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: frugal(x)[0], x)


def test_less_is_kept() -> None:
    """What the graph holds on to, without inputs, weights and outputs."""

    def held(layer: Any) -> int:
        x, sizes = torch.randn(400, 2, I, dtype=torch.float64), {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            layer(x)
        for own in (x, *layer.parameters()):
            sizes.pop(own.untyped_storage().data_ptr(), None)
        return sum(sizes.values())

    plain, frugal = pair(elman.LSTM)
    assert held(frugal) < held(plain) / 8
