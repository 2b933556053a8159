"""One layer in one direction through its kernels: tensors in, outputs and gradients out.

T steps, B sequences, I inputs, H units, Hp units of whole panels, J states.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elman.engine import eager
from elman.engine.call import Call, Noise, State, Weights, taken
from elman.engine.cpu import host
from elman.engine.cpu import launch as run
from elman.engine.cpu import weight_gradients as gradient
from elman.engine.cpu import weights as pack
from elman.engine.cpu.emit.plan import Plan, plan_for
from elman.engine.cpu.launch import Options
from elman.engine.spec import HEAD, Spec, Tensors, read


def _parts(spec: Spec, given: Tensors) -> tuple[State, Weights, Options]:
    """The tensors by what they are."""
    states, units = spec.counts
    state, own, masks = given.rest[:states], given.rest[states : states + units], given.rest[states + units :]
    gains = given.gain_ih, given.gain_hh
    weights = Weights(given.ih, given.hh, given.b_ih, given.b_hh, None, own, *gains, spec.hidden)
    zoneout = spec.zoneout or masks or None
    return state, weights, Options(given.lengths, given.clear, spec.reverse, given.mask, zoneout)


def plan(spec: Spec, given: Tensors, **more: bool) -> Plan:
    """The kernel's plan for these tensors."""
    zoned = spec.zoneout is not None or len(given.rest) > sum(spec.counts)
    return plan_for(
        spec.cell,
        host.vector(given.x.dtype),
        resets=given.clear is not None,
        zoneout=zoned,
        masked=given.mask is not None,
        norm=given.gain_ih is not None,
        **more,
    )


def forward(spec: Spec, given: Tensors, keep: bool) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    """Outputs, final states and every state; and what the backward pass needs, as it takes it."""
    state, weights, options = _parts(spec, given)
    wanted = plan(spec, given, keep=keep, int8=spec.int8 and not keep)
    packed = pack.pack(wanted, weights) if keep else pack.remembered(wanted, weights)
    trace = run.forward(wanted, given.x, state, packed, spec.hidden, options, spec.every)
    hidden = spec.hidden
    ends = [_end(i, _real(buffer, hidden), options) for i, buffer in zip(state, trace.states, strict=True)]
    every = [_slots(buffer, hidden, options) for buffer in trace.states] if spec.every else []
    output = _slots(trace.states[0], hidden, options).contiguous()
    if spec.every and options.lengths is not None:
        every = [_held(e, f, i, options) for e, f, i in zip(every, ends, state, strict=True)]
    return (output, *ends, *every), (*trace[1:], *trace.states)


def _real(buffer: Tensor, hidden: int) -> Tensor:
    """Without the units that fill the last panel."""
    return buffer if buffer.shape[-1] == hidden else buffer[..., :hidden]


def _slots(buffer: Tensor, hidden: int, options: Options) -> Tensor:
    """A state after each step (T, B, H), 0 where none is taken."""
    values = _real(buffer[:-1] if options.reverse else buffer[1:], hidden)
    if options.reverse and options.lengths is not None:
        # the initial state stands in the slot behind a row's end, which is no output
        steps = values.shape[0]
        rows = (options.lengths < steps).nonzero().squeeze(1)
        values = values.clone()
        values[options.lengths[rows], rows] = 0.0
    return values


def _end(initial: Tensor, values: Tensor, options: Options) -> Tensor:
    """The state after a row's last step, which is its initial state if it has none."""
    if values.shape[0] == 1:
        return values[0].clone()
    if options.lengths is None:
        return values[0 if options.reverse else -1].clone()
    if options.reverse:
        return torch.where((options.lengths == 0).unsqueeze(1), initial, values[0])
    return values[options.lengths, torch.arange(len(initial))]


