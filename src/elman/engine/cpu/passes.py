"""The kernels of this processor: the face of this folder to `elman.engine.passes`.

T steps, B sequences, Hp units of whole panels.
"""

import functools
from typing import Any

import torch
from torch import Tensor

from elman.engine.call import Arguments, Form, Gradients, Result, Spec, Stack, Trace, Weights
from elman.engine.cpu import host, launch, weights
from elman.engine.cpu.emit.plan import Packing, Plan, plan_for
from elman.engine.cpu.trained import TrainedPasses
from elman.engine.plan import options_of, trace_forms
from elman.engine.slots import pad_units


def _plan(spec: Spec, arguments: Arguments[Tensor], packing: Packing = "float", **more: Any) -> Plan:
    vector = host.vector(arguments.x.dtype)
    more |= {"packing": packing, "heads": weights.heads_of(spec.heads, spec.hidden, vector, packing)}
    return plan_for(spec.cell, vector, **options_of(spec, arguments), **more)


def kernel_heads(stack: Stack, x: Tensor, dtype: torch.dtype) -> int:
    """Return how many heads the kernel for x multiplies one by one, 1 if it takes them as a dense matrix."""
    packing = host.packing(dtype, stack.int8 and not torch.is_grad_enabled(), stack.bf16)
    hidden = weights.hidden_size(stack.cell, stack.weights[0])
    return weights.heads_of(stack.heads, hidden, host.vector(dtype), packing)


def forward(spec: Spec, arguments: Arguments[Tensor], keep: bool) -> Trace:
    """Run the forward kernel on tensors that it can read; with `keep` for a backward pass."""
    packing = host.packing(arguments.x.dtype, spec.int8 and not keep, spec.bf16)
    plan = _plan(spec, arguments, keep=keep, packing=packing)
    packed = (weights.pack if keep else weights.remembered)(plan, arguments.weights, spec.heads)
    return launch.forward(plan, spec, arguments, packed)


def kept_forms(spec: Spec, arguments: Arguments[Tensor]) -> Any:
    """Return a Trace of what `forward` keeps, as Forms, None for what it doesn't keep."""
    kernel = _plan(spec, arguments, keep=True)
    return trace_forms(kernel, spec, arguments.x, weights.padded(spec.hidden, kernel))


def backward(
    spec: Spec, arguments: Arguments[Tensor], trace: Trace, upstream: Result[Any], noted: bool
) -> tuple[Plan, Gradients]:
    """Run the backward kernel on the gradients of the output, the final state and, with `every_state`, every
    state, where it notes what reaches them by all ways if `noted`."""
    packing = host.packing(arguments.x.dtype, bf16=spec.bf16)
    plan = _plan(spec, arguments, backward=True, every=spec.every_state, noted=noted, packing=packing)
    x, hp = arguments.x, weights.padded(spec.hidden, plan)
    output = upstream.output
    if output is None:
        output = weights.zeros(spec.hidden, x.dtype).expand(*x.shape[:2], spec.hidden)
    every = tuple(pad_units(g, hp, 2).contiguous() for g in upstream.every)
    request = Result(output, upstream.state, every if spec.every_state else ())
    gradients = launch.backward(plan, spec, arguments, trace, request)
    return plan, gradients._replace(noted=every if noted else ())


def trained(spec: Spec, arguments: Arguments[Any]) -> TrainedPasses | None:
    """Return both passes as native routines, None if units, or those of a head, do not fill whole panels, or
    if anything is masked, normalised or rounded."""
    x, w, packing = arguments.x, arguments.weights, host.packing(arguments.x.dtype, bf16=spec.bf16)
    masked = any(options_of(spec, arguments).values()) or arguments.lengths is not None
    if masked or spec.every_state or packing != "float":
        return None
    plan = _plan(spec, arguments, keep=True, packing=packing)
    if weights.padded(spec.hidden, plan) != spec.hidden or plan.heads != spec.heads:
        return None
    back = _plan(spec, arguments, backward=True, every=False, noted=False, packing=packing)
    present = [name for name in Weights._fields if isinstance(getattr(w, name), Tensor)]
    weight_names = *present, *[f"w.{name}" for name in spec.cell.weights]
    simple = Spec(spec.cell, spec.hidden, spec.reverse, heads=spec.heads)
    return _trained(simple, plan, back, Form(tuple(x.shape), x.dtype), weight_names, host.threads())


@functools.lru_cache(256)
def _trained(
    spec: Spec, plan: Plan, back: Plan, x: Form, weight_names: tuple[str, ...], threads: int
) -> TrainedPasses:
    return TrainedPasses(spec, plan, back, x, weight_names, threads)
