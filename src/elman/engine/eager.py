"""The slow obvious loop in plain PyTorch: any cell, dtype, device, option. It judges every other engine."""

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.cells import Cell
from elman.engine.call import Call, Noise, Result, State, Weights, taken


class Named:
    """`x.i`, `s.c`, ...: values by the names that the equations use."""

    def __init__(self, names: tuple[str, ...], values: tuple[Tensor, ...]) -> None:
        self.__dict__.update(zip(names, values, strict=True))


def scan(
    cell: Cell,
    x: Tensor,
    state: State,
    weights: Weights,
    call: Call,
    noise: Noise,
    reverse: bool = False,
    clear: Tensor | None = None,
) -> Result:
    """The cell applied along x (T, B, I), one step after the other, from state ((B, P), (B, H), ...).

    `clear` (T, B) says before which steps the state is cleared, where that is known already.
    """
    total = x.shape[0]
    active = None
    if call.lengths is not None:
        active = taken(call.lengths, total).unsqueeze(2)
        x = torch.where(active, x, 0.0)  # so that a NaN in the padding can't reach a gradient
    start = None if clear is None else clear.unsqueeze(2)
    if call.reset is not None:
        start = starts(call.reset.unsqueeze(2), active, reverse)
    # Fresh copies: a matrix product may round differently where its operand starts at another alignment, and
    # a stream of single steps must give the very numbers of the whole sequence.
    state = tuple(s.clone() for s in state)
    every: list[State] = []
    outputs: list[Tensor] = []
    for t in reversed(range(total)) if reverse else range(total):
        if start is not None:
            state = tuple(torch.where(start[t], 0.0, s) for s in state)
        new = _zoned_out(step(cell, x[t].clone(), state, weights, noise.recurrent), state, t, noise)
        outputs.append(new[0] if active is None else torch.where(active[t], new[0], 0.0))
        if active is not None:
            new = tuple(torch.where(active[t], n, s.to(n.dtype)) for n, s in zip(new, state, strict=True))
        state = new
        every.append(state)
    if reverse:
        outputs.reverse()
        every.reverse()
    output = torch.stack(outputs) if outputs else x.new_zeros(0, x.shape[1], weights.width)
    return Result(output, state, _stacked(every, state) if call.every_state else None)


def step(
    cell: Cell, x: Tensor, state: State, weights: Weights, recurrent_mask: Tensor | None = None
) -> State:
    """One step on x (B, I) from state ((B, P), (B, H), ...) to the next state."""
    h = state[0] if recurrent_mask is None else state[0] * recurrent_mask
    from_input = _product(x, weights.ih, weights.b_ih, weights.gain_ih)
    gates = Named(cell.gates, from_input.chunk(len(cell.gates), 1))
    recurrent = gates
    if weights.hh is not None:
        from_state = _product(h, weights.hh, weights.b_hh, weights.gain_hh)
        recurrent = Named(cell.gates, from_state.chunk(len(cell.gates), 1))
    new = cell(gates, recurrent, Named(cell.state, state), Named(cell.weights, weights.units))
    return new if weights.hr is None else (F.linear(new[0], weights.hr), *new[1:])


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> Tensor:
    """W x + b; with layer normalisation gain * norm(W x) + b over all gates (Ba et al., arXiv:1607.06450)."""
    if gain is None:
        return F.linear(x, weight, bias)
    return F.layer_norm(F.linear(x, weight), gain.shape, gain, bias)


def starts(reset: Tensor, active: Tensor | None, reverse: bool) -> Tensor:
    """Where to clear the state before a step: at a new sequence's first step; backwards, at the step
    before it. Flags beyond a sequence's length mean nothing."""
    start = reset if active is None else reset & active
    return torch.cat([start[1:], torch.zeros_like(start[:1])]) if reverse else start


def _zoned_out(new: State, old: State, t: int, noise: Noise) -> State:
    """Zoneout keeps old values at random, or their expectation (Krueger et al., arXiv:1606.01305)."""
    if noise.zoneout is None:
        return new
    kept = [mask if isinstance(mask, float) else mask[t] for mask in noise.zoneout]
    return tuple(k * o + (1 - k) * n for k, o, n in zip(kept, old, new, strict=True))


def _stacked(every: list[State], like: State) -> State:
    if not every:
        return tuple(s.new_zeros(0, *s.shape) for s in like)
    return tuple(torch.stack(states) for states in zip(*every, strict=True))
