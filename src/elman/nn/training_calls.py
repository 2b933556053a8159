"""Training fast path: calls with gradients whose checks are made once for each shape of input.

T steps, B sequences, I inputs, H units, L layers, D directions.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.engine.call import Spec, Stack, State
from elman.engine.cpu import host
from elman.engine.forked import Lock
from elman.engine.memory import find
from elman.engine.trained import PreparedTraining
from elman.nn.call_cache import OPTIONS, Layer, is_kernel_alone, is_watched, to_user

MAX_SHAPES: Final = 8  # prepared for a layer
_LOCK: Final = Lock()


class TrainedLayer(Layer, Protocol):
    """What is read of an `elman.nn.Recurrent`."""

    recompute: bool
    bidirectional: bool

    @property
    def all_weights(self) -> list[list[Tensor]]: ...


class TrainingCalls(dict[Any, tuple[PreparedTraining, ...] | None]):
    """A layer's prepared calls by their shapes and options; None where a kernel alone won't do."""

    def scan(self, layer: TrainedLayer, x: Any, hx: Any) -> tuple[Tensor, Any] | None:
        """Return what the layer's `forward` returns for x (T, B, I); None if a kernel alone won't do."""
        if not torch.is_grad_enabled() or is_watched(x):
            return None
        if torch.is_autocast_enabled("cpu"):
            return None
        if x.dim() != 3 or x.shape[-1] != layer.input_size:
            return None
        key = (x.shape, x.dtype, host.threads(), layer.recompute, OPTIONS(layer))
        parts = self.get(key, ())  # () for a key that isn't there
        if parts == ():
            parts = self._add(key, _prepare(layer.stack(), x))
        return to_user(_through(parts, layer, x, hx)) if parts else None

    def _add(self, key: Any, parts: tuple[PreparedTraining, ...] | None) -> Any:
        with _LOCK:
            while len(self) >= MAX_SHAPES:
                del self[next(iter(self))]
            self[key] = parts
        return parts

    def __reduce__(self) -> Any:
        """Let copies start empty: kernels are those of this process."""
        return TrainingCalls, ()


def _prepare(stack: Stack, x: Tensor) -> tuple[PreparedTraining, ...] | None:
    """Return a call for each layer and direction; None if a kernel alone won't do."""
    random = stack.training and (stack.recurrent_dropout or stack.weight_dropout)
    if stack.recompute or random or not is_kernel_alone(stack._replace(dropout=0.0), x):
        return None
    hidden, parts = stack.weights[0].weight_ih.shape[0] // len(stack.cell.gates), list[PreparedTraining]()
    for k, weights in enumerate(stack.weights):
        spec = Spec(stack.cell, hidden, reverse=k % stack.directions == 1, heads=stack.heads)
        inputs = x if k < stack.directions else x.new_empty(*x.shape[:2], stack.directions * hidden)
        parts.append(PreparedTraining(spec, inputs, weights))
    return tuple(parts)


def _through(
    parts: Sequence[PreparedTraining], layer: TrainedLayer, x: Tensor, hx: Any
) -> tuple[Tensor, State] | None:
    """Run x (T, B, I) through all layers; None if a tensor doesn't fit."""
    states, final, directions = _states(parts, x, hx), list[State](), 2 if layer.bidirectional else 1
    weights = layer.all_weights
    for first in range(0, len(parts), directions) if states else ():
        if first and layer.dropout and layer.training:
            x = F.dropout(x, layer.dropout)
        outputs = []
        for k in range(first, first + directions):
            result = parts[k].run(x, weights[k], states[k])
            if result is None:
                return None
            outputs.append(result[0])
            final.append(result[1])
        x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
    if len(final) == 1:
        return x, final[0]
    return (x, tuple([torch.cat(s) for s in zip(*final, strict=True)])) if final else None


def _states(parts: Sequence[PreparedTraining], x: Tensor, hx: Any) -> list[State]:
    """Return the initial state of each layer and direction, () for zeros; [] if it doesn't fit."""
    if hx is None:
        return [()] * len(parts)
    whole, zeros = (hx,) if isinstance(hx, Tensor) else hx, parts[0].state
    if type(whole) is not tuple or len(whole) != len(zeros):
        return []
    if not all(find(state, (len(parts), *zeros[0].shape), x.dtype) for state in whole):
        return []
    return [tuple([state[k] for state in whole]) for k in range(len(parts))]
