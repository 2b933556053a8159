"""Do all units and gates of a recurrent network work, and on real input?

T steps, B sequences, H units.
"""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from elman.engine.eager import products
from elman.lens.activity import SQUASHING, LayerStates
from elman.lens.finding import Finding
from elman.lens.recording import Layer

# Of a gate's range, from an end: there a sigmoid's slope is below 0.01, a 25th of its largest.
END: Final = 0.01
# Share of all steps and units there, of each gate. In fresh networks of built-in cells it is at most 0.04.
SATURATED: Final = 0.4
KEEPING: Final = ("f", "z", "g")  # sigmoids that choose between a state and what is new
# Share of units that do nothing. A trained network has some, without harm.
IDLE_UNITS: Final = 0.2
MIN_VALUES: Final = 32  # steps of all sequences, to call a unit idle
LARGE_INPUT: Final = 3.0  # root mean square
LISTED: Final = 8
MIN_PADDING: Final = 8  # steps at a sequence's end of one and the same input
PADDED: Final = 0.25  # share of the steps of most sequences


def check_units(layer: Layer, states: LayerStates) -> Iterator[Finding]:
    """Yield what is wrong with the gates and units of one layer."""
    yield from _saturated(layer, states)
    if int(layer.taken.sum()) >= MIN_VALUES:
        yield from _idle(layer, states)


def check_padding(layer: Layer) -> Iterator[Finding]:
    """Yield a finding where the last steps of most sequences are padding which the layer reads as input."""
    x = layer.run.x.detach().flip(0) if not layer.run.reverse else layer.run.x.detach()
    taken = layer.taken.flip(0) if not layer.run.reverse else layer.taken
    if int(taken.sum(0).min()) < len(x):  # it knows the lengths
        return
    same = (x == x[:1]).all(2).double().cumprod(0).sum(0)  # (B,), steps like the last one
    padding = torch.where((x[0] == x[0, same.argmax()]).all(1), same, 0.0)  # of one input for all sequences
    share = float((padding / len(x)).median())
    if x.shape[1] < 2 or float(padding.median()) < MIN_PADDING or share < PADDED or share == 1:
        return
    yield Finding(
        "padding",
        f"Layer {layer.name} reads padding: the last {padding.median():.0f} of {len(x)} steps of half the "
        "sequences have one and the same input, after which little is left of what came before",
        {"layer": layer.name, "padding": float(padding.median()), "share": share, "length": len(x)},
        "give the layer the lengths of the sequences (lengths=..., or a PackedSequence), or pad before the "
        "sequences' beginnings",
    )


def _saturated(layer: Layer, states: LayerStates) -> Iterator[Finding]:
    shares = {
        name: _share_at_ends(layer, states, name, *rest) for name, rest in _squashed(layer, states).items()
    }
    # one gate that is open or closed may be what the task asks for
    if min(shares.values(), default=0.0) < SATURATED:
        return
    by_input, by_state = _parts(layer)
    inputs = float(layer.run.x.detach()[layer.taken].double().square().mean().sqrt())
    listed = ", ".join(f"{name} ({share:.0%} of its values)" for name, share in shares.items())
    yield Finding(
        "saturated",
        f"Layer {layer.name} is saturated: {listed} within 1 % of an end of their range, where nearly no "
        f"gradient passes. The input (root mean square {inputs:.2g}) adds {by_input:.2g} to the sums of the "
        f"gates, the state before {by_state:.2g}",
        {"layer": layer.name, "shares": shares, "input_rms": inputs}
        | {"from_input": by_input, "from_state": by_state},
        _smaller(inputs, by_input, by_state),
    )


def _share_at_ends(layer: Layer, states: LayerStates, name: str, values: Tensor, kind: str) -> float:
    low, high = SQUASHING[kind]
    idle = {*states.dead_units(), *states.stuck_units()}  # are told of on their own
    working = [unit for unit in range(values.shape[2]) if unit not in idle]
    places = (values[layer.taken][:, working].double() - low) / (high - low)
    if not places.numel():
        return 0.0
    at_low, at_high = (float(end.double().mean()) for end in (places < END, places > 1 - END))
    if kind == "sigmoid" and name in KEEPING:  # one that keeps or takes all the time is meant to
        return 2 * min(at_low, at_high)
    return at_low + at_high


def _smaller(inputs: float, by_input: float, by_state: float) -> str:
    if inputs > LARGE_INPUT:
        return "standardise the inputs: subtract their mean and divide by their standard deviation"
    part = "input" if by_input > by_state else "recurrent"
    return f"smaller {part} weights: initialise them again, lower learning_rate, or set layer_norm=True"


def _parts(layer: Layer) -> tuple[float, float]:
    """Return the root mean squares of W x + b and of U h + b' over all gates."""
    run = layer.run
    with torch.no_grad():
        x, u = products(run.cell, run.x.flatten(0, 1), layer.before[0].flatten(0, 1), run.weights)
    rows = layer.taken.flatten()

    def size(sums: tuple[Tensor, ...]) -> float:
        return (
            float(torch.stack([one[rows] for one in sums]).double().square().mean().sqrt()) if sums else 0.0
        )

    return size(tuple(x)), size(tuple(u)) if run.cell.recurrent else 0.0


def _squashed(layer: Layer, states: LayerStates) -> dict[str, tuple[Tensor, str]]:
    """Return the gates, and the state of a cell whose output is a tanh, each with its kind."""
    gates = {}
    for name, values in states.gates.items():
        kind = "tanh" if bool((values < 0).any()) else "sigmoid"
        gates[name] = values, kind
    h = states.states[layer.run.cell.state[0]]
    if not gates and bool((h.abs() <= 1).all()) and bool((h < 0).any()):
        gates[layer.run.cell.state[0]] = h, "tanh"
    return gates


def _idle(layer: Layer, states: LayerStates) -> Iterator[Finding]:
    state = layer.run.cell.state[0]
    units = layer.run.states[0].shape[2]
    sums = {"dead": states.dead_units(), "stuck": states.stuck_units()}
    sums["dead"] = [k for k in sums["dead"] if k not in sums["stuck"]]
    words = {"dead": "hardly change from step to step", "stuck": "are nearly always at -1 or 1"}
    for kind, numbers in sums.items():
        if len(numbers) <= IDLE_UNITS * units:
            continue
        listed = ", ".join(map(str, numbers[:LISTED])) + (", ..." if len(numbers) > LISTED else "")
        yield Finding(
            kind,
            f"{len(numbers)} of {units} units of {state} in layer {layer.name} {words[kind]}: {listed}",
            {"layer": layer.name, "units": numbers, "of": units, "share": len(numbers) / units},
            "set the biases of these units to 0 and draw their weights anew; then lower learning_rate, at "
            "which they would get there again",
        )
