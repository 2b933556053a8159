"""Training fast path: calls with gradients whose checks are made once for each shape of input.

T steps, B sequences, I inputs, H units, L layers, D directions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.engine import torch_kernels
from elman.engine.call import Call, Spec, Stack, State
from elman.engine.cpu import host
from elman.engine.memory import find, find_rows
from elman.engine.recent import Recent
from elman.engine.trained import PreparedTraining
from elman.nn.call_cache import OPTIONS, Layer, for_kernels, is_watched, precision, to_user


class TrainedLayer(Layer, Protocol):
    """What is read of an `elman.nn.Recurrent`."""

    recompute: bool
    bidirectional: bool

    @property
    def all_weights(self) -> list[list[Tensor]]: ...


class PreparedLayers(NamedTuple):
    """A call of each layer and direction, and the type of the results of those that compute in float32 for
    half precision or under autocast."""

    parts: tuple[PreparedTraining, ...]
    result: torch.dtype | None = None


class TrainingCalls(Recent[PreparedLayers | None]):
    """A layer's prepared calls by their shapes and options; None where a kernel alone won't do."""

    def scan(self, layer: TrainedLayer, x: Any, hx: Any) -> tuple[Tensor, Any] | None:
        """Return what the layer's `forward` returns for x (T, B, I); None if a kernel alone won't do."""
        if not torch.is_grad_enabled() or is_watched(x):
            return None
        if x.dim() != 3 or x.shape[-1] != layer.input_size:
            return None
        weights = layer.all_weights
        # a weight may be None, or of a type that no other has: a call without preparation says so
        kinds = tuple([getattr(weight, "dtype", None) for part in weights for weight in part]), precision(x)
        key = (x.shape, kinds, host.threads(), layer.recompute, OPTIONS(layer))
        prepared = self.get(key)
        if prepared is None and key not in self:
            prepared = self.add(key, _prepare(layer.stack(), x))
        if prepared is None:
            return None
        along = _through if prepared.result is None else _through_float32
        return to_user(along(prepared, layer, weights, x, hx))


def _prepare(stack: Stack, x: Tensor) -> PreparedLayers | None:
    """Return a call for each layer and direction; None if a kernel alone won't do."""
    random = stack.training and (stack.recurrent_dropout or stack.weight_dropout)
    kernels = for_kernels(stack._replace(dropout=0.0), x)
    if stack.recompute or random or kernels is None:
        return None
    dtype, result = kernels.weights[0].weight_ih.dtype, None
    if kernels.weights is not stack.weights:
        result = torch_kernels.result_type(stack, x, Call())
    hidden, parts = stack.weights[0].weight_ih.shape[0] // len(stack.cell.gates), list[PreparedTraining]()
    for k, weights in enumerate(kernels.weights):
        reverse = k % stack.directions == 1
        spec = Spec(stack.cell, hidden, reverse, bf16=kernels.bf16, heads=stack.heads)
        width = stack.directions * hidden if k >= stack.directions else x.shape[2]
        parts.append(PreparedTraining(spec, x.new_empty(*x.shape[:2], width, dtype=dtype), weights))
    return PreparedLayers(tuple(parts), result)


def _through_float32(
    prepared: PreparedLayers, layer: TrainedLayer, weights: list[list[Tensor]], x: Tensor, hx: Any
) -> tuple[Tensor, State] | None:
    """Do the same as `_through` with a cast at either end; None if there is an initial state."""
    if hx is not None:
        return None
    # a cast would read beyond a storage that was cut
    whole = find_rows(x, x.shape, x.dtype), *[find(w, w.shape, w.dtype) for one in weights for w in one]
    if not all(whole):
        return None
    with torch.autocast("cpu", enabled=False):
        wide = [[weight.float() for weight in parameters] for parameters in weights]
        result = _through(prepared, layer, wide, x.float(), None)
        if result is None:
            return None
        return result[0].to(prepared.result), tuple([state.to(prepared.result) for state in result[1]])


def _through(
    prepared: PreparedLayers, layer: TrainedLayer, weights: list[list[Tensor]], x: Tensor, hx: Any
) -> tuple[Tensor, State] | None:
    """Run x (T, B, I) through all layers; None if a tensor doesn't fit."""
    parts, final, directions = prepared.parts, list[State](), 2 if layer.bidirectional else 1
    states = _states(parts, x, hx)
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
