"""One layer in one direction through its kernels: the face of this folder to the engine.

T steps, B sequences, I inputs, H units, Hp units of whole panels, J states.
"""

from typing import Any

import torch
from torch import Tensor

from elman.engine.call import Arguments, Result, Spec, State, Trace, Weights, taken
from elman.engine.cpu import host, launch, plain, weights
from elman.engine.cpu.emit.plan import Plan, plan_for
from elman.engine.cpu.weight_gradients import WeightGradients

Gradients = tuple[Tensor | None, ...]


def _plan(spec: Spec, arguments: Arguments[Tensor], **more: bool) -> Plan:
    return plan_for(
        spec.cell,
        host.vector(arguments.x.dtype),
        resets=arguments.clear is not None,
        zoneout=bool(spec.shares or arguments.zoneout),
        masked=arguments.mask is not None,
        norm=arguments.weights.gain_ih is not None,
        **more,
    )


def forward(spec: Spec, arguments: Arguments[Tensor], keep: bool) -> tuple[Result[Tensor], Trace]:
    """Run the forward kernel; with `keep` the Trace holds what the backward pass needs.

    Raises UsageError for a tensor that a kernel can't read.
    """
    arguments = plain.arguments(spec, arguments)
    plan = _plan(spec, arguments, keep=keep, int8=spec.int8 and not keep)
    packed = (weights.pack if keep else weights.remembered)(plan, arguments.weights)
    trace = launch.forward(plan, spec, arguments, packed)
    lengths, reverse = arguments.lengths, spec.reverse
    states = [_real(buffer, spec.hidden) for buffer in trace.states]
    final = tuple(_end(i, s, lengths, reverse) for i, s in zip(arguments.state, states, strict=True))
    output = _slots(states[0], lengths, reverse).contiguous()
    every: State = ()
    if spec.every_state:
        every = tuple(_slots(s, lengths, reverse) for s in states)
        if lengths is not None:
            rest = arguments.state if reverse else final
            active = taken(lengths, output.shape[0]).unsqueeze(2)
            every = tuple(torch.where(active, e, r) for e, r in zip(every, rest, strict=True))
    return Result(output, final, every), trace


def empty_trace(spec: Spec, arguments: Arguments[Tensor]) -> Trace:
    """Return a Trace of the shapes that `forward` keeps, without its numbers."""
    shapes = _kept_shapes(spec, _plan(spec, arguments, keep=True), arguments.x)
    empty = (None if shape is None else arguments.x.new_empty(shape) for shape in shapes[1:])
    return Trace(tuple(arguments.x.new_empty(shape) for shape in shapes.states), *empty)


def _kept_shapes(spec: Spec, plan: Plan, x: Tensor) -> Any:
    """Return a Trace of the shapes that `forward` keeps, None for what it doesn't."""
    steps, batch = x.shape[:2]
    hp, states = weights.padded(spec.hidden, plan), len(spec.cell.state)
    per_step = (1, 1) if spec.shares else (steps, batch)
    shapes: Any = Trace  # of tuples instead of tensors
    return shapes(
        states=((steps + 1, batch, hp),) * states,
        kept=(steps, batch, plan.places, hp),
        units=(len(spec.cell.weights), hp) if spec.cell.weights else None,
        zoneout=(states, *per_step, hp) if plan.zoneout else None,
        mask=(batch, hp) if plan.masked else None,
    )


def _real(buffer: Tensor, hidden: int) -> Tensor:
    """Cut off the units that only fill the last panel."""
    return buffer if buffer.shape[-1] == hidden else buffer[..., :hidden]


def _slots(values: Tensor, lengths: Tensor | None, reverse: bool) -> Tensor:
    """Return the state after each step (T, B, H) from slots (T + 1, B, H), 0 where no step is taken."""
    values = values[:-1] if reverse else values[1:]
    if reverse and lengths is not None:
        # the slot after a row's end holds its initial state, which is no output
        rows = (lengths < values.shape[0]).nonzero().squeeze(1)
        values = values.clone()
        values[lengths[rows], rows] = 0.0
    return values


def _end(initial: Tensor, values: Tensor, lengths: Tensor | None, reverse: bool) -> Tensor:
    """Return the state after a row's last step, which is its initial state if it has none."""
    if values.shape[0] == 1:
        return values[0].clone()
    if lengths is None:
        return values[0 if reverse else -1].clone()
    if reverse:
        return torch.where((lengths == 0).unsqueeze(1), initial, values[0])
    return values[lengths, torch.arange(len(initial), device=lengths.device)]


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
    plan = _plan(spec, arguments, backward=True, every=spec.every_state, noted=noted is not None)
    x = arguments.x
    trace = plain.trace(spec, trace, _kept_shapes(spec, plan, x), x.dtype)
    if spare and trace.kept is not None:
        trace = trace._replace(kept=trace.kept.clone())
    upstream = plain.upstream(spec, upstream, x)
    output, final, every = upstream.output, upstream.state, upstream.every
    if output is None:
        output = weights.zeros(spec.hidden, x.dtype).expand(*x.shape[:2], spec.hidden)
    idle: Gradients = ()
    if spec.every_state:
        shape = (*x.shape[:2], spec.hidden)
        if noted is None:
            zero = x.new_zeros(shape)
            each = tuple(zero if g is None else g for g in every)
        else:  # the kernel writes there
            each = tuple(x.new_zeros(shape) if g is None else g.clone() for g in every)
        padded = [weights.pad_units(g, weights.padded(spec.hidden, plan), 2).contiguous() for g in each]
        every = tuple(padded)
        idle = _idle(each, arguments.lengths)
    if not spec.reverse:
        final, idle = _sum(final, idle), ()
    kernel = launch.backward(plan, spec, arguments, trace, Result(output, final, every))
    if noted is not None:
        noted += [_where_taken(_real(g, spec.hidden), arguments.lengths) for g in padded]
    products = WeightGradients(plan, spec, arguments, trace, kernel)
    needed_weights = needed.weights
    return Arguments(
        x=products.x() if needed.x else None,
        state=_sum(products.state(), idle) if any(needed.state) else (None,) * len(final),
        weights=Weights(
            weight_ih=products.weight_ih() if needed_weights.weight_ih else None,
            weight_hh=products.weight_hh() if needed_weights.weight_hh else None,
            bias_ih=products.bias_ih() if needed_weights.bias_ih else None,
            bias_hh=products.bias_hh() if needed_weights.bias_hh else None,
            gain_ih=products.gain("x") if needed_weights.gain_ih else None,
            gain_hh=products.gain("u") if needed_weights.gain_hh else None,
            units=products.units(),
        ),
        zoneout=(None,) * len(arguments.zoneout),
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
