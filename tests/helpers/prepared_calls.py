"""Layers that prepare their calls, and a call that is prepared."""

from typing import Any

import torch
from torch import Tensor

import elman
from elman.cells import CELLS, Cell, cell

T, B, I, H = 5, 3, 6, 32  # noqa: E741
# H is a whole number of vectors on every processor: other widths are never prepared


@cell(gates="a b", state="h c", weights="p")
def Mine(x: Any, u: Any, s: Any, w: Any) -> Any:
    c = torch.sigmoid(x.a) * s.c + w.p * torch.tanh(x.b + u.b)
    return torch.tanh(c) + torch.minimum(u.a, x.a) * 0.1, c


KINDS: dict[str, Cell] = {k: CELLS[k] for k in ("elman", "gru", "lstm")} | {"mine": Mine}


def layer_of(kind: str = "lstm", layers: int = 1, **options: Any) -> elman.Recurrent:
    torch.manual_seed(1)
    return elman.Recurrent(KINDS[kind], I, H, layers, **options, engine="compiled")


def state_of(layer: elman.Recurrent, batch: int = B) -> Any:
    rows = layer.num_layers * layer.directions
    state = tuple(torch.rand(rows, batch, H, dtype=layer.weight_ih_l0.dtype) for _ in layer.cell.state)
    return state if len(state) > 1 else state[0]


def as_prepared(layer: elman.Recurrent, x: Tensor, hx: Any = None) -> Any:
    """By a prepared call, which is asserted."""
    with torch.no_grad():
        result = layer(x, hx)
    assert any(known is not None for known in layer._calls.values()), "no call was prepared"
    return result
