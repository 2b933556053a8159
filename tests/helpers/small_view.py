"""A view with all that a report can show."""

import torch

import elman
from elman.lens.view import View


def small_view(layer: elman.Recurrent, batch: int = 2) -> View:
    x = torch.randn(5, batch, 3)
    return View(
        layer,
        x,
        score=lambda result: result[0][-1].sum(1),
        answers=("yes & no",) * batch,
        labels={"": (("a", "<b>", "c", "d", "e"),) * batch},
        unit="words",
        notes=("a note",),
        extras=(("extra", "Extra?", "A picture.", lambda number: f"<svg><title>{number}</title></svg>"),),
        cut=lambda steps: x[:steps],
    )


def small_layer() -> elman.Recurrent:
    torch.manual_seed(0)
    return elman.Recurrent("gru", 3, 4, 2)
