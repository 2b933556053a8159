"""Derivatives of a whole layer against finite differences."""

from typing import Any

import torch
from torch import Tensor

import elman
from compare import tensors


def loose(layer: elman.Recurrent) -> tuple[Tensor, ...]:
    """Random states in the order of the cell, asking for gradients."""
    rows, sizes = layer.num_layers * layer.directions, [layer.output_size]
    sizes += [layer.hidden_size] * (len(layer.cell.state) - 1)
    return tuple(torch.rand(rows, 2, n, dtype=torch.float64, requires_grad=True) for n in sizes)


def check(layer: elman.Recurrent, **call: Any) -> None:
    """gradcheck and gradgradcheck over input, initial states and every parameter."""
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    state, names = loose(layer), [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        hx, weights = rest[: len(state)], dict(zip(names, rest[len(state) :], strict=True))
        single = len(state) == 1
        return tuple(tensors(torch.func.functional_call(layer, weights, (x, hx[0] if single else hx), call)))

    inputs = (x, *state, *(p.detach().requires_grad_() for p in layer.parameters()))
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)
