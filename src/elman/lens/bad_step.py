"""Where numbers first went wrong: which step, layer and unit first became NaN, infinite or huge.

T steps, B sequences, H units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from elman.engine.trace import trace
from elman.lens.activity import evaluate
from elman.lens.notebook import InNotebook
from elman.lens.recording import Layer, passes_of
from elman.lens.view import view_of

HUGE: Final = 1e4  # beyond it a value counts as exploded


@dataclass(frozen=True)
class BadStep(InNotebook):
    """The first value that went wrong. As text, a sentence.

    Attributes:
        place: the layer, or the parameter.
        step: number of the step, from 0; None for a parameter or the model's own input.
        sequence: number in the batch, from 0; None likewise.
        value: name of the gate's sum, the gate or the state, such as "f" or "c"; "x" for the layer's input;
            "the gradient for h" for that.
        unit: its number, from 0.
        kind: "NaN", "infinite" or "exploded", which is beyond 10,000.
    """

    place: str
    step: int | None
    sequence: int | None
    value: str
    unit: int | None
    kind: str

    def __str__(self) -> str:
        if self.step is None:
            return f"the parameter {self.place} holds a value that is {self.kind}"
        where = f"step {self.step} of sequence {self.sequence}"
        what = f"input {self.unit}" if self.value == "x" else f"unit {self.unit} of {self.value}"
        return f"{what} of layer {self.place} is {self.kind}, first at {where}"


def first_bad_step(model: Any, input: Any = None) -> BadStep | None:
    """Run a model and return where a number first became NaN, infinite or exploded; None if none did.

    Parameters come first, as nothing can be right after them; then layers in the order of their calls, each
    in the order in which it takes its steps, and within a step its input before its sums, gates and states.

    Args:
        model, input: see `view_of`.

    Raises:
        UsageError: the model has no recurrent layer.
    """
    view = view_of(model, input)
    return bad_value(view.module, passes_of(view.module, view.input))


def bad_value(module: nn.Module, layers: Sequence[Layer]) -> BadStep | None:
    """Return what `first_bad_step` does, of passes that are recorded already."""
    for name, parameter in module.named_parameters():
        if (kind := _kind(parameter.detach())) in ("NaN", "infinite"):
            return BadStep(name, None, None, "", None, kind)
    found = (_first(layer) for layer in layers)
    return next((bad for bad in found if bad is not None), None)


def bad_gradient(layers: Sequence[Layer]) -> BadStep | None:
    """Return where a gradient of a state first became NaN or infinite on its way back, after a backward pass:
    layers in the reverse order of their calls, each from its last step. None if none did."""
    for layer in reversed(layers):
        if not layer.run.gradients:
            continue
        named = zip(layer.run.cell.state, layer.run.gradients, strict=True)
        bad = {name: ~gradient.isfinite() & layer.taken.unsqueeze(2) for name, gradient in named}
        wrong = torch.stack([one.flatten(1).any(1) for one in bad.values()]).any(0).nonzero().flatten()
        if len(wrong):
            step = int(wrong.min() if layer.run.reverse else wrong.max())
            name = next(name for name, one in bad.items() if one[step].any())
            sequence, unit = bad[name][step].nonzero()[0].tolist()
            gradient = layer.run.gradients[layer.run.cell.state.index(name)][step, sequence, unit]
            return BadStep(layer.name, step, sequence, f"the gradient for {name}", unit, _kind(gradient))
    return None


def _first(layer: Layer) -> BadStep | None:
    run, program = layer.run, trace(layer.run.cell)
    named = {"x": run.x.detach()}
    for k, value in enumerate(evaluate(layer)):
        node = program.nodes[k]
        name = program.names[k] or (node.args[1] if node.op == "input" else "")
        if name and value.shape[:2] == run.x.shape[:2]:
            # the sums of a gate and the gate itself may have one name
            named.setdefault(name if name not in named else f"{name}'", value)
    bad = {name: _is_bad(value) & layer.taken.unsqueeze(2) for name, value in named.items()}
    steps = torch.stack([b.flatten(1).any(1) for b in bad.values()])
    wrong = steps.any(0).nonzero().flatten().tolist()
    if not wrong:
        return None
    step = wrong[-1] if run.reverse else wrong[0]
    name = next(name for name, b in bad.items() if b[step].any())
    sequence, unit = bad[name][step].nonzero()[0].tolist()
    value = named[name][step, sequence, unit]
    return BadStep(layer.name, step, sequence, name.rstrip("'"), unit, _kind(value))


def _is_bad(values: Tensor) -> Tensor:
    return ~(values.abs() <= HUGE)


def _kind(values: Tensor) -> str:
    if values.isnan().any():
        return "NaN"
    if values.isinf().any():
        return "infinite"
    return "exploded" if bool((values.abs() > HUGE).any()) else ""
