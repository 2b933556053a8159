"""Inference fast path: kernel calls without gradients, prepared once for each shape of input.

A stream of single steps then spends its time in kernels instead of on the way to them. T steps, B sequences,
I inputs, H units, V rows of a table, L layers, D directions.
"""

from typing import Any, Final, NamedTuple, Protocol

import torch
from torch import Tensor

from elman.engine import compiled, torch_internals
from elman.engine.call import Call, Engine, Stack, State, flatten
from elman.engine.cpu import host
from elman.engine.cpu.lookup import Lookup
from elman.engine.cpu.prepared import Prepared
from elman.engine.cpu.weights import Snapshot, padded

MAX_SHAPES: Final = 8  # prepared for a layer
MAX_TABLE_NUMBERS: Final = 4_000_000  # of W's products with a table of inputs


class Layer(Protocol):
    """What the cache reads of an `elman.nn.Recurrent`."""

    training: bool
    input_size: int
    dropout: float
    zoneout: float
    recurrent_dropout: float
    weight_dropout: float
    engine: Engine
    int8: bool
    _parameters: dict[str, torch.nn.Parameter | None]

    def stack(self) -> Stack: ...


class CachedCall(NamedTuple):
    """A prepared call, and the weights that it was prepared with."""

    call: Prepared
    weights: Snapshot


class CallCache(dict[Any, CachedCall | None]):
    """A layer's prepared calls by their shapes and options; None where a kernel can't do the call."""

    def scan(self, layer: Layer, x: Tensor, hx: Any) -> tuple[Tensor, Any] | None:
        """Return what the layer's `forward` returns for x (T, B, I); None if a kernel alone won't do."""
        if x.dim() != 3 or x.stride(2) != 1:
            return None
        call = self._call(layer, x, x.shape[0], x.shape[1])
        return None if call is None else _to_user(call.scan(x, hx))

    def step(self, layer: Layer, x: Tensor, state: Any) -> tuple[Tensor, Any] | None:
        """Return what the layer's `step` returns for x (B, I); None if a kernel alone won't do."""
        if x.dim() != 2 or x.stride(1) != 1:
            return None
        call = self._call(layer, x, 1, x.shape[0])
        return None if call is None else _to_user(call.step(x, state))

    def __reduce__(self) -> Any:
        """Let copies start empty: prepared calls hold addresses of this process."""
        return CallCache, ()

    def _call(self, layer: Layer, x: Tensor, steps: int, batch: int) -> Prepared | None:
        if is_traced(x) or x.shape[-1] != layer.input_size:
            return None
        noise = (layer.training, layer.dropout, layer.zoneout, layer.recurrent_dropout, layer.weight_dropout)
        parameters = [p for p in layer._parameters.values() if p is not None]
        key = (steps, batch, x.dtype, host.threads(), layer.engine, layer.int8, len(parameters), noise)
        cached = self.get(key)
        if cached is not None:
            if cached.weights.holds(parameters):
                return cached.call
        elif key in self:
            return None
        while len(self) >= MAX_SHAPES:
            del self[next(iter(self))]
        self[key] = cached = _prepare(layer.stack(), parameters, x, steps, batch)
        return cached.call if cached else None


def is_traced(x: Tensor) -> bool:
    """Return whether the call is being compiled, traced, transformed or differentiated, or x is not plain."""
    return (
        torch.compiler.is_compiling()  # first: the rest can't be compiled
        or torch.is_grad_enabled()
        or torch.is_autocast_enabled("cpu")
        or torch_internals.is_dispatched()
        or torch_internals.is_jit_traced()
        or not x.is_cpu
        or type(x) is not Tensor
        or torch_internals.obstacle(x) != ""
    )


def lookup(stack: Stack, vectors: Tensor) -> Lookup | None:
    """Prepare single steps on these inputs (V, I), for weights that don't change.

    None if the table is too large, or if a kernel alone won't do.
    """
    weights = stack.weights[0]
    if len(stack.weights) > 1 or weights.gain_ih is not None or not _is_plain(stack, vectors.unsqueeze(1)):
        return None
    if len(vectors) * weights.weight_ih.shape[0] > MAX_TABLE_NUMBERS:
        return None
    call = Lookup(stack, vectors)
    return call if _fills_panels(call) else None


def _prepare(
    stack: Stack, parameters: list[torch.nn.Parameter], x: Tensor, steps: int, batch: int
) -> CachedCall | None:
    weights = [w for w in flatten(stack.weights) if w is not None]
    # a weight that is no parameter is computed at every call, as by a parametrization
    if not {*map(id, weights)} <= {*map(id, parameters)}:
        return None
    if not _is_plain(stack, x if x.dim() == 3 else x.unsqueeze(0)):
        return None
    call = Prepared(stack, steps, batch, x.dtype)
    return CachedCall(call, Snapshot(call.plan, parameters)) if _fills_panels(call) else None


def _is_plain(stack: Stack, x: Tensor) -> bool:
    """Return whether kernels alone can run the stack on x (T, B, I), without random numbers."""
    random = stack.training and (stack.dropout or stack.recurrent_dropout or stack.weight_dropout)
    if stack.engine not in ("auto", "compiled") or stack.zoneout or random:
        return False
    if any(w is not None and w.is_inference() for w in flatten(stack.weights)):  # their changes don't count
        return False
    return not compiled.is_widened(stack, x) and not compiled.obstacle(stack, x, Call())


def _fills_panels(call: Prepared) -> bool:
    """Return whether units fill whole panels; states would need more room otherwise."""
    return padded(call.width, call.plan) == call.width


def _to_user(result: tuple[Tensor, State] | None) -> tuple[Tensor, Any] | None:
    if result is None:
        return None
    output, final = result
    return output, final if len(final) > 1 else final[0]
