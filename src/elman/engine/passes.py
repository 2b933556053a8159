"""One layer in one direction through its kernels, on whatever device its input is.

T steps, B sequences, I inputs, H units, Hp units as the device's kernels pad them, J states.
"""

from typing import Any

import torch
from torch import Tensor

from elman.engine import plain
from elman.engine.call import Arguments, Form, Result, Spec, Stack, State, Trace, Weights, taken
from elman.engine.cpu import passes as cpu
from elman.engine.cpu.trained import TrainedPasses
from elman.engine.gpu import passes as gpu
from elman.engine.weight_gradients import WeightGradients

Gradients = tuple[Tensor | None, ...]


def forward(spec: Spec, arguments: Arguments[Tensor], keep: bool) -> tuple[Result[Tensor], Trace]:
    """Run the forward kernel; with `keep` the Trace holds what the backward pass needs.

    Raises UsageError for a tensor that a kernel can't read.
    """
    return run(spec, plain.arguments(spec, arguments), keep)


def run(spec: Spec, arguments: Arguments[Tensor], keep: bool) -> tuple[Result[Tensor], Trace]:
    """Do the same with tensors that were looked at: a kernel reads them as they are."""
    native = trained(spec, arguments) if keep else None
    if native is not None:
        return native.result(arguments)
    trace = _target(arguments.x).forward(spec, arguments, keep)
    lengths, reverse = arguments.lengths, spec.reverse
    states = [_real(buffer, spec.hidden) for buffer in trace.states]
    final = tuple(_end(i, s, lengths, reverse) for i, s in zip(arguments.state, states, strict=True))
    output = _slots(states[0], lengths, reverse).contiguous()
    every: State = ()
    if spec.every_state:
        every = tuple(_slots(s, lengths, reverse).to(arguments.x.dtype) for s in states)
        if lengths is not None:
            rest = arguments.state if reverse else final
            active = taken(lengths, output.shape[0]).unsqueeze(2)
            every = tuple(torch.where(active, e, r) for e, r in zip(every, rest, strict=True))
    return Result(output, final, every), trace


def empty_trace(spec: Spec, arguments: Arguments[Tensor]) -> Trace:
    """Return a Trace like that of `forward`, without its numbers."""
    forms = kept_forms(spec, arguments)

    def empty(form: Form | None) -> Any:
        return None if form is None else arguments.x.new_empty(form.shape, dtype=form.dtype)

    return Trace(tuple(empty(form) for form in forms.states), *[empty(form) for form in forms[1:]])


def kept_forms(spec: Spec, arguments: Arguments[Tensor]) -> Any:
    """Return a Trace of what `forward` keeps for the backward pass, as Forms, None for what it doesn't."""
    return _target(arguments.x).kept_forms(spec, arguments)


def trained(spec: Spec, arguments: Arguments[Any]) -> TrainedPasses | None:
    """Return both passes as routines of the CPU, None where these don't do."""
    return None if arguments.x.is_cuda else cpu.trained(spec, arguments)


def kernel_heads(stack: Stack, x: Tensor, dtype: torch.dtype) -> int:
    """Return how many heads the kernel for x multiplies one by one, 1 if it takes them as a dense matrix."""
    heads: int = _target(x).kernel_heads(stack, x, dtype)
    return heads


def _target(x: Tensor) -> Any:
    """Return the module with the kernels of a tensor's device."""
    return gpu if x.is_cuda else cpu


def _real(buffer: Tensor, hidden: int) -> Tensor:
    """Cut off the units that only fill the last panel."""
    return buffer if buffer.shape[-1] == hidden else buffer[..., :hidden]


def _slots(values: Tensor, lengths: Tensor | None, reverse: bool) -> Tensor:
    """Return the state after each step (T, B, H) from slots (T + 1, B, H), 0 where no step is taken."""
    values = values[:-1] if reverse else values[1:]
    # going backwards, the slot after a row's end holds its initial state, which is no output
    return _where_taken(values, lengths) if reverse else values


