"""The short way through a layer: calls without gradients, each prepared once for its shape of input.

A stream of single steps spends its time in kernels then, not on the way to them. T steps, B sequences, I
inputs, H units, L layers, D directions.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from elman.engine import compiled
from elman.engine import torch_internals as transforms
from elman.engine.call import Call, Stack
from elman.engine.cpu import host
from elman.engine.cpu import weights as pack
from elman.engine.cpu.lookup import Lookup
from elman.engine.cpu.prepared import Prepared

# So many shapes of input are kept ready for a layer.
SHAPES: Final = 8
# Numbers of a table of inputs that are multiplied out.
TABLE: Final = 4_000_000


class _Known(NamedTuple):
    """A prepared call, and the weights that it was prepared with."""

    call: Prepared
    weights: tuple[tuple[str, Tensor, int, int], ...]  # name, tensor, version, address
    sample: Callable[[], int]
    sampled: int

    def holds(self, parameters: dict[str, Any]) -> bool:
        """Whether the layer's weights are still those, and unchanged. PyTorch doesn't count changes made
        through `.data`: a sample of the numbers tells those."""
        for name, tensor, version, address in self.weights:
            if (
                parameters.get(name) is not tensor
                or tensor._version != version
                or tensor.data_ptr() != address
            ):
                return False
        return self.sample() == self.sampled


class Calls(dict[Any, _Known | None]):
    """A layer's prepared calls by what shapes them; None where there can't be one."""

    def scan(self, layer: Any, x: Tensor, hx: Any) -> tuple[Tensor, Any] | None:
        """What the layer's `forward` returns for x (T, B, I); None if this call needs more than a kernel."""
        if x.dim() != 3 or x.stride(2) != 1:
            return None
        call = self._call(layer, x, x.shape[0], x.shape[1])
        return None if call is None else _outward(call.scan(x, hx))

    def step(self, layer: Any, x: Tensor, state: Any) -> tuple[Tensor, Any] | None:
        """What the layer's `step` returns for x (B, I); None if this call needs more than a kernel."""
        if x.dim() != 2 or x.stride(1) != 1:
            return None
        call = self._call(layer, x, 1, x.shape[0])
        return None if call is None else _outward(call.step(x, state))

    def __reduce__(self) -> Any:
        """Copies start empty: what is prepared are addresses of this process."""
        return Calls, ()

    def _call(self, layer: Any, x: Tensor, steps: int, batch: int) -> Prepared | None:
        """The prepared call for x (..., I), prepared now if it is not yet."""
        if _watched(x) or x.shape[-1] != layer.input_size:
            return None
        noise = (layer.training, layer.dropout, layer.zoneout, layer.recurrent_dropout, layer.weight_dropout)
        parameters: dict[str, Any] = layer._parameters
        key = (steps, batch, x.dtype, host.threads(), layer.engine, layer.int8, len(parameters), noise)
        known = self.get(key)
        if known is not None:
            if known.holds(parameters):
                return known.call
        elif key in self:
            return None
        while len(self) >= SHAPES:
            del self[next(iter(self))]
        self[key] = known = _prepare(layer, x, steps, batch)
        return known.call if known else None


def _watched(x: Tensor) -> bool:
    """Whether somebody looks at the operations of a call, or at more than its values."""
    return (
        torch.compiler.is_compiling()  # first: what follows can't be traced
        or torch.is_grad_enabled()
        or torch.is_autocast_enabled("cpu")
        or torch._C._len_torch_dispatch_stack() != 0
        or torch._C._get_tracing_state() is not None
        or not x.is_cpu
        or type(x) is not Tensor
        or transforms.obstacle(x) != ""
    )


def lookup(layer: Any, vectors: Tensor) -> Lookup | None:
    """A layer's single steps on these inputs (V, I), whose weights stay what they are; None if they are too
    many, or if a step needs more than a kernel."""
    stack = _plain(layer, vectors.unsqueeze(1))
    if stack is None or len(stack.weights) > 1 or stack.weights[0].gain_ih is not None:
        return None
    if len(vectors) * stack.weights[0].ih.shape[0] > TABLE:
        return None
    call = Lookup(stack, vectors)
    return call if _fits(call) else None


def _prepare(layer: Any, x: Tensor, steps: int, batch: int) -> _Known | None:
    """None for a call that draws random numbers, or that kernels can't do for other reasons."""
    stack = _plain(layer, x if x.dim() == 3 else x.unsqueeze(0))
    if stack is None:
        return None
    call = Prepared(stack, steps, batch, x.dtype)
    if not _fits(call):
        return None
    weights = [(name, p) for name, p in layer._parameters.items() if p is not None]
    sample = pack.sampler(call.plan, [p for _, p in weights])
    marked = tuple((name, p, p._version, p.data_ptr()) for name, p in weights)
    return _Known(call, marked, sample, sample())


def _plain(layer: Any, x: Tensor) -> Stack | None:
    """The layer as kernels alone can run it on x (T, B, I); None if they can't."""
    weights = [p for p in layer._parameters.values() if p is not None]
    computed = len(weights) != sum(1 for _ in layer.parameters())  # weights made of others at every call
    if layer.engine not in ("auto", "compiled") or computed or any(p.is_inference() for p in weights):
        return None
    stack: Stack = layer._stack()
    random = stack.training and (stack.dropout or stack.recurrent_dropout or stack.weight_dropout)
    return None if stack.zoneout or random or compiled.obstacle(stack, x, Call()) else stack


def _fits(call: Prepared) -> bool:
    """Otherwise states would need room for units that fill a panel."""
    return pack.padded(call.width, call.plan) == call.width


def _outward(result: tuple[Tensor, tuple[Tensor, ...]] | None) -> tuple[Tensor, Any] | None:
    """A single state stands alone, as in torch.nn."""
    if result is None:
        return None
    output, final = result
    return output, final if len(final) > 1 else final[0]
