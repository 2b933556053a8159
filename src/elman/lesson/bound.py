"""How fast a change of a state fades, beside the bound that theory gives.

Pascanu, Mikolov, Bengio, arXiv:1211.5063: ‖∂h_t/∂h_k‖ ≤ (σ γ)^(t-k), where σ is the largest singular value of
U and γ the steepest slope of the activation, 1 for tanh.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from elman.lens import jacobian
from elman.lesson.pictures import finished, panels
from elman.nn.recurrent import Recurrent

SEQUENCES, INPUTS, HIDDEN = 8, 16, 32


@dataclass(frozen=True)
class Fading:
    """‖∂h_t/∂h_k‖ over t-k = 0, 1, 2, …: the largest over sequences, and the bound."""

    largest: float  # singular value of U
    measured: tuple[float, ...]
    bound: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return asdict(self)

    def __str__(self) -> str:
        """Return a sentence."""
        steps = len(self.measured) - 1
        kept = all(m <= b for m, b in zip(self.measured, self.bound, strict=True))
        return (
            f"σ = {self.largest:.2f}: after {steps} steps at most {self.bound[-1]:.1e}, measured "
            f"{self.measured[-1]:.1e}; {'never above' if kept else 'ABOVE'} the bound"
        )


def fading(largest: float, steps: int = 40, seed: int = 0) -> Fading:
    """Measure an Elman layer, its U scaled so that `largest` is its largest singular value, on noise."""
    torch.manual_seed(seed)
    layer = Recurrent("elman", INPUTS, HIDDEN, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0 *= largest / torch.linalg.matrix_norm(layer.weight_hh_l0, 2)
    x = torch.randn(steps + 1, SEQUENCES, INPUTS, dtype=torch.float64)
    norms = []
    for step in range(steps + 1):
        (change,) = jacobian(layer, x, 0, step).values()
        norms.append(float(torch.linalg.matrix_norm(change, 2).max()))
    # rounding may put the state itself, over no steps, above 1
    return Fading(largest, tuple(norms), tuple(largest**k * (1 + 1e-9) for k in range(steps + 1)))


def plot(each: list[Fading], path: str | Path | None = None) -> Figure:
    """Draw measurements as lines and their bounds dashed, as .png or .svg if there is a path."""
    figure, (axis,) = panels(1)
    for one in each:
        (line,) = axis.semilogy(one.measured, label=f"σ = {one.largest:g}, measured")
        style: dict[str, Any] = {"color": line.get_color(), "linewidth": 1, "linestyle": "--"}
        axis.semilogy(one.bound, **style, label=f"σ = {one.largest:g}, bound")
    axis.set(xlabel="steps between the two states", ylabel="‖∂h$_t$/∂h$_k$‖")
    axis.legend(frameon=False, fontsize="small", ncols=2)
    return finished(figure, path)
