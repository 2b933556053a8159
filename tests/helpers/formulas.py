"""A cell beside its paper's formula for one step, written once more in numpy."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

import elman
from elman.cells import Cell

Array = NDArray[np.float64]
# (a, r, s, w): a(gate) is W x + b, r(gate) is U h + b', then the states and the cell's own weights
Formula = Callable[..., tuple[Array, ...]]


def sig(v: Array) -> Array:
    return 1 / (1 + np.exp(-v))


def scan_in_numpy(
    formula: Formula, layer: elman.Recurrent, x: Array, state: list[Array]
) -> tuple[Array, list[Array]]:
    p = {name.removesuffix("_l0"): value.detach().numpy() for name, value in layer.named_parameters()}
    order, hidden = layer.cell.gates, layer.hidden_size
    block = {g: slice(k * hidden, (k + 1) * hidden) for k, g in enumerate(order)}
    outputs = []
    for step in x:
        h = state[0]
        state = list(
            formula(
                lambda g, step=step: step @ p["weight_ih"][block[g]].T + p["bias_ih"][block[g]],
                lambda g, h=h: h @ p["weight_hh"][block[g]].T + p["bias_hh"][block[g]],
                state,
                [p[name] for name in layer.cell.weights],
            )
        )
        outputs.append(state[0])
    return np.stack(outputs), state


def assert_is(formula: Formula, cell: Cell) -> None:
    """Compare nine steps, from zeros and from another state."""
    torch.manual_seed(0)
    layer = elman.Recurrent(cell, 3, 5, dtype=torch.float64, engine="eager")
    x = torch.randn(9, 4, 3, dtype=torch.float64)
    start = tuple(torch.rand(1, 4, 5, dtype=torch.float64) for _ in layer.cell.state)
    for hx in (tuple(torch.zeros_like(s) for s in start), start):
        expected, final = scan_in_numpy(formula, layer, x.numpy(), [s[0].numpy() for s in hx])
        output, state = layer(x, hx if len(hx) > 1 else hx[0])
        np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
        for a, b in zip(state if len(hx) > 1 else (state,), final, strict=True):
            np.testing.assert_allclose(a[0].detach().numpy(), b, rtol=1e-10, atol=1e-12)
