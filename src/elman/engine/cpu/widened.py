"""Weights in half precision as the float32 numbers that kernels read, once while they are unchanged."""

from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from elman.engine import torch_internals
from elman.engine.call import Weights, flatten, unflatten
from elman.engine.cpu import host
from elman.engine.cpu.weights import Snapshot, is_countable

Layers = tuple[Weights[Tensor], ...]
# By the first matrix of a stack.
_WIDENED: Final[Any] = WeakIdKeyDictionary()


def widened(weights: Layers) -> Layers:
    """Return weights as float32, in the same memory as in the last call without gradients if they are
    unchanged since."""
    tensors = [t for t in flatten(weights) if t is not None]
    first, count = weights[0].weight_ih, len(flatten(weights))
    if not _can_be_remembered(tensors, first.dtype):
        return _cast(weights)
    entry = _WIDENED.get(first)
    if entry is None or entry[0] != count or not entry[1].holds(tensors, whole=True):
        entry = _WIDENED[first] = (count, Snapshot(host.vector(torch.float32), tensors), _cast(weights))
    layers: Layers = entry[2]
    return layers


def _can_be_remembered(tensors: list[Tensor], kind: torch.dtype) -> bool:
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or torch_internals.is_dispatched():
        return False
    return kind.itemsize == 2 and is_countable(tensors, kind)


def _cast(weights: Layers) -> Layers:
    return unflatten(weights, [None if t is None else t.float() for t in flatten(weights)])
