"""Training calls of the plainest kind, prepared once for a shape: small trainings then spend their time in
kernels instead of on the way to them.

T steps, B sequences, I inputs, H units.
"""

from typing import Any

import torch
from torch import Tensor

from elman.engine import compiled, passes, plain, torch_internals
from elman.engine.call import Arguments, Spec, State, Weights, flatten


class PreparedTraining:
    """One layer in one direction on inputs of one shape: all rows take all steps, nothing is masked."""

    def __init__(self, spec: Spec, x: Tensor, weights: Weights[Tensor]) -> None:
        """`x` (T, B, I) and the weights are examples, which a kernel can read."""
        self.spec, count = spec, len(spec.cell.state)
        self.zeros = (torch.zeros(x.shape[1], spec.hidden, dtype=x.dtype, device=x.device),) * count
        arguments = Arguments(x, self.zeros, weights)
        self.slots = plain.slots(spec, arguments)
        self.trace_slots = plain.trace_slots(passes.kept_forms(spec, arguments))

    def run(self, x: Tensor, state: State, weights: Weights[Tensor]) -> tuple[Tensor, State] | None:
        """Take x (T, B, I) and a state (B, H) each to the output (T, B, H) and the final state; None if a
        kernel can't read a tensor as it is, or if no gradient is needed."""
        tensors = flatten(Arguments(x, state, weights))
        if not plain.fits(tensors, self.slots) or not _need_gradients(tensors):
            return None
        output, *final = _Scan.apply(self, *tensors)  # type: ignore[no-untyped-call]
        return output, tuple(final)


def _need_gradients(tensors: list[Any]) -> bool:
    return any(tensor is not None and tensor.requires_grad for tensor in tensors)


class _Scan(torch.autograd.Function):
    """(prepared call, *flat Arguments that fit it) → flat Result."""

    @staticmethod
    def forward(ctx: Any, training: PreparedTraining, *tensors: Any) -> tuple[Tensor, ...]:
        spec = training.spec
        result, trace = passes.run(spec, spec.arguments(tensors), keep=True)
        compiled.save(ctx, spec, tensors, trace)
        ctx.training = training
        return tuple(flatten(result))

    @staticmethod
    @torch_internals.without_autocast
    def backward(ctx: Any, *upstream: Any) -> Any:
        needed = ctx.needs_input_grad[1:]
        gradients = _of_kernel(ctx, upstream, needed)
        if gradients is None:
            gradients = compiled.gradients(ctx, upstream, needed)
        return (None, *flatten(gradients))


def _of_kernel(ctx: Any, upstream: Any, needed: Any) -> Arguments[Tensor | None] | None:
    """Return the gradients, None where the kernel alone won't do: hooks may have replaced what was saved."""
    training, spec, saved = ctx.training, ctx.spec, ctx.saved_tensors
    tensors, trace = saved[: ctx.count], saved[ctx.count :]
    if torch.is_grad_enabled() or not plain.fits(tensors, training.slots):
        return None
    if not plain.fits(trace, training.trace_slots):
        return None
    try:
        ctx.fresh.pop()  # which one of several threads can do
    except IndexError:  # an earlier backward pass has overwritten what the forward pass kept
        return None
    arguments, gradients = spec.arguments(tensors), spec.result(upstream)
    request = plain.upstream(spec, gradients, arguments.x), spec.arguments(needed)
    return passes.run_back(spec, arguments, spec.trace(trace), *request)
