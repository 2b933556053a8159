"""Inference fast path: kernel calls without gradients, prepared once for each shape of input.

A stream of single steps then spends its time in kernels instead of on the way to them. T steps, B sequences,
I inputs, H units, V rows of a table, L layers, D directions.
"""

import operator
from typing import Any, Final, NamedTuple, Protocol

import torch
from torch import Tensor

from elman.engine import compiled, torch_internals, torch_kernels
from elman.engine.call import Call, Engine, Stack, State, flatten
from elman.engine.cpu import host
from elman.engine.cpu.casts import MIXED, CastPrepared, Types
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.lookup import sums
from elman.engine.cpu.prepared import Prepared
from elman.engine.cpu.weights import Snapshot, is_countable
from elman.engine.cpu.widened import widened
from elman.engine.recent import Recent
from elman.engine.record import is_recording
from elman.errors import UsageError
from elman.nn.arguments import Sizes

# What a prepared call depends on beside the weights and the shape of its input.
OPTIONS: Final = operator.attrgetter(
    *("training", "dropout", "zoneout", "recurrent_dropout", "weight_dropout", "engine", "int8"),
    *("cell", "hidden_size", "num_layers", "bidirectional", "proj_size", "bias", "layer_norm", "heads"),
)
MAX_TABLE_NUMBERS: Final = 4_000_000  # of W's products with a table of inputs


class Layer(Sizes, Protocol):
    """What the cache reads of an `elman.nn.Recurrent`."""

    training: bool
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


class CallCache(Recent[CachedCall | None]):
    """A layer's prepared calls by their shapes and options; None where a kernel can't do the call."""

    def scan(self, layer: Layer, x: Tensor, hx: Any) -> tuple[Tensor, Any] | None:
        """Return what the layer's `forward` returns for x (T, B, I); None if a kernel alone won't do.

        Every change of a weight is noticed.
        """
        if is_traced(x) or x.dim() != 3:
            return None
        call = self._call(layer, x, x.shape[0], x.shape[1], whole=True)
        return None if call is None else to_user(call.scan(x, hx))

    def step(self, layer: Layer, x: Tensor, state: Any) -> tuple[Tensor, Any] | None:
        """Return what the layer's `step` returns for x (B, I); None if a kernel alone won't do.

        Changes of a weight are noticed if PyTorch counts them, or if they change most numbers.
        """
        if not isinstance(x, Tensor):
            raise UsageError(f"step takes a tensor (B, I) or (I), not {type(x).__name__}")
        if is_traced(x) or x.dim() != 2:
            return None
        call = self._call(layer, x, 1, x.shape[0], whole=False)
        return None if call is None else to_user(call.step(x, state))

    def advance(self, layer: Layer, x: Tensor, state: Any) -> Any:
        """Return the next state of a layer that is one step, for x (B, I); None if a kernel alone won't do.

        Every change of a weight is noticed.
        """
        if is_traced(x) or x.dim() != 2:
            return None
        if x.dtype in compiled.HALVES or torch.is_autocast_enabled("cpu"):
            return None  # these are PyTorch's, whose last bits may differ
        call = self._call(layer, x, 1, x.shape[0], whole=True)
        new = None if call is None else call.advance(x, state)
        return new if new is None or len(new) > 1 else new[0]

    def _call(self, layer: Layer, x: Tensor, steps: int, batch: int, whole: bool) -> Prepared | None:
        if x.shape[-1] != layer.input_size:
            return None
        parameters = [p for p in layer._parameters.values() if p is not None]
        if not parameters:
            return None
        kinds = parameters[0].dtype, *precision(x)
        key = (steps, batch, kinds, host.threads(), len(parameters), OPTIONS(layer))
        cached = self.get(key)
        if cached is not None:
            if cached.weights.holds(parameters, whole):
                return cached.call
            self.clear()  # the others hold the old weights, too
        elif key in self:
            return None
        if not is_countable(parameters, parameters[0].dtype):
            return None
        cached = _prepare(layer.stack(), parameters, x, steps, batch)
        self.add(key, cached)
        return cached.call if cached else None


