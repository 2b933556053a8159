"""Hidden states, cell states and gates of every step, and which units do nothing.

T steps, B sequences, H units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from elman.engine.eager import products
from elman.engine.gates import gate_values
from elman.engine.ops import OPS
from elman.engine.program import Program
from elman.engine.trace import trace
from elman.errors import UsageError
from elman.lens.figures import finished, maps
from elman.lens.notebook import InNotebook
from elman.lens.recording import Layer, passes_of
from elman.lens.view import View, view_of

SQUASHING: Final = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
SATURATED: Final = 0.1  # of its range, from either end, where a gate counts as saturated
STILL: Final = 1e-3  # standard deviation of a unit that counts as dead
STUCK_VALUE, STUCK_SHARE = 0.99, 0.99  # a unit at the end of its range nearly all the time


class Saturation(NamedTuple):
    """In which share of steps each unit of a gate is near the low or the high end of its range, (H,) each."""

    low: Tensor
    high: Tensor


@dataclass(frozen=True, eq=False)
class LayerStates:
    """What one layer in one direction computes at every step.

    Attributes:
        name: of the layer.
        states: by name, after every step, (T, B, H) each.
        gates: by name, (T, B, H) each.
        taken: which steps each sequence takes, (T, B) bool.
    """

    name: str
    states: dict[str, Tensor]
    gates: dict[str, Tensor]
    taken: Tensor
    _ranges: dict[str, tuple[float, float]]  # of the gates

    def saturation(self) -> dict[str, Saturation]:
        """Return for each gate how often each unit is within a tenth of an end of its range."""
        shares = {}
        for name, gate in self.gates.items():
            low, high = self._ranges[name]
            places = (gate[self.taken] - low) / (high - low)
            ends = (places < SATURATED, places > 1 - SATURATED)
            shares[name] = Saturation(*(end.double().mean(0) for end in ends))
        return shares

    def __str__(self) -> str:
        """Return how many units there are, how many do nothing, and how saturated the gates are."""
        shares = [
            f"{gate} {float((share.low + share.high).mean()):.0%}"
            for gate, share in self.saturation().items()
        ]
        units = next(iter(self.states.values())).shape[2]
        idle = f"{len(self.dead_units())} dead and {len(self.stuck_units())} stuck"
        ends = f"; near an end of their range: {', '.join(shares)}" if shares else ""
        return f"{self.name}: {units} units, {idle}{ends}"

    def dead_units(self) -> list[int]:
        """Return the units whose first state hardly changes from step to step and sequence to sequence."""
        values = next(iter(self.states.values()))[self.taken]
        still = values.std(0, unbiased=False) < STILL
        return still.nonzero().flatten().tolist()

    def stuck_units(self) -> list[int]:
        """Return the units whose first state is nearly always at an end of -1 to 1."""
        values = next(iter(self.states.values()))[self.taken]
        stuck = (values.abs() > STUCK_VALUE).double().mean(0) > STUCK_SHARE
        return stuck.nonzero().flatten().tolist()

    def tracking(self, signal: Any) -> Tensor:
        """Return how each unit of the first state goes along with a signal: the correlation, (H,).

        Args:
            signal: a number for every step of every sequence, (T, B).
        """
        values = torch.as_tensor(signal, dtype=torch.float64)
        if values.shape != self.taken.shape:
            raise UsageError(f"a signal must be {tuple(self.taken.shape)}, not {tuple(values.shape)}")
        y = values[self.taken]
        x = next(iter(self.states.values()))[self.taken].double()
        x, y = x - x.mean(0), y - y.mean()
        scale = x.norm(dim=0) * y.norm()
        return torch.where(scale > 0, (x * y.unsqueeze(1)).sum(0) / scale.clamp_min(1e-300), 0.0)


@dataclass(frozen=True, eq=False)
class States(InNotebook):
    """What recurrent layers compute at every step; made by `states`."""

    layers: tuple[LayerStates, ...]
    view: View

    def __str__(self) -> str:
        """Return a line for each layer."""
        return "\n".join(map(str, self.layers))

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers: of each layer, states and gates (T, B, H)."""
        return {
            one.name: {name: values.tolist() for name, values in (one.states | one.gates).items()}
            for one in self.layers
        }

    def plot(
        self, path: str | Path | None = None, sequence: int = 0, labels: Sequence[str] | None = None
    ) -> Figure:
        """Draw states and gates of one sequence, unit by unit, as .png or .svg if there is a path.

        Args:
            labels: of the steps, such as words; None: those of the view.
        """
        each = []
        if labels is None:
            names = self.view.labels_of(self.layers[0].name)
            labels = names[sequence] if names else None
        for one in self.layers:
            steps = one.taken[:, sequence]
            for name, values in (one.states | one.gates).items():
                each.append((f"{one.name}, {name}", values[steps, sequence].float()))
        return finished(maps(each, labels, "step"), path)


def states(model: Any, input: Any = None) -> States:
    """Run a model and return every state and gate of every step of its recurrent layers.

    Gates are those that a cell's equations squash into a range by sigmoid or tanh, and that are not states
    themselves. The layers return all of them: `return_gates=True`.

    Args:
        model, input: see `view_of`.

    Raises:
        UsageError: the model has no recurrent layer.
    """
    view = view_of(model, input)
    return States(tuple(layer_states(layer) for layer in passes_of(view.module, view.input)), view)


def layer_states(layer: Layer) -> LayerStates:
    """Return what a recorded layer has computed."""
    run = layer.run
    values = evaluate(layer)
    program = trace(run.cell)
    named = {
        name: k
        for name, k in gate_values(program).items()
        if program.nodes[k].op in SQUASHING and k not in program.outputs
    }
    gates = {name: values[k] for name, k in named.items()}
    ranges = {name: SQUASHING[program.nodes[k].op] for name, k in named.items()}
    return LayerStates(
        layer.name, dict(zip(run.cell.state, run.states, strict=True)), gates, layer.taken, ranges
    )


def evaluate(layer: Layer) -> list[Tensor]:
    """Return every value of a cell's equations at every step, (T, B, H) each, in the Program's order."""
    run, program = layer.run, trace(layer.run.cell)
    before = layer.before
    shape = run.x.shape[:2]
    with torch.no_grad():
        mask = run.noise.recurrent
        h = before[0] if mask is None else before[0] * mask
        x, u = products(run.cell, run.x.flatten(0, 1), h.flatten(0, 1), run.weights)
    inputs: dict[tuple[str, str], Tensor] = {}
    for letter, sums in (("x", x), ("u", u)):
        inputs |= {
            (letter, gate): part.view(*shape, -1) for gate, part in zip(run.cell.gates, sums, strict=True)
        }
    inputs |= {("s", name): s for name, s in zip(run.cell.state, before, strict=True)}
    inputs |= {("w", name): w.detach() for name, w in zip(run.cell.weights, run.weights.units, strict=True)}
    return _values(program, inputs, before[-1])


def _values(program: Program, inputs: Mapping[tuple[str, str], Tensor], like: Tensor) -> list[Tensor]:
    values: list[Tensor] = []
    for node in program.nodes:
        if node.op == "input":
            values.append(inputs[node.args])
        elif node.op == "constant":
            values.append(like.new_tensor(node.args[0]))
        else:
            values.append(OPS[node.op].value(*(values[a] for a in node.args)))
    return values
