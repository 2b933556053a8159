"""The network over time: its steps side by side, the same weights at each, and edges as thick as the gradient
that flows back along them.

T steps, B sequences, H units; S steps that are shown.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from elman.atomic import replace_file, writing
from elman.engine import eager
from elman.errors import UsageError
from elman.lens.drawing import UnrolledLayer, draw
from elman.lens.notebook import InNotebook
from elman.lens.numbers import check_least, check_number
from elman.lens.recording import Layer, call, go_backward, learning
from elman.lens.view import check_function, view_of

ROUNDING: Final = 1e-5  # of a gradient: what is left of less is rounding


@dataclass(frozen=True, eq=False)
class Unrolled(InNotebook):
    """A network over time; made by `unroll`.

    Attributes:
        layers: in the order of their calls; for a layer in two directions, two.
        labels: of the steps shown; numbers where there are none.
        begin: number of the first step shown.
        loss: whose gradient it is.
        answer: what the model says; "" if it has no words for it.
        left_out: names of layers that take other steps than the first, and are not drawn.
    """

    layers: tuple[UnrolledLayer, ...]
    labels: tuple[str, ...]
    begin: int
    loss: float
    answer: str
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, (S,) each."""
        names = ("strength", "through_time", "through_input", "from_above")
        layers = {one.name: {name: getattr(one, name).tolist() for name in names} for one in self.layers}
        return {
            "loss": self.loss,
            "answer": self.answer,
            "begin": self.begin,
            "labels": list(self.labels),
            "layers": layers,
            "left_out": list(self.left_out),
        }

    def __str__(self) -> str:
        """Return a line for each layer: what of the gradient reaches the far end of the steps shown."""
        return "\n".join(self._sentences())

    def svg(self) -> str:
        """Return the drawing as an <svg> element, or as the content of a file. On a page, its ink has the
        colour of the text around it; as a file, it is light or dark as the reader prefers."""
        return draw(self.layers, self.labels, self.begin, self.answer, tuple(self._sentences()))

    def plot(self, path: str | Path | None = None) -> str:
        """Return the drawing as SVG, and write it if there is a path, which ends in .svg."""
        drawing = self.svg()
        if path is not None:
            file_path = Path(path)
            if file_path.suffix.lower() != ".svg":
                raise UsageError(f"an unrolled network is drawn as .svg, not {file_path.suffix or 'nothing'}")
            with writing(file_path, UsageError), replace_file(file_path) as file:
                file.write(drawing.encode())
        return drawing

    def _sentences(self) -> Iterator[str]:
        for one in self.layers:
            last, first = (0, -1) if one.reverse else (-1, 0)
            near, far = float(one.through_input[last]), float(one.through_input[first])
            ends = f"{near:.2g} at “{self.labels[last]}”, {far:.2g} at “{self.labels[first]}”"
            yield f"{one.name}: the gradient that reaches what a step reads is {ends}"
        if self.left_out:
            yield f"not drawn, for they take other steps: {', '.join(self.left_out)}"


def unroll(
    model: Any,
    input: Any = None,
    loss: Callable[[Any], Tensor] | None = None,
    *,
    sequence: int = 0,
    most: int = 12,
) -> Unrolled:
    """Run a model forward and backward once, and return it unrolled over the steps of one sequence.

    Args:
        model, input, loss: as for `gradient_flow`.
        sequence: number in the batch, from 0.
        most: number of steps that are drawn, the last ones.

    Raises:
        UsageError: as `gradient_flow`; there is no such sequence, or `most` is below 1.
    """
    check_least("most", most)
    check_function("loss", loss)
    view = view_of(model, input)
    with learning(view.module) as layers:
        value = (loss or view.loss)(call(view.module, view.input))
        go_backward(view.module, value)
    flows = {name: _flow(tuple(passes)) for name, passes in _by_name(layers()).items()}
    if not flows:
        raise UsageError(f"{type(view.module).__name__} called no recurrent layer for this input")
    name, taken = next((name, flow.taken) for name, flow in flows.items())
    check_number("sequence", sequence, taken.shape[1])
    names = view.labels_of(name)
    labels = names[sequence] if names else tuple(map(str, range(int(taken[:, sequence].sum()))))
    begin = max(len(labels) - most, 0)
    same = {name: flow for name, flow in flows.items() if flow.taken.shape == taken.shape}
    return Unrolled(
        tuple(flow.over(name, slice(begin, len(labels)), sequence) for name, flow in same.items()),
        labels[begin:],
        begin,
        float(value.detach()),
        view.answers[sequence] if view.answers else "",
        tuple(name for name in flows if name not in same),
    )


