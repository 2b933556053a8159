"""PyTorch's own fused kernels (oneDNN, cuDNN) for the classic cells, where they compute the same thing."""

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from elman.cells import GRU, LSTM, Cell, Elman, ElmanReLU
from elman.engine import torch_internals
from elman.engine.call import Call, Result, Stack, State, Weights

KERNELS: Final[dict[Cell, Callable[..., Any]]] = {
    Elman: torch.rnn_tanh,
    ElmanReLU: torch.rnn_relu,
    LSTM: torch.lstm,
    GRU: torch.gru,
}
# The same for one step: (x, state, weight_ih, weight_hh, bias_ih, bias_hh) → the new state.
STEPS: Final[dict[Cell, Callable[..., Any]]] = {
    Elman: torch.rnn_tanh_cell,
    ElmanReLU: torch.rnn_relu_cell,
    LSTM: torch.lstm_cell,
    GRU: torch.gru_cell,
}


def obstacle(stack: Stack, x: Tensor, call: Call) -> str:
    """Return why PyTorch's kernels can't do this call, "" if they can."""
    cell, weights = stack.cell, stack.weights[0]
    reasons = (
        (call.gates is not None, "PyTorch's kernels return no gates"),
        (cell not in KERNELS, "PyTorch has no kernel for this cell"),
        (0 in x.shape[:2], "PyTorch's kernels need at least one step and one sequence"),
        (_all_empty(call.lengths), "PyTorch's kernels need a sequence longer than 0"),
        (call.reset is not None, "PyTorch's kernels don't reset within a sequence"),
        (call.every_state, "PyTorch's kernels return the last state only"),
        (stack.zoneout > 0, "PyTorch's kernels have no zoneout"),
        (stack.training and stack.recurrent_dropout > 0, "PyTorch's kernels have no recurrent dropout"),
        (_no_half(stack, x), "this processor has no half-precision LSTM"),
        (_no_training(stack, x), "PyTorch's LSTM can't be trained inside torch.compile"),
        (stack.recompute, "PyTorch's kernels keep every gate of every step"),
        (weights.gain_ih is not None, "PyTorch's kernels have no layer normalisation"),
        (weights.weight_hr is not None and cell is not LSTM, "PyTorch projects the LSTM only"),
    )
    reason = next((reason for holds, reason in reasons if holds), "")
    return reason or ("" if torch.compiler.is_compiling() else torch_internals.obstacle(x))


def scan(stack: Stack, x: Tensor, state: State, call: Call) -> Result[Tensor]:
    """Run the whole stack in one call without an obstacle: x (T, B, I) or packed (N, I)."""
    if call.lengths is not None:
        return _ragged(stack, x, state, call.lengths)
    output, *final = _kernel(stack, x, state, call.batch_sizes)
    return Result(output, tuple(final))


def step(cell: Cell, x: Tensor, state: State, weights: Weights[Tensor]) -> State:
    """Take one step of a cell in STEPS, on x (B, I) from states (B, H)."""
    hx = state if len(state) > 1 else state[0]
    matrices_and_biases = weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh
    new = STEPS[cell](x, hx, *matrices_and_biases)
    return (new,) if isinstance(new, Tensor) else new


def _ragged(stack: Stack, x: Tensor, state: State, lengths: Tensor) -> Result[Tensor]:
    """Use the packed layout: at each step the sequences that still run, the longest first."""
    steps, batch = x.shape[:2]
    order = lengths.argsort(descending=True)
    t = torch.arange(steps, device=x.device).unsqueeze(1)
    active = t < lengths[order]
    sizes = active.sum(1).cpu()
    positions = (t * batch + order)[active]
    # without the empty sequences, which keep their state; a mask, because a trace keeps numbers as constants
    rows = order[lengths[order] > 0]
    start = tuple(s.index_select(1, rows) for s in state)
    data, *final = _kernel(stack, x.flatten(0, 1).index_select(0, positions), start, sizes[sizes > 0])
    output = data.new_zeros(steps * batch, data.shape[1]).index_copy(0, positions, data)
    ends = (s.to(e.dtype).index_copy(1, rows, e) for s, e in zip(state, final, strict=True))
    return Result(output.unflatten(0, (steps, batch)), tuple(ends))


def _kernel(stack: Stack, x: Tensor, state: State, batch_sizes: Tensor | None) -> Any:
    by_layer = ((w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh, w.weight_hr) for w in stack.weights)
    flat = [parameter for parameters in by_layer for parameter in parameters if parameter is not None]
    hx = state if len(state) > 1 else state[0]
    layers = len(stack.weights) // stack.directions
    # Outside training, "train" only asks for gradients: some kernels refuse them otherwise. A trace must be
    # the same with and without gradients: it is torch.nn's.
    train, dropout = torch.is_grad_enabled() and not torch_internals.is_jit_traced(), 0.0
    if stack.training:
        train, dropout = True, stack.dropout
    tail = (flat, stack.weights[0].bias_ih is not None, layers, dropout, train, stack.directions == 2)
    if batch_sizes is None:
        return KERNELS[stack.cell](x, hx, *tail, False)
    return KERNELS[stack.cell](x, batch_sizes, hx, *tail)


def result_type(stack: Stack, x: Tensor, call: Call) -> torch.dtype:
    """Return the type of what torch.nn's layer of this cell returns on the CPU: autocast rounds some only."""
    if not torch.is_autocast_enabled("cpu"):
        return x.dtype
    half = torch.get_autocast_dtype("cpu")
    dense = call.lengths is None and call.batch_sizes is None
    rounded = stack.cell is LSTM and dense and torch_internals.has_half_lstm(half)
    return half if rounded or stack.cell in (Elman, ElmanReLU) else x.dtype


def _no_half(stack: Stack, x: Tensor) -> bool:
    """Return whether oneDNN would be asked for an LSTM that it refuses to build on this processor."""
    if not _is_onednn(stack, x):
        return False
    if torch.is_autocast_enabled("cpu"):
        return not torch_internals.has_half_lstm(torch.get_autocast_dtype("cpu"))
    # without a graph PyTorch itself asks only where oneDNN has one
    graph = torch.compiler.is_compiling() and x.dtype == torch.bfloat16 and not x.requires_grad
    return graph and not torch_internals.has_half_lstm(torch.bfloat16)


def _no_training(stack: Stack, x: Tensor) -> bool:
    """Return whether a graph would have oneDNN's LSTM without what its backward pass needs.

    PyTorch puts that into a graph wherever x needs no gradient, although the weights may.
    """
    if not torch.compiler.is_compiling() or torch_internals.is_exporting():
        return False
    if x.requires_grad or not torch.is_grad_enabled():
        return False
    return _is_onednn(stack, x) and any(w.weight_ih.requires_grad for w in stack.weights)


def _is_onednn(stack: Stack, x: Tensor) -> bool:
    return stack.cell is LSTM and x.device.type == "cpu" and stack.weights[0].weight_hr is None


def _all_empty(lengths: Tensor | None) -> bool:
    return lengths is not None and not bool(lengths.any())
