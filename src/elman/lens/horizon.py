"""How far back a recurrent network remembers: the memory horizon.

T steps, B sequences.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.errors import UsageError
from elman.lens.figures import finished, lines
from elman.lens.notebook import InNotebook
from elman.lens.recording import Layer, call, go_backward, learning, outputs_of
from elman.lens.view import check_function, view_of

SHARES: Final = (0.1, 0.01)  # of the influence on the loss, down to which the horizon reaches
SAMPLES: Final = 1_000  # of the bootstrap
INTERVAL: Final = (0.025, 0.975)
TINY: Final = 1e-30


@dataclass(frozen=True)
class Horizon:
    """How many steps back the influence falls to a share of that of the last step.

    Attributes:
        share: such as 0.1.
        steps: the median over sequences; infinite where most are too short to see it fall so far.
        low, high: the 95 % confidence interval of the median, by bootstrap over sequences.
    """

    share: float
    steps: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LayerMemory:
    """The memory of one layer in one direction.

    Attributes:
        name: of the layer.
        influence: ‖∂loss/∂state‖ of the state k steps before the last, as a share of the last one's, (T, B);
            NaN before the beginning of a sequence.
        horizons: for each of `SHARES`.
    """

    name: str
    influence: Tensor
    horizons: tuple[Horizon, ...]

    @property
    def length(self) -> int:
        """The steps of the longest sequence: no horizon beyond it can be seen."""
        return int((~self.influence.isnan()).sum(0).max())


@dataclass(frozen=True, eq=False)
class MemoryHorizon(InNotebook):
    """How far back a model remembers; made by `memory_horizon`."""

    layers: tuple[LayerMemory, ...]
    length: int  # of the longest sequence: no horizon beyond it can be seen
    unit: str  # of `scale` steps, for people
    scale: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers; None stands for a horizon beyond the sequences."""
        layers = {
            one.name: [
                {
                    "share": h.share,
                    **{
                        name: value if math.isfinite(value) else None
                        for name, value in (("steps", h.steps), ("low", h.low), ("high", h.high))
                    },
                }
                for h in one.horizons
            ]
            for one in self.layers
        }
        return {"unit": self.unit, "scale": self.scale, "length": self.length, "layers": layers}

    def __str__(self) -> str:
        """Return a line for each layer: the horizons, and their confidence intervals."""
        return "\n".join(
            f"{one.name}: "
            + ", ".join(f"{self._shown(one, h)} {self.unit} to {h.share:.0%}" for h in one.horizons)
            for one in self.layers
        )

    def _shown(self, layer: LayerMemory, horizon: Horizon) -> str:
        if not math.isfinite(horizon.steps):
            return f"more than all {self.scale * layer.length:.4g}"
        steps, low, high = (self.scale * steps for steps in (horizon.steps, horizon.low, horizon.high))
        return f"{steps:.1f} ({low:.1f} to {high:.1f})"

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the median influence over the steps back, as .png or .svg if there is a path."""
        curves = [(one.name, one.influence.nanmedian(dim=1).values) for one in self.layers]
        figure, _ = lines(
            curves, "steps back" if self.scale != 1 else f"{self.unit} back", "influence on the loss", SHARES
        )
        return finished(figure, path)


def memory_horizon(
    model: Any,
    input: Any = None,
    loss: Callable[[Any], Tensor] | None = None,
    *,
    unit: str | None = None,
    seed: int = 0,
) -> MemoryHorizon:
    """Measure how many steps back states still influence what a model says at the end of its sequences.

    Args:
        model, input: see `view_of`. Layers that read backwards are measured from a sequence's beginning.
        loss: from what the module returns to the loss at the end of the sequences. None: minus what speaks
            for the answers of a task's model; of a module, a random projection of its outputs at the last
            step, along axis 0, or axis 1 if its layers have the batch first; outputs (B, K) or (B,) are
            those after the last step already.
        unit: of a step, for people; None: as the task has it.
        seed: of the random projection and of the bootstrap.

    Raises:
        UsageError: the model has no recurrent layer, or the loss does not depend on it.
    """
    check_function("loss", loss)
    view = view_of(model, input)
    generator = torch.Generator().manual_seed(seed)
    with learning(view.module) as layers:
        result = call(view.module, view.input)
        if loss is None:
            of_task = view.score is not None
            value = view.at_end(result) if of_task else _projection(view.module, result, layers(), generator)
        else:
            value = loss(result)
        go_backward(view.module, value)
    memories = tuple(_memory(layer, np.random.default_rng(seed)) for layer in layers() if layer.run.gradients)
    if not memories:
        raise UsageError("the loss does not depend on a recurrent layer")
    if not all(g.isfinite().all() for layer in layers() for g in layer.run.gradients):
        raise UsageError(
            "the gradient is NaN or infinite, which has no horizon: see elman.lens.first_bad_step"
        )
    longest = max(int(layer.taken.sum(0).max()) for layer in layers())
    scale = view.scale if unit is None else 1.0
    return MemoryHorizon(memories, longest, view.unit if unit is None else unit, scale)


def _projection(model: nn.Module, result: Any, layers: Sequence[Layer], generator: torch.Generator) -> Tensor:
    first = any(getattr(module, "batch_first", False) for module in model.modules())
    last = _last(outputs_of(result), layers, first)
    direction = torch.randn(last.shape, generator=generator, dtype=last.dtype)
    return (last * direction.to(last.device)).sum()


def _last(outputs: Tensor, layers: Sequence[Layer], batch_first: bool) -> Tensor:
    """Return the outputs at the last step of every sequence."""
    steps, sequences = layers[0].taken.shape if layers else (0, 1)
    has_steps = outputs.dim() > 2 or outputs.shape == (
        (sequences, steps) if batch_first else (steps, sequences)
    )
    if has_steps:
        return outputs.select(1 if batch_first else 0, -1)
    if sequences > 1 and len(outputs) == sequences:
        return outputs  # an answer for each sequence
    return outputs.select(0, -1)  # of one sequence without a batch


def influence(layer: Layer) -> Tensor:
    """Return what `LayerMemory.influence` is, after a backward pass."""
    run = layer.run
    squares = torch.stack([g.square().sum(2) for g in run.gradients]).sum(0)
    norms = torch.where(layer.taken, squares.sqrt(), torch.nan).cpu().double()
    if not run.reverse:
        norms = norms.flip(0)
    # neither steps that a sequence does not take nor those after the last that the loss depends on
    norms = norms.masked_fill((norms.nan_to_num() != 0).cumsum(0) == 0, torch.nan)
    norms = _from_the_end(norms)
    return norms / norms[0].clamp_min(TINY)


def _memory(layer: Layer, rng: np.random.Generator) -> LayerMemory:
    curves = influence(layer)
    horizons = tuple(_horizon(curves.numpy(), share, rng) for share in SHARES)
    return LayerMemory(layer.name, curves, horizons)


def _from_the_end(norms: Tensor) -> Tensor:
    """Move NaN, of steps that a sequence does not take, behind the others."""
    order = norms.isnan().to(torch.int8).argsort(dim=0, stable=True)
    return norms.gather(0, order)


def _horizon(curves: NDArray[np.float64], share: float, rng: np.random.Generator) -> Horizon:
    falls = np.array([fall(column[~np.isnan(column)], share) for column in curves.T])
    draws = rng.integers(0, len(falls), (SAMPLES, len(falls)))
    medians = np.median(falls[draws], axis=1)
    low, high = np.quantile(medians, INTERVAL, method="nearest")
    return Horizon(share, float(np.median(falls)), float(low), float(high))


def fall(curve: NDArray[np.float64], share: float) -> float:
    """Return after how many steps an influence falls below a share for good, between two steps by its
    logarithm; infinite if it does not, 0 where there is none at all."""
    above = np.flatnonzero(curve >= share)
    if not len(above):
        return 0.0
    last = int(above[-1])
    if last + 1 == len(curve):
        return math.inf
    a, b = np.log(curve[last]), np.log(max(curve[last + 1], TINY))
    return last + float((a - math.log(share)) / (a - b))