class Flow(NamedTuple):
    """What flows through a layer in one direction: see `UnrolledLayer`, (T, B) each."""

    reverse: bool
    taken: Tensor
    strength: Tensor
    through_time: Tensor
    through_input: Tensor
    from_above: Tensor

    def over(self, name: str, steps: slice, sequence: int) -> UnrolledLayer:
        """Return it over some steps of a sequence."""
        parts = (part[steps, sequence].cpu() for part in self[2:])
        return UnrolledLayer(name, self.reverse, *parts)


def _by_name(layers: Sequence[Layer]) -> dict[str, list[Layer]]:
    named: dict[str, list[Layer]] = {}
    for layer in layers:
        named.setdefault(layer.name, []).append(layer)
    return named


def _flow(passes: Sequence[Layer]) -> Flow:
    """Return what flows through a layer in its passes, one after another in time."""
    gradients, back, to_x = (
        tuple(map(torch.cat, zip(*parts, strict=True))) for parts in zip(*map(_backward, passes), strict=True)
    )
    reverse = passes[0].run.reverse
    above = _norm([g - _earlier(b, reverse) for g, b in zip(gradients, back, strict=True)])
    above = above.where(above > ROUNDING * _norm(gradients), 0.0)  # the difference of two equal ones
    h = torch.cat([layer.run.states[0].detach() for layer in passes])
    taken = torch.cat([layer.taken for layer in passes])
    return Flow(reverse, taken, h.square().mean(2).sqrt(), _norm(back), _norm(to_x), above)


Gradients = tuple[Tensor, ...]


def _backward(layer: Layer) -> tuple[Gradients, Gradients, Gradients]:
    """Return the gradients for a layer's states after each step, and what each step passes back of them: to
    the states before, and to what it reads."""
    run = layer.run
    gradients = tuple(g.detach() for g in run.gradients or map(torch.zeros_like, run.states))
    x = run.x.detach().requires_grad_()
    before = tuple(state.detach().requires_grad_() for state in layer.before)
    mask = run.noise.recurrent
    if mask is not None:
        mask = mask.expand(len(x), *mask.shape).flatten(0, 1)
    with torch.enable_grad():
        rows = tuple(state.flatten(0, 1) for state in before)
        new = eager.step(run.cell, x.flatten(0, 1), rows, run.weights, mask)
        new = tuple(state.view_as(old) for state, old in zip(new, before, strict=True))
        if run.noise.zoneout is not None:
            kept = run.noise.zoneout
            new = tuple(k * old + (1 - k) * made for k, old, made in zip(kept, before, new, strict=True))
    to_x, *back = torch.autograd.grad(new, (x, *before), gradients, materialize_grads=True)
    if run.clear is not None:  # nothing flows into the sequence before
        back = [torch.where(run.clear.unsqueeze(2), 0.0, g) for g in back]
    return gradients, tuple(back), (to_x,)


def _earlier(back: Tensor, reverse: bool) -> Tensor:
    """Return what comes to each step's state from the step taken after it."""
    nothing = torch.zeros_like(back[:1])
    return torch.cat([nothing, back[:-1]]) if reverse else torch.cat([back[1:], nothing])


def _norm(gradients: Sequence[Tensor]) -> Tensor:
    return torch.stack([g.square().sum(2) for g in gradients]).sum(0).sqrt()
