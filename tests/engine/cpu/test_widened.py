"""Weights in half precision are cast once while they are unchanged."""

import gc
import weakref
from collections.abc import Callable

import pytest
import torch

import elman
from elman.engine.call import Weights, flatten
from elman.engine.cpu.widened import widened


def weights_of(layer: elman.Recurrent) -> tuple[Weights[torch.Tensor], ...]:
    return layer.stack().weights


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
def test_they_are_the_same_tensors_while_nothing_changes(dtype: torch.dtype) -> None:
    layer = elman.LSTM(6, 8, 2, dtype=dtype)
    with torch.no_grad():
        first = widened(weights_of(layer))
        assert all(a is b for a, b in zip(flatten(first), flatten(widened(weights_of(layer))), strict=True))
    for one, original in zip(flatten(first), flatten(weights_of(layer)), strict=True):
        assert one is original is None or torch.equal(one, original.float())


CHANGES: dict[str, Callable[[torch.Tensor], object]] = {
    "one number, uncounted": lambda t: t.data.view(-1)[-1:].add_(1),
    "all numbers": lambda t: t.mul_(2),
    "another tensor": lambda t: setattr(t, "data", torch.randn_like(t)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(change: str) -> None:
    layer = elman.GRU(6, 8, dtype=torch.bfloat16)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            widened(weights_of(layer))
            CHANGES[change](parameter)
            (after,) = widened(weights_of(layer))
            assert torch.equal(getattr(after, name.removesuffix("_l0")), parameter.float()), name


@pytest.mark.parametrize("case", ["gradients", "float32", "odd", "unaligned"])
def test_what_cannot_be_remembered_is_cast_anew(case: str) -> None:
    inputs, hidden = (3, 1) if case == "odd" else (6, 8)
    layer = elman.Recurrent("elman", inputs, hidden, dtype=torch.bfloat16)
    if case == "unaligned":
        layer.weight_ih_l0.data = torch.zeros(8 * 6 + 1, dtype=torch.bfloat16)[1:].view(8, 6)
    if case == "float32":
        layer = layer.float()
    with torch.set_grad_enabled(case == "gradients"):
        first, second = widened(weights_of(layer)), widened(weights_of(layer))
    weight = weights_of(layer)[0].weight_ih
    assert (first[0].weight_ih is second[0].weight_ih) == (case == "float32")
    assert torch.equal(first[0].weight_ih, weight.float())


def test_nothing_is_kept_alive() -> None:
    layer = elman.LSTM(6, 8, dtype=torch.bfloat16)
    with torch.no_grad():
        kept = weakref.ref(widened(weights_of(layer))[0].weight_ih)
    del layer
    gc.collect()
    assert kept() is None
