"""The compiled engine: the equations fused into one kernel over the whole sequence, forward and backward.

T steps, B sequences, I inputs, H units, Hp units of whole panels, G gates, S slots, J states.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from elman.cells import Cell
from elman.engine import eager, operator, transforms
from elman.engine.call import Call, Noise, Result, Stack, State, Weights
from elman.engine.cpu import gradient, host, pack, prepared, run
from elman.engine.cpu.plan import Plan, plan_for
from elman.engine.cpu.run import Options
from elman.engine.spec import Spec, Tensors, read


def obstacle(stack: Stack, x: Tensor, call: Call) -> str:
    """Why no kernel can be compiled for this call; "" if one can."""
    weights = stack.weights[0]
    reasons = (
        (x.device.type != "cpu", f"kernels are compiled for the CPU, not for {x.device.type}"),
        (x.dtype not in (torch.float32, torch.float64), f"kernels are float32 or float64, not {x.dtype}"),
        (weights.ih.dtype != x.dtype, "kernels don't mix precisions"),
        (0 in x.shape[:2], "there is nothing to compute"),
        (weights.gain_ih is not None, "kernels have no layer normalisation"),
        (weights.hr is not None, "kernels have no projection"),
        (torch.is_autocast_enabled("cpu"), "autocast chooses its own precision"),
    )
    found = next((reason for holds, reason in reasons if holds), "")
    if found or torch.compiler.is_compiling():
        return found or _of_this_machine()
    if torch._C._get_tracing_state() is not None:
        return "torch.jit.trace records PyTorch's own operations"
    return _of_this_machine() or transforms.obstacle(x)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _of_this_machine() -> str:
    target = host.host()
    return target if isinstance(target, str) else ""


def ready(
    layer: nn.Module,
    calls: prepared.Calls,
    x: Tensor,
    steps: int,
    batch: int,
    options: tuple[Any, ...],
    stack: Callable[[], Stack],
) -> prepared.Prepared | None:
    """The prepared call of a layer for plain inputs x (T, B, I) or (B, I) without gradients, if there is one.

    `options` are what the stack depends on beside its weights.
    """
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return None
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state() is not None:
        return None
    if type(x) is not Tensor or x.device.type != "cpu" or not (steps and batch) or x.stride(-1) != 1:
        return None
    if transforms.obstacle(x):
        return None

    def possible() -> Stack | None:
        found = stack()
        random = found.training and (found.dropout or found.recurrent_dropout or found.weight_dropout)
        shaped = x if x.dim() == 3 else x.unsqueeze(0)
        return None if found.zoneout or random or obstacle(found, shaped, Call()) else found

    key = (steps, batch, x.dtype, host.threads(), options)
    return prepared.prepared(layer, calls, key, possible)


def scan(
    cell: Cell,
    x: Tensor,
    state: State,
    weights: Weights,
    call: Call,
    noise: Noise,
    reverse: bool = False,
    recompute: bool = False,
    int8: bool = False,
) -> Result:
    """Like `elman.engine.eager.scan`, by a kernel; with `recompute` by one that keeps little, with `int8` and
    without gradients by one that reads 8-bit weights."""
    shares = tuple(z for z in noise.zoneout or () if isinstance(z, float))
    masks = tuple(z for z in noise.zoneout or () if isinstance(z, Tensor))
    spec = Spec(
        cell,
        weights.hidden,
        reverse,
        shares or None,
        (len(state), len(weights.units)),
        call.every_state,
        int8,
    )
    clear = None if call.reset is None else _starts(call, reverse)
    x = x if x.stride(2) == 1 or x.shape[2] == 1 else x.contiguous()
    tensors = (call.lengths, clear, noise.recurrent, x, weights.ih, weights.hh, weights.b_ih, weights.b_hh)
    everything = (*tensors, *state, *weights.units, *masks)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in everything)
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        results = operator.scan(spec, everything, keep)  # somebody looks at every operation
    elif keep and recompute:
        from elman.engine.recompute import Scan

        results = Scan.apply(spec, *everything)  # type: ignore[no-untyped-call]
    elif keep:
        results = _Scan.apply(spec, *everything)  # type: ignore[no-untyped-call]
    else:
        results = forward(spec, read(everything), keep=False)[0]
    output, final, every = results[0], results[1 : 1 + len(state)], results[1 + len(state) :]
    return Result(output, tuple(final), tuple(every) if call.every_state else None)


def _starts(call: Call, reverse: bool) -> Tensor:
    """Where the state is cleared, (T, B)."""
    assert call.reset is not None
    active = None
    if call.lengths is not None:
        active = torch.arange(call.reset.shape[0]).unsqueeze(1) < call.lengths
    return eager.starts(call.reset, active, reverse).contiguous()


class _Scan(torch.autograd.Function):
    """(spec, *tensors) → output (T, B, H), final states (B, H), then every state (T, B, H) if asked for."""

    @staticmethod
    def forward(ctx: Any, spec: Spec, *tensors: Any) -> tuple[Tensor, ...]:
        results, trace = forward(spec, read(tensors), keep=True)
        ctx.spec, ctx.given, ctx.spent = spec, len(tensors), False
        ctx.save_for_backward(*tensors, *trace)
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        saved = ctx.saved_tensors  # once: reading it may compute it
        given, trace = saved[: ctx.given], saved[ctx.given :]
        needed = ctx.needs_input_grad[1:]
        if (
            torch.is_grad_enabled()
        ):  # somebody wants to differentiate the gradients: kernels have no third act
            return (None, *differentiable(ctx.spec, given, gradients, needed))
        if ctx.spent:  # the first backward pass wrote over what the forward pass had kept
            trace = forward(ctx.spec, read(given), keep=True)[1]
        ctx.spent = True
        return (None, *backward(ctx.spec, read(given), trace, gradients, needed))


def _parts(spec: Spec, given: Tensors) -> tuple[State, Weights, Options]:
    """The tensors by what they are."""
    states, units = spec.counts
    state, own, masks = given.rest[:states], given.rest[states : states + units], given.rest[states + units :]
    weights = Weights(given.ih, given.hh, given.b_ih, given.b_hh, None, own, None, None, spec.hidden)
    zoneout = spec.zoneout or masks or None
    return state, weights, Options(given.lengths, given.clear, spec.reverse, given.mask, zoneout)


def _plan(spec: Spec, given: Tensors, options: Options, **more: bool) -> Plan:
    return plan_for(
        spec.cell,
        host.vector(given.x.dtype),
        resets=options.clear is not None,
        zoneout=options.zoneout is not None,
        masked=options.mask is not None,
        **more,
    )


def forward(spec: Spec, given: Tensors, keep: bool) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    """Outputs, final states and every state; and what the backward pass needs, as it takes it."""
    state, weights, options = _parts(spec, given)
    plan = _plan(spec, given, options, keep=keep, int8=spec.int8 and not keep)
    packed = pack.pack(plan, weights) if keep else pack.remembered(plan, weights)
    trace = run.forward(plan, given.x, state, packed, spec.hidden, options, spec.every)
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
    active = torch.arange(every.shape[0]).unsqueeze(1) < options.lengths
    return torch.where(active.unsqueeze(2), every, initial if options.reverse else end)


def backward(
    spec: Spec, given: Tensors, saved: Sequence[Any], gradients: Sequence[Any], needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of all tensors given, None where there is none."""
    state, weights, options = _parts(spec, given)
    plan = _plan(spec, given, options, backward=True, every=spec.every)
    states = len(state)
    trace = run.Trace(tuple(saved[4:]), *saved[:4])
    up, final, every = gradients[0], list(gradients[1 : 1 + states]), gradients[1 + states :]
    if up is None:
        up = pack.zeros(spec.hidden, given.x.dtype).expand(*given.x.shape[:2], spec.hidden)
    unseen: list[Tensor | None] = [None] * states
    if spec.every:
        every, final, unseen = _upstream(every, final, plan, given.x, spec.hidden, options)
    found = run.backward(plan, given.x, trace, weights.hh, spec.hidden, options, up, final, every)
    products = gradient.Products(plan, given.x, trace, found, weights, options)
    x, ih, hh, b_ih, b_hh = needed[3:8]
    own: list[Tensor | None] = [None, None, None]
    own.append(products.inputs() if x else None)
    own += [products.ih() if ih else None, products.hh() if hh else None]
    own += [products.b_ih() if b_ih else None, products.b_hh() if b_hh else None]
    initial = products.states(any(needed[8 : 8 + states]))
    initial = [a if b is None or a is None else a + b for a, b in zip(initial, unseen, strict=True)]
    rest = [*initial, *products.units()]
    return own + rest + [None] * (len(given.rest) - len(rest))


def _upstream(
    every: Sequence[Tensor | None],
    final: Sequence[Tensor | None],
    plan: Plan,
    x: Tensor,
    hidden: int,
    options: Options,
) -> tuple[list[Tensor], list[Tensor | None], list[Tensor | None]]:
    """Gradients of every state as the kernel reads them, (T, B, Hp). Where no step is taken they are the
    final state's, or, going backwards, the initial one's."""
    steps, batch = x.shape[:2]
    hp, none = pack.padded(hidden, plan), x.new_zeros(steps, batch, hidden)
    own = [none if g is None else g for g in every]
    ups = [pack.filled(g, hp, 2).contiguous() for g in own]
    if options.lengths is None:
        return ups, list(final), [None] * len(own)
    idle = (torch.arange(steps).unsqueeze(1) >= options.lengths).unsqueeze(2)
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
