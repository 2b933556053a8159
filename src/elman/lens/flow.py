"""How the gradient of a loss flows back through time: its norm at every step, and where weights learn from.

T steps, B sequences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from elman.engine import eager, heads
from elman.engine.call import State, Weights, flatten, unflatten
from elman.lens.figures import finished, lines
from elman.lens.notebook import InNotebook
from elman.lens.recording import Layer, call, go_backward, learning
from elman.lens.view import View, check_function, view_of


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """The gradients in one layer in one direction.

    Attributes:
        name: of the layer.
        norms: of each state, ‖∂loss/∂state‖ after every step of every sequence, by all ways, (T, B); 0 where
            no step is taken.
        taken: (T, B) bool.
    """

    name: str
    norms: dict[str, Tensor]
    taken: Tensor
    _layer: Layer

    def shares(self) -> dict[str, Tensor]:
        """Return what share of each parameter's gradient each step has contributed, (T,); they sum to 1.

        A step's share is its gradient's part along the whole gradient, and is negative where it pulls
        another way; where the whole is 0, so are all shares.
        """
        return _shares(self._layer)


@dataclass(frozen=True, eq=False)
class GradientFlow(InNotebook):
    """How a loss's gradient flows back through time; made by `gradient_flow`."""

    loss: float
    layers: tuple[LayerFlow, ...]
    view: View

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers: of each layer and state, the norms (T, B)."""
        layers = {one.name: {name: norm.tolist() for name, norm in one.norms.items()} for one in self.layers}
        return {"loss": self.loss, "layers": layers}

    def __str__(self) -> str:
        """Return a line for each layer and state: its gradient at the first and the last step."""
        lines = []
        for one in self.layers:
            for name, norms in one.norms.items():
                each = norms.square().sum(1).sqrt()
                first, last = float(each[0]), float(each[-1])
                lines.append(f"{one.name}, {name}: {first:.2g} at the first step, {last:.2g} at the last")
        return "\n".join(lines)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the norms over steps (root mean square over sequences), as .png or .svg if there is a path."""
        curves = []
        for one in self.layers:
            count = one.taken.sum(1).clamp_min(1)
            for name, norm in one.norms.items():
                curves.append((f"{one.name}, {name}", (norm.square().sum(1) / count).sqrt()))
        figure, _ = lines(curves, "step", "‖∂loss/∂state‖")
        return finished(figure, path)


def gradient_flow(model: Any, input: Any = None, loss: Callable[[Any], Tensor] | None = None) -> GradientFlow:
    """Run a model forward and backward once, and return the gradient at every step of its recurrent layers.

    elman's layers take it from the backward kernel. torch.nn's are looked into in a copy of the model, with
    elman's in their place. Parameters' own gradients are left as they were.

    Args:
        model, input: see `view_of`.
        loss: from what the module returns to a number, such as `lambda output: output[0].sum()`; None: minus
            what speaks for the answers of a task's model, half the sum of the squared outputs of a module.

    Raises:
        UsageError: the model has no recurrent layer, or the loss is no number that depends on it.
    """
    check_function("loss", loss)
    view = view_of(model, input)
    with learning(view.module) as layers:
        value = (loss or view.loss)(call(view.module, view.input))
        go_backward(view.module, value)
    return GradientFlow(float(value.detach()), tuple(_flow(layer) for layer in layers()), view)


def _flow(layer: Layer) -> LayerFlow:
    run = layer.run
    gradients = run.gradients or tuple(torch.zeros_like(state) for state in run.states)
    norms = {name: g.norm(dim=2) for name, g in zip(run.cell.state, gradients, strict=True)}
    return LayerFlow(layer.name, norms, layer.taken, layer)


def _shares(layer: Layer) -> dict[str, Tensor]:
    run = layer.run
    leaves, names = flatten(run.weights), [*Weights._fields[:-1], *run.cell.weights]
    after = [_before_zoneout(layer, k, g).flatten(0, 1) for k, g in enumerate(run.gradients)]
    steps, shares = len(run.x), {}
    for k, leaf in enumerate(leaves):
        if leaf is None or not after:
            continue
        blocks = run.heads if names[k] == "weight_hh" else 1  # zeros between them are no parameters
        weight = heads.compact(leaf.detach(), blocks).requires_grad_()
        with torch.enable_grad():
            weights = unflatten(run.weights, [*leaves[:k], heads.dense(weight, blocks), *leaves[k + 1 :]])
            parts = _along_the_whole(_all_steps(layer, weights), weight, after)
        by_step = parts.view(steps, -1).sum(1)
        total = by_step.sum()
        shares[names[k]] = by_step / total if total > 0 else torch.zeros_like(by_step)
    return shares


def _along_the_whole(states: State, weight: Tensor, gradients: list[Tensor]) -> Tensor:
    """Return what each row of new states contributes to a weight's gradient, along that gradient: (rows,)."""
    seeds = [g.detach().requires_grad_() for g in gradients]
    # two passes backward give the derivative along a direction
    (whole,) = torch.autograd.grad(states, weight, seeds, create_graph=True, materialize_grads=True)
    if not whole.requires_grad:
        return seeds[0].new_zeros(len(seeds[0]))
    moved = torch.autograd.grad(whole, seeds, whole.detach(), materialize_grads=True)
    return torch.stack([(m * g).sum(1) for m, g in zip(moved, gradients, strict=True)]).sum(0)


def _all_steps(layer: Layer, weights: Weights[Tensor]) -> State:
    """Return the new states of all steps of all sequences, one row each, (T*B, H) each."""
    run = layer.run
    mask = run.noise.recurrent
    rows = tuple(state.flatten(0, 1) for state in layer.before)
    if mask is not None:
        mask = mask.expand(len(run.x), *mask.shape).flatten(0, 1)
    return eager.step(run.cell, run.x.detach().flatten(0, 1), rows, weights, mask)


def _before_zoneout(layer: Layer, k: int, gradient: Tensor) -> Tensor:
    """Return the gradient for a new state before zoneout mixes it with the old one."""
    kept = layer.run.noise.zoneout
    return gradient if kept is None else gradient * (1 - kept[k])
