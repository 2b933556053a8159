"""Linear layers whose spectrum is known."""

from typing import Any

import torch

import elman


@elman.cell(state="h", gates="n")
def linear(x: Any, u: Any, s: Any) -> Any:
    return x.n + u.n


def rotation(decay: float, units: int = 6) -> elman.Recurrent:
    """h_t = x_t + decay · Q h_{t-1} with an orthogonal Q: all its eigenvalues have that size."""
    torch.manual_seed(0)
    layer = elman.Recurrent(linear, 2, units, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(decay * torch.linalg.qr(torch.randn(units, units).double()).Q)
    return layer


class WithOptions(torch.nn.Module):
    """A layer that is always called with the same lengths or resets."""

    def __init__(self, inner: elman.Recurrent, **options: Any) -> None:
        super().__init__()
        self.inner, self.options = inner, options

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x, **self.options)
