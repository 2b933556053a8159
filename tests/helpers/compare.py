"""Comparisons for the tests of layers: relative to a tensor's largest value, in its own precision."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def assert_same(
    actual: Any,
    expected: Any,
    note: object = "",
    within: dict[torch.dtype, float] = TOLERANCE,
    least: float = 1e-3,
) -> None:
    """Same number of tensors, same shapes and dtypes, and values within the tolerance of the dtype, relative
    to the tensor's largest value or to `least`."""
    pairs = list(zip(tensors(actual), tensors(expected), strict=True))
    assert pairs, f"{note}: nothing to compare"
    for k, (a, b) in enumerate(pairs):
        assert a.shape == b.shape and a.dtype == b.dtype, f"{note}, tensor {k}: {a.shape} {b.shape}"
        if b.numel() and b.is_floating_point():
            off = (a - b).abs().max().item()
            # not "off > ...", which a NaN would pass
            assert off <= within[b.dtype] * max(b.abs().max().item(), least), f"{note}, tensor {k}: {off}"
        else:
            assert torch.equal(a, b), f"{note}, tensor {k}"


def assert_equal(actual: Any, expected: Any, note: object = "") -> None:
    """The same bits."""
    pairs = list(zip(tensors(actual), tensors(expected), strict=True))
    assert pairs, f"{note}: nothing to compare"
    assert all(torch.equal(a, b) for a, b in pairs), note


def gradients(outputs: Any, inputs: Iterable[Tensor]) -> list[Tensor]:
    """Gradients of a sum in which every value of every output has another weight."""
    total = torch.zeros((), dtype=torch.float64)
    for k, out in enumerate(tensors(outputs)):
        if out.is_floating_point():
            weights = torch.linspace(-1, 1 + k, out.numel(), dtype=out.dtype).view(out.shape)
            total = total + (weights * out).sum().double()
    return list(
        torch.autograd.grad(total, list(inputs), allow_unused=True, materialize_grads=True, retain_graph=True)
    )
