"""The slow, obvious loop in plain PyTorch: any cell, dtype, device, option. It judges every other engine."""

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.cells import Cell
from elman.engine import heads
from elman.engine.call import Arguments, Call, Noise, Result, Spec, State, Weights, flatten, taken


class Named:
    """`x.i`, `s.c`, ...: values by the names that the equations use."""

    def __init__(self, names: tuple[str, ...], values: tuple[Tensor, ...]) -> None:
        self.__dict__.update(zip(names, values, strict=True))


def scan(
    cell: Cell,
    x: Tensor,
    state: State,
    weights: Weights[Tensor],
    call: Call,
    noise: Noise,
    reverse: bool = False,
    clear: Tensor | None = None,
) -> Result[Tensor]:
    """Apply the cell along x (T, B, I), step by step, from state ((B, P), (B, H), ...).

    `clear` (T, B) says before which steps the state is cleared, in place of `call.reset`.
    """
    total = x.shape[0]
    active = None
    if call.lengths is not None:
        active = taken(call.lengths, total).unsqueeze(2)
        x = torch.where(active, x, 0.0)  # so that a NaN in the padding can't reach a gradient
    start = None if clear is None else clear.unsqueeze(2)
    if call.reset is not None:
        start = starts(call.reset.unsqueeze(2), active, reverse)
    # Fresh copies: a matrix product may round differently for another alignment of its operand, and a stream
    # of single steps must give the same bits as the whole sequence.
    state = tuple(s.clone() for s in state)
    every: list[State] = []
    outputs: list[Tensor] = []
    for t in reversed(range(total)) if reverse else range(total):
        if start is not None:
            state = tuple(torch.where(start[t], 0.0, s) for s in state)
        new = _zoned_out(step(cell, x[t].clone(), state, weights, noise.recurrent), state, t, noise)
        if call.note is not None:
            call.note.retain(new)
        outputs.append(new[0] if active is None else torch.where(active[t], new[0], 0.0))
        if active is not None:
            new = tuple(torch.where(active[t], n, s.to(n.dtype)) for n, s in zip(new, state, strict=True))
        state = new
        every.append(state)
    if reverse:
        outputs.reverse()
        every.reverse()
    output = torch.stack(outputs) if outputs else x.new_zeros(0, *state[0].shape)
    return Result(output, state, _stacked(every, state) if call.every_state else ())


def step(
    cell: Cell, x: Tensor, state: State, weights: Weights[Tensor], recurrent_mask: Tensor | None = None
) -> State:
    """Take one step on x (B, I) from state ((B, P), (B, H), ...) to the next state."""
    h = state[0] if recurrent_mask is None else state[0] * recurrent_mask
    gates, recurrent = (Named(cell.gates, sums) for sums in products(cell, x, h, weights))
    new = cell(gates, recurrent, Named(cell.state, state), Named(cell.weights, weights.units))
    return new if weights.weight_hr is None else (F.linear(new[0], weights.weight_hr), *new[1:])


def products(cell: Cell, x: Tensor, h: Tensor, weights: Weights[Tensor]) -> tuple[State, State]:
    """Return W x + b and U h + b' of every gate, (B, H) each; a cell without U has W x + b in both places."""
    from_input = _product(x, weights.weight_ih, weights.bias_ih, weights.gain_ih)
    from_state = from_input
    if weights.weight_hh is not None:
        from_state = _product(h, weights.weight_hh, weights.bias_hh, weights.gain_hh)
    return from_input.chunk(len(cell.gates), 1), from_state.chunk(len(cell.gates), 1)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> Tensor:
    """Return W x + b, or gain * norm(W x) + b over all gates (Ba et al., arXiv:1607.06450)."""
    if gain is None:
        return F.linear(x, weight, bias)
    return F.layer_norm(F.linear(x, weight), gain.shape, gain, bias)


def starts(reset: Tensor, active: Tensor | None, reverse: bool) -> Tensor:
    """Return where to clear the state: before a new sequence's first step; backwards, a step earlier.

    Flags beyond a sequence's length mean nothing.
    """
    start = reset if active is None else reset & active
    return torch.cat([start[1:], torch.zeros_like(start[:1])]) if reverse else start


def _zoned_out(new: State, old: State, t: int, noise: Noise) -> State:
    """Keep old values at random, or their expectation: zoneout (Krueger et al., arXiv:1606.01305)."""
    if noise.zoneout is None:
        return new
    kept = [mask if isinstance(mask, float) else mask[t] for mask in noise.zoneout]
    return tuple(k * o + (1 - k) * n for k, o, n in zip(kept, old, new, strict=True))


def _stacked(every: list[State], like: State) -> State:
    if not every:
        return tuple(s.new_zeros(0, *s.shape) for s in like)
    return tuple(torch.stack(states) for states in zip(*every, strict=True))


def gradients(
    spec: Spec, arguments: Arguments[Tensor], upstream: Result[Tensor | None], needed: Arguments[bool]
) -> Arguments[Tensor | None]:
    """Differentiate a kernel's scan in a way that PyTorch can differentiate again.

    `upstream` holds the gradients of the result, None where there is none.
    """
    with torch.enable_grad():
        noise = Noise(arguments.mask, spec.shares or arguments.zoneout or None)
        call = Call(arguments.lengths, every_state=spec.every_state)
        x, state, weights = arguments.x, arguments.state, heads.dense_weights(arguments.weights, spec.heads)
        result = scan(spec.cell, x, state, weights, call, noise, spec.reverse, arguments.clear)
        pairs = [(o, g) for o, g in zip(flatten(result), flatten(upstream), strict=True) if g is not None]
        inputs = [t for t, n in zip(flatten(arguments), flatten(needed), strict=True) if n]
        outputs, seeds = [o for o, _ in pairs], [g for _, g in pairs]
        grads = iter(torch.autograd.grad(outputs, inputs, seeds, create_graph=True, allow_unused=True))
    return spec.arguments([next(grads) if n else None for n in flatten(needed)])
