"""The slow obvious loop in plain PyTorch: any cell, dtype, device and option. It judges every other engine."""

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.cells import Cell
from elman.engine.call import Call, Result, State, Weights


class Named:
    """`x.i`, `s.c`, ...: values by the names that the equations use."""

    def __init__(self, names: tuple[str, ...], values: tuple[Tensor, ...]) -> None:
        self.__dict__.update(zip(names, values, strict=True))


def scan(cell: Cell, x: Tensor, state: State, weights: Weights, call: Call) -> Result:
    """The cell applied along x (T, B, I), one step after the other."""
    steps = range(x.shape[0])
    every: list[State] = []
    outputs: list[Tensor] = []
    for t in reversed(steps) if call.reverse else steps:
        state = _cleared(state, t, x.shape[0], call)
        new = _zoned_out(step(cell, x[t], state, weights, call.recurrent_mask), state, t, call)
        output = new[0]
        if call.lengths is not None:
            active = (t < call.lengths).unsqueeze(1)
            new = tuple(torch.where(active, n, s) for n, s in zip(new, state, strict=True))
            output = torch.where(active, output, 0.0)
        state = new
        outputs.append(output)
        every.append(state)
    if call.reverse:
        outputs.reverse()
        every.reverse()
    if not outputs:
        return Result(x.new_zeros(0, x.shape[1], weights.width), state, _stacked(every, state))
    return Result(torch.stack(outputs), state, _stacked(every, state) if call.every_state else None)


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
    """W x + b, or with layer normalisation gain * norm(W x) + b over all gates (Ba et al., arXiv:1607.06450)."""
    if gain is None:
        return F.linear(x, weight, bias)
    return F.layer_norm(F.linear(x, weight), gain.shape, gain, bias)


def _cleared(state: State, t: int, total: int, call: Call) -> State:
    """A reset marks the first step of a new sequence: forwards it clears before that step, backwards after it."""
    if call.reset is None or (call.reverse and t + 1 == total):
        return state
    start = call.reset[t + 1 if call.reverse else t].unsqueeze(1)
    return tuple(torch.where(start, 0.0, s) for s in state)


def _zoned_out(new: State, old: State, t: int, call: Call) -> State:
    """Zoneout keeps old values at random, or their expectation (Krueger et al., arXiv:1606.01305)."""
    if call.zoneout is None:
        return new
    kept = [mask if isinstance(mask, float) else mask[t] for mask in call.zoneout]
    return tuple(k * o + (1 - k) * n for k, o, n in zip(kept, old, new, strict=True))


def _stacked(every: list[State], like: State) -> State:
    if not every:
        return tuple(s.new_zeros(0, *s.shape) for s in like)
    return tuple(torch.stack(states) for states in zip(*every, strict=True))