def _held(every: Tensor, end: Tensor, initial: Tensor, options: Options) -> Tensor:
    """Beyond a row's steps every state is the one that it came to, or has yet to leave."""
    assert options.lengths is not None
    active = taken(options.lengths, every.shape[0])
    return torch.where(active.unsqueeze(2), every, initial if options.reverse else end)


def backward(
    spec: Spec, given: Tensors, saved: Sequence[Any], gradients: Sequence[Any], needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of all tensors given, None where there is none."""
    state, weights, options = _parts(spec, given)
    wanted = plan(spec, given, backward=True, every=spec.every)
    states = len(state)
    trace = run.Trace(tuple(saved[4:]), *saved[:4])
    up, final, every = gradients[0], list(gradients[1 : 1 + states]), gradients[1 + states :]
    if up is None:
        up = pack.zeros(spec.hidden, given.x.dtype).expand(*given.x.shape[:2], spec.hidden)
    unseen: list[Tensor | None] = [None] * states
    if spec.every:
        every, final, unseen = _upstream(every, final, wanted, given.x, spec.hidden, options)
    found = run.backward(wanted, given.x, trace, weights, options, up, final, every)
    products = gradient.Products(wanted, given.x, trace, found, weights, options)
    x, ih, hh, b_ih, b_hh, gain_ih, gain_hh = needed[3:HEAD]
    own: list[Tensor | None] = [None, None, None]
    own.append(products.inputs() if x else None)
    own += [products.ih() if ih else None, products.hh() if hh else None]
    own += [products.b_ih() if b_ih else None, products.b_hh() if b_hh else None]
    own += [products.gain("x") if gain_ih else None, products.gain("u") if gain_hh else None]
    initial = products.states(any(needed[HEAD : HEAD + states]))
    initial = [a if b is None or a is None else a + b for a, b in zip(initial, unseen, strict=True)]
    rest = [*initial, *products.units()]
    return own + rest + [None] * (len(given.rest) - len(rest))


def _upstream(
    every: Sequence[Tensor | None],
    final: Sequence[Tensor | None],
    wanted: Plan,
    x: Tensor,
    hidden: int,
    options: Options,
) -> tuple[list[Tensor], list[Tensor | None], list[Tensor | None]]:
    """Gradients of every state as the kernel reads them, (T, B, Hp). Where no step is taken they are the
    final state's, or, going backwards, the initial one's."""
    steps, batch = x.shape[:2]
    hp, none = pack.padded(hidden, wanted), x.new_zeros(steps, batch, hidden)
    own = [none if g is None else g for g in every]
    ups = [pack.filled(g, hp, 2).contiguous() for g in own]
    if options.lengths is None:
        return ups, list(final), [None] * len(own)
    idle = ~taken(options.lengths, steps).unsqueeze(2)
    held: list[Tensor | None] = [torch.where(idle, g, 0.0).sum(0) for g in own]
    if options.reverse:
        return ups, list(final), held
    ends = [h if f is None or h is None else f + h for f, h in zip(final, held, strict=True)]
    return ups, ends, [None] * len(own)


def differentiable(
    spec: Spec, tensors: Sequence[Any], gradients: Sequence[Any], needed: Sequence[bool]
) -> list[Tensor | None]:
    """The same gradients by the eager engine, which PyTorch can differentiate again."""
    given = read(tensors)
    state, weights, options = _parts(spec, given)
    with torch.enable_grad():
        noise = Noise(options.mask, options.zoneout)
        call = Call(options.lengths, every_state=spec.every)
        result = eager.scan(spec.cell, given.x, state, weights, call, noise, options.reverse, options.clear)
        outputs = [result.output, *result.state, *(result.every or ())]
        wanted = [t for t, n in zip(tensors, needed, strict=True) if n]
        pairs = [(o, g) for o, g in zip(outputs, gradients, strict=True) if g is not None]
        found = iter(
            torch.autograd.grad(
                [o for o, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, allow_unused=True
            )
        )
    return [next(found) if n else None for n in needed]
