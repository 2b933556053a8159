"""The parameters of one layer in one direction: names, shapes and first values."""

import functools
import math
from typing import Final, Literal

import torch
from torch import Tensor, nn

from elman.cells import Cell
from elman.engine.call import Weights

Init = Literal["uniform", "orthogonal"]
# The parameters of every cell; a cell's own weights need other names.
NAMES: Final = Weights._fields[:-1]


@functools.cache
def shapes(
    cell: Cell, inputs: int, hidden: int, proj_size: int, bias: bool, layer_norm: bool, heads: int = 1
) -> dict[str, tuple[int, ...]]:
    """Return shapes by name, in torch.nn's order, so that one seed draws the same numbers."""
    rows = len(cell.gates) * hidden
    candidates = (
        ("weight_ih", (rows, inputs), True),
        ("weight_hh", (rows, proj_size or hidden // heads), cell.recurrent),
        ("bias_ih", (rows,), bias),
        ("bias_hh", (rows,), bias and cell.recurrent),
        ("weight_hr", (proj_size, hidden), proj_size > 0),
        ("gain_ih", (rows,), layer_norm),
        ("gain_hh", (rows,), layer_norm and cell.recurrent),
    )
    sizes: dict[str, tuple[int, ...]] = {name: shape for name, shape, present in candidates if present}
    return sizes | dict.fromkeys(cell.weights, (hidden,))


def draw(
    cell: Cell,
    parameters: dict[str, Tensor],
    forget_bias: float | None,
    recurrent_init: Init,
    heads: int = 1,
) -> None:
    """Initialise parameters: uniform in ±1/sqrt(H) as torch.nn, then the named options.

    U of N heads is uniform in ±1/sqrt(H/N): its sums have H/N terms, as in a layer of that size.
    """
    gates = len(cell.gates)
    bound = 1 / math.sqrt(parameters["weight_ih"].shape[0] // gates)
    for name, parameter in parameters.items():
        if name in ("gain_ih", "gain_hh"):
            nn.init.ones_(parameter)
        elif name in cell.weights and not cell.recurrent:
            # Li et al. 2018: a unit's only recurrent weight starts between forgetting and keeping
            nn.init.uniform_(parameter, 0.0, 1.0)
        else:
            # with ±1/sqrt(H), U's spectral radius would be 0.58/sqrt(N) instead of 0.58, and h fade at once
            largest = bound * math.sqrt(heads) if name == "weight_hh" else bound
            nn.init.uniform_(parameter, -largest, largest)
    if recurrent_init == "orthogonal" and cell.recurrent:
        for block in parameters["weight_hh"].detach().chunk(gates * heads):
            # in float32 at least: the decomposition behind it has no half precision
            wide = torch.empty_like(block, dtype=torch.promote_types(block.dtype, torch.float32))
            block.copy_(nn.init.orthogonal_(wide))
    if forget_bias is not None:
        for name, value in (("bias_ih", forget_bias), ("bias_hh", 0.0)):
            if name in parameters:
                parameters[name].detach().chunk(gates)[cell.gates.index("f")].fill_(value)
