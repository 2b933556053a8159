"""How a change of a layer's state grows or shrinks over time: Jacobians and Lyapunov exponents.

T steps, B sequences, N numbers of all states of a layer.
"""

from typing import Any, Final

import torch
from torch import Tensor

from elman.engine import eager
from elman.engine.call import State
from elman.errors import UsageError
from elman.lens.numbers import check_least
from elman.lens.recording import Layer, passes_of
from elman.lens.view import view_of

MAX_SEQUENCES: Final = 8  # for exponents
WARM_UP: Final = 0.1  # share of the steps in which directions turn to the ones that grow most
TINY: Final = 1e-30


def jacobian(model: Any, input: Any, begin: int, end: int) -> dict[str, Tensor]:
    """Return ∂(state after step `end`)/∂(state after step `begin`) of every layer that reads forwards, by its
    name, (B, N, N) each.

    Its 2-norm says by how much a change may grow or shrink between the two steps. All states of a cell count,
    one after another: h and c of an LSTM.

    Args:
        model, input: see `view_of`.
        begin, end: steps from 0, in this order.

    Raises:
        UsageError: the model has no recurrent layer, or there are no such steps.
    """
    view = view_of(model, input)
    layers = [layer for layer in passes_of(view.module, view.input) if not layer.run.reverse]
    steps = min((len(layer.run.x) for layer in layers), default=0)
    if not 0 <= begin <= end < steps:
        raise UsageError(
            f"begin and end must be steps in order, from 0 to {steps - 1}, not {begin} and {end}"
        )
    return {layer.name: _jacobian(layer, begin, end) for layer in layers}


def lyapunov_exponents(model: Any, input: Any, count: int = 3) -> dict[str, Tensor]:
    """Return the largest Lyapunov exponents of every layer, by name, (count,): logarithms of the factor by
    which nearby states part in a step. Below 0 they come together.

    By QR decompositions along the way (Benettin et al., Meccanica 15, 1980; for recurrent networks Engelken
    et al., arXiv:2006.02427). They are means over at most 8 sequences, after a tenth of the steps.

    Args:
        model, input: as for `jacobian`.
        count: number of exponents; at most as many as a layer's states have numbers.

    Raises:
        UsageError: the model has no recurrent layer, or the count is below 1.
    """
    check_least("count", count)
    view = view_of(model, input)
    return {layer.name: _exponents(layer, count) for layer in passes_of(view.module, view.input)}


def _jacobian(layer: Layer, begin: int, end: int) -> Tensor:
    states = [s[begin] for s in layer.run.states]
    batch, sizes = len(states[0]), [s.shape[1] for s in states]
    tangents = torch.eye(sum(sizes), dtype=states[0].dtype).expand(batch, -1, -1)
    for t in range(begin + 1, end + 1):
        tangents = _forward(layer, t, tangents)
    return tangents


def _exponents(layer: Layer, count: int) -> Tensor:
    run = layer.run
    states = run.states
    numbers, batch = sum(s.shape[2] for s in states), min(states[0].shape[1], MAX_SEQUENCES)
    count = min(count, numbers)
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(batch, numbers, count, generator=generator, dtype=states[0].dtype)
    tangents = torch.linalg.qr(basis).Q
    total, steps = torch.zeros(batch, count, dtype=torch.float64), torch.zeros(batch, 1)
    order = range(len(run.x))
    for number, t in enumerate(reversed(order) if run.reverse else order):
        moved, growth = torch.linalg.qr(_forward(layer, t, tangents))
        taken = layer.taken[t, :batch].unsqueeze(1)
        counted = taken & (number >= WARM_UP * len(run.x))
        logs = growth.diagonal(dim1=1, dim2=2).abs().clamp_min(TINY).log().double()
        total += torch.where(counted, logs, 0.0)
        steps += counted
        tangents = torch.where(taken.unsqueeze(2), moved, tangents)
    return (total / steps.clamp_min(1)).mean(0)


def _forward(layer: Layer, t: int, tangents: Tensor) -> Tensor:
    """Return the product of the Jacobian of step t and tangents (B, N, count), for the first B sequences."""
    run, count = layer.run, tangents.shape[2]
    batch = len(tangents)
    before = [_rows(s[t, :batch], count) for s in layer.before]
    x = _rows(run.x[t, :batch].detach(), count)
    mask = run.noise.recurrent
    mask = None if mask is None else _rows(mask[:batch], count)
    sizes = [s.shape[1] for s in before]
    rows = tangents.transpose(1, 2).reshape(batch * count, -1)
    directions = torch.split(rows, sizes, 1)
    with torch.enable_grad():
        leaves = tuple(s.detach().requires_grad_() for s in before)
        new = eager.step(run.cell, x, leaves, run.weights, mask)
        if run.noise.zoneout is not None:
            kept = [z if isinstance(z, float) else _rows(z[t, :batch], count) for z in run.noise.zoneout]
            new = tuple(k * o + (1 - k) * n for k, o, n in zip(kept, leaves, new, strict=True))
        moved = _along(new, leaves, directions)
    if run.clear is not None:  # nothing of the state before is left
        moved = torch.where(run.clear[t, :batch].repeat_interleave(count).unsqueeze(1), 0.0, moved)
    return moved.view(batch, count, -1).transpose(1, 2)


def _rows(values: Tensor, count: int) -> Tensor:
    """Return the values of every sequence, once for each of its tangents."""
    return values.repeat_interleave(count, 0)


def _along(new: State, leaves: State, directions: tuple[Tensor, ...]) -> Tensor:
    """Return the derivative of new states along directions of old ones, (rows, N), by two passes backward."""
    seeds = [torch.zeros_like(s, requires_grad=True) for s in new]
    gradients = torch.autograd.grad(new, leaves, seeds, create_graph=True, materialize_grads=True)
    moved = torch.autograd.grad(gradients, seeds, directions, materialize_grads=True)
    return torch.cat(moved, 1)
