"""PyTorch's own fused kernels (oneDNN, cuDNN) for the three classic cells, where they compute the same thing."""

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elman.cells import GRU, LSTM, Cell, Elman, ElmanReLU
from elman.engine.call import Call, Result, State, Weights

KERNELS: Final[dict[Cell, Callable[..., Any]]] = {
    Elman: torch.rnn_tanh,
    ElmanReLU: torch.rnn_relu,
    LSTM: torch.lstm,
    GRU: torch.gru,
}


def obstacle(cell: Cell, x: Tensor, weights: Weights, call: Call) -> str:
    """Why PyTorch's kernels can't do this call; "" if they can."""
    reasons = {
        f"PyTorch has no kernel for {cell.name}": cell not in KERNELS,
        "PyTorch's kernels need at least one step and one sequence": 0 in x.shape[:2],
        "PyTorch's kernels don't reset within a sequence": call.reset is not None,
        "PyTorch's kernels have no zoneout": call.zoneout is not None,
        "PyTorch's kernels have no recurrent dropout": call.recurrent_mask is not None,
        "PyTorch's kernels have no layer normalisation": weights.gain_ih is not None,
        "PyTorch's kernels return the last state only": call.every_state,
        f"PyTorch projects the LSTM only, not {cell.name}": weights.hr is not None and cell is not LSTM,
        "PyTorch's packed kernels need a sequence longer than 0": _all_empty(call.lengths),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def scan(cell: Cell, x: Tensor, state: State, weights: Weights, call: Call) -> Result:
    """Same contract as `eager.scan`, for calls without an obstacle."""
    if call.lengths is not None:
        return _ragged(cell, x, state, weights, call)
    inputs = x.flip(0) if call.reverse else x
    output, *final = _kernel(cell, weights, inputs, _layered(state))
    return Result(output.flip(0) if call.reverse else output, _flat(final))


def _ragged(cell: Cell, x: Tensor, state: State, weights: Weights, call: Call) -> Result:
    """Through the packed layout, which takes no empty sequences: those keep their state and are put back."""
    assert call.lengths is not None
    rows = call.lengths.nonzero().squeeze(1)
    lengths = call.lengths[rows]
    inputs = _reversed(x[:, rows], lengths) if call.reverse else x[:, rows]
    packed = pack_padded_sequence(inputs, lengths.cpu(), enforce_sorted=False)
    order = packed.sorted_indices
    assert order is not None and packed.unsorted_indices is not None
    start = _layered(tuple(s[rows][order] for s in state))
    data, *final = _kernel(cell, weights, packed.data, start, packed.batch_sizes)
    padded, _ = pad_packed_sequence(packed._replace(data=data), total_length=x.shape[0])
    padded = _reversed(padded, lengths) if call.reverse else padded
    output = padded.new_zeros(*x.shape[:2], weights.width).index_copy(1, rows, padded)
    ends = [f[0][packed.unsorted_indices] for f in final]
    return Result(output, tuple(s.index_copy(0, rows, e) for s, e in zip(state, ends, strict=True)))


def _kernel(cell: Cell, weights: Weights, x: Tensor, state: State, batch_sizes: Tensor | None = None) -> Any:
    parameters = [weights.ih, weights.hh, weights.b_ih, weights.b_hh, weights.hr]
    flat = [p for p in parameters if p is not None]
    hx = state if len(state) > 1 else state[0]
    # layers 1, dropout 0, train True (the graph is recorded or not by grad mode alone), one direction
    tail = (flat, weights.b_ih is not None, 1, 0.0, True, False)
    if batch_sizes is None:
        return KERNELS[cell](x, hx, *tail, False)
    return KERNELS[cell](x, batch_sizes, hx, *tail)


def _reversed(x: Tensor, lengths: Tensor) -> Tensor:
    """Every sequence of x (T, B, ·) back to front within its own length; what lies beyond stays."""
    t = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    index = torch.where(t < lengths, lengths - 1 - t, t)
    return x.gather(0, index.unsqueeze(2).expand_as(x))


def _layered(state: State) -> State:
    return tuple(s.unsqueeze(0) for s in state)


def _flat(state: list[Tensor]) -> State:
    return tuple(s.squeeze(0) for s in state)


def _all_empty(lengths: Tensor | None) -> bool:
    return lengths is not None and not bool(lengths.any())