def _end(initial: Tensor, values: Tensor, lengths: Tensor | None, reverse: bool) -> Tensor:
    """Return the state after a row's last step, which is its initial state if it has none."""
    if values.shape[0] == 1:
        return values[0].to(initial.dtype, copy=True)
    if lengths is None:
        return values[0 if reverse else -1].to(initial.dtype, copy=True)
    if reverse:
        return torch.where((lengths == 0).unsqueeze(1), initial, values[0].to(initial.dtype))
    return values[lengths, torch.arange(len(initial), device=lengths.device)].to(initial.dtype)


def backward(
    spec: Spec,
    arguments: Arguments[Tensor],
    trace: Trace,
    upstream: Result[Tensor | None],
    needed: Arguments[bool],
    spare: bool = False,
    noted: list[Tensor] | None = None,
) -> Arguments[Tensor | None]:
    """Run the backward kernel on the gradients of the result; it overwrites `trace.kept`, or spares it.

    Returns the gradients of the arguments, None where none is needed or exists; with `every_state`, `noted`
    receives those of every state after every step, (T, B, H) each, by all ways. Raises UsageError for what
    a kernel can't read: hooks may replace what was saved for this pass.
    """
    arguments = plain.arguments(spec, arguments)
    x = arguments.x
    trace = plain.trace(spec, trace, kept_forms(spec, arguments), plain.kernel_device(x))
    if spare and trace.kept is not None:
        trace = trace._replace(kept=trace.kept.clone())
    return run_back(spec, arguments, trace, plain.upstream(spec, upstream, x), needed, noted)


def run_back(
    spec: Spec,
    arguments: Arguments[Tensor],
    trace: Trace,
    upstream: Result[Any],
    needed: Arguments[bool],
    noted: list[Tensor] | None = None,
) -> Arguments[Tensor | None]:
    """Do the same with tensors that were looked at: a kernel reads them as they are."""
    target, x = _target(arguments.x), arguments.x
    native = None if upstream.output is None else trained(spec, arguments)
    if native is not None:
        return native.gradients(arguments, trace, upstream, needed)
    output, final, every = upstream[:3]
    idle: Gradients = ()
    if spec.every_state:
        zero = x.new_zeros(*x.shape[:2], spec.hidden)
        if noted is None:
            every = tuple(zero if g is None else g for g in every)
        else:  # the kernel writes there
            every = tuple(zero.clone() if g is None else g.clone() for g in every)
        idle = _idle(every, arguments.lengths)
    if not spec.reverse:
        final, idle = _sum(final, idle), ()
    plan, kernel = target.backward(spec, arguments, trace, Result(output, final, every), noted is not None)
    if noted is not None:
        noted += [_where_taken(_real(g, spec.hidden), arguments.lengths) for g in kernel.noted]
    products = WeightGradients(plan, spec, arguments, trace, kernel)
    return Arguments(
        x=products.x() if needed.x else None,
        state=_sum(products.state(), idle) if any(needed.state) else (None,) * len(final),
        weights=_of_weights(products, needed.weights),
        zoneout=(None,) * len(arguments.zoneout),
    )


def _of_weights(products: WeightGradients, needed: Weights[bool]) -> Weights[Tensor | None]:
    return Weights(
        weight_ih=products.weight_ih() if needed.weight_ih else None,
        weight_hh=products.weight_hh() if needed.weight_hh else None,
        bias_ih=products.bias_ih() if needed.bias_ih else None,
        bias_hh=products.bias_hh() if needed.bias_hh else None,
        gain_ih=products.gain("x") if needed.gain_ih else None,
        gain_hh=products.gain("u") if needed.gain_hh else None,
        units=products.units(),
    )


def _where_taken(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Return values (T, B, H) with 0 for the steps that a row does not take."""
    return values if lengths is None else torch.where(taken(lengths, len(values)).unsqueeze(2), values, 0.0)


def _idle(every: State, lengths: Tensor | None) -> Gradients:
    """Sum the gradients of every state over the steps that a row does not take.

    There a state is the final one, or, going backwards, the initial one.
    """
    if lengths is None:
        return ()
    idle = ~taken(lengths, every[0].shape[0]).unsqueeze(2)
    return tuple(torch.where(idle, g, 0.0).sum(0) for g in every)


def _sum(gradients: Gradients, more: Gradients) -> Gradients:
    """Add gradients of states; None and () stand for zeros."""
    pairs = zip(gradients, more or (None,) * len(gradients), strict=True)
    return tuple(b if a is None else a if b is None else a + b for a, b in pairs)
