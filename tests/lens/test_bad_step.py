"""The first bad step of models that are made sick on purpose; silence for healthy ones."""

from typing import Any

import pytest
import torch

import elman
from elman.lens.bad_step import bad_gradient, first_bad_step
from elman.lens.recording import recording


def model(cell: str = "lstm", **options: Any) -> elman.Recurrent:
    torch.manual_seed(0)
    return elman.Recurrent(cell, 3, 4, 2, **options)


def test_a_healthy_model() -> None:
    assert first_bad_step(model(), torch.randn(20, 3, 3)) is None


@pytest.mark.parametrize(
    ("value", "kind"), [(float("nan"), "NaN"), (float("inf"), "infinite"), (1e6, "exploded")]
)
def test_a_bad_input(value: float, kind: str) -> None:
    x = torch.randn(20, 3, 3)
    x[7, 1, 2] = value
    x[9, 0, 0] = value
    found = first_bad_step(model(), x)
    assert found is not None
    assert (found.place, found.step, found.sequence, found.value, found.unit) == (
        "Recurrent l0",
        7,
        1,
        "x",
        2,
    )
    assert str(found) == f"input 2 of layer Recurrent l0 is {kind}, first at step 7 of sequence 1"


def test_a_bad_weight_comes_first() -> None:
    layer = model()
    with torch.no_grad():
        layer.weight_hh_l1[0, 0] = float("nan")
    x = torch.full((5, 1, 3), float("nan"))
    assert str(first_bad_step(layer, x)) == "the parameter weight_hh_l1 holds a value that is NaN"


def test_a_state_that_grows_without_bound() -> None:
    layer = elman.Recurrent("elman-relu", 1, 2, bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.copy_(torch.tensor([[2.0, 0.0], [0.0, 0.5]]))
    found = first_bad_step(layer, torch.ones(30, 2, 1))
    # 2^n - 1 is beyond 10,000 after 14 steps; the sum U h is at the same step
    assert found is not None and found.kind == "exploded"
    assert (found.step, found.unit, found.sequence) == (14, 0, 0) or found.step == 13
    assert first_bad_step(layer, torch.ones(13, 2, 1)) is None


def test_a_backward_layer_goes_wrong_at_its_own_first_step() -> None:
    layer = model("gru", bidirectional=True)
    x = torch.randn(10, 1, 3)
    x[[2, 6]] = float("nan")
    with torch.no_grad():
        layer.weight_ih_l0.zero_()  # NaN * 0 is NaN all the same
    found = first_bad_step(layer, x)
    assert found is not None and (found.place, found.step) == ("Recurrent l0", 2)


@pytest.mark.parametrize("engine", ["compiled", "eager"])
def test_a_bad_gradient_is_found_on_its_way_back(engine: Any) -> None:
    layers_model, x = model(engine=engine), torch.randn(9, 3, 3)
    with recording(layers_model) as layers:
        output = layers_model(x)[0]
        loss = output[4, 2, 1].mul(0).sqrt() + output[2, 1, 0].mul(0).sqrt() + output.sum()
        torch.autograd.grad(loss, [*layers_model.parameters()])
    found = bad_gradient(layers())
    assert found is not None
    place, value = "Recurrent l1", "the gradient for h"
    assert (found.place, found.step, found.sequence, found.value, found.unit) == (place, 4, 2, value, 1)
    assert bad_gradient([]) is None


def test_good_gradients() -> None:
    layer = model()
    with recording(layer) as layers:
        torch.autograd.grad(layer(torch.randn(4, 2, 3))[0].sum(), [*layer.parameters()])
    assert bad_gradient(layers()) is None