def is_traced(x: Tensor) -> bool:
    """Return whether the call is traced, transformed, differentiated, recorded, or x not plain."""
    return torch.is_grad_enabled() or is_watched(x)


def is_watched(x: Any) -> bool:
    """Return whether the call is traced, transformed or recorded, or x not plain."""
    return (
        torch_internals.is_dispatched()
        or torch_internals.is_jit_traced()
        or type(x) is not Tensor
        or not x.is_cpu
        or torch_internals.is_transformed()
        or is_recording()
    )


def precision(x: Tensor) -> tuple[torch.dtype, torch.dtype | None]:
    """Return the type of x and that of autocast, None if it is off: they decide what is computed how."""
    return x.dtype, torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None


def lookup(stack: Stack, vectors: Tensor) -> Tensor | None:
    """Return the table with which a `Lookup` takes single steps on these inputs (V, I).

    None if it is too large, or if a kernel alone won't do.
    """
    plain = stack.directions == 1 and stack.weights[0].gain_ih is None
    if not plain or not is_kernel_alone(stack, vectors.unsqueeze(1)):
        return None
    if len(vectors) * stack.weights[0].weight_ih.shape[0] > MAX_TABLE_NUMBERS:
        return None
    return sums(stack, vectors)


def _prepare(
    stack: Stack, parameters: list[torch.nn.Parameter], x: Tensor, steps: int, batch: int
) -> CachedCall | None:
    tensors = [w for w in flatten(stack.weights) if w is not None]
    # a weight that is no parameter is computed at every call, as by a parametrization
    if not {*map(id, tensors)} <= {*map(id, parameters)}:
        return None
    x = x if x.dim() == 3 else x.unsqueeze(0)
    if not _runs_alone(stack, x):
        return None
    weights = Snapshot(_vector(parameters), parameters)  # first: another thread may change them meanwhile
    call = _of_types(stack, x, steps, batch)
    return CachedCall(call, weights) if call.fills_panels else None


def _of_types(stack: Stack, x: Tensor, steps: int, batch: int) -> Prepared:
    dtype = compiled.working_type(stack, x)
    if dtype is None:
        return Prepared(stack, steps, batch, x.dtype)
    wide, result = _in_float32(stack, x), torch_kernels.result_type(stack, x, Call())
    if x.dtype is result is dtype:
        return Prepared(wide, steps, batch, dtype)
    states = MIXED if torch.is_autocast_enabled("cpu") else (x.dtype,)
    return CastPrepared(wide, steps, batch, Types(x.dtype, states, result))


def _vector(parameters: list[torch.nn.Parameter]) -> Vector:
    """Return the vectors in which a Snapshot reads such numbers: those of half precision in pairs."""
    double = parameters[0].dtype == torch.float64
    return host.vector(torch.float64 if double else torch.float32)


def for_kernels(stack: Stack, x: Tensor) -> Stack | None:
    """Return the stack as the CPU's kernels alone can run it on x (T, B, I), without random numbers: in half
    precision and under autocast with weights in float32. None if they can't."""
    return _in_float32(stack, x) if _runs_alone(stack, x) else None


def is_kernel_alone(stack: Stack, x: Tensor) -> bool:
    """Return whether the CPU's kernels alone can run the stack as it is on x (T, B, I)."""
    return _runs_alone(stack, x) and compiled.working_type(stack, x) is None


def _runs_alone(stack: Stack, x: Tensor) -> bool:
    random = stack.training and (stack.dropout or stack.recurrent_dropout or stack.weight_dropout)
    if stack.engine not in ("auto", "compiled") or stack.zoneout or random:
        return False
    return x.device.type == "cpu" and not compiled.obstacle(stack, x, Call())


def _in_float32(stack: Stack, x: Tensor) -> Stack:
    if compiled.working_type(stack, x) is None:
        return stack
    return stack._replace(weights=widened(stack.weights), bf16=compiled.is_in_bf16(x))


def to_user(result: tuple[Tensor, State] | None) -> tuple[Tensor, Any] | None:
    if result is None:
        return None
    output, final = result
    return output, final if len(final) > 1 else final[0]
