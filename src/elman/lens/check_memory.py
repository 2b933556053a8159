"""Is the memory of a recurrent network as long as its data ask for?

Gradients that vanish or explode, forget biases that start too low, windows of training that cut what the data
hold. T steps, B sequences, H units.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from elman.lens.activity import LayerStates
from elman.lens.finding import Finding
from elman.lens.horizon import MemoryHorizon
from elman.lens.recording import Layer
from elman.lens.view import View

# A fresh network of any built-in cell keeps 10 % of its influence for 1 to 24 steps, of 32 units and more for
# 2 to 24. Below a step, a state hardly depends on the one before.
SHORTEST_HORIZON: Final = 1.0
MIN_STEPS: Final = 10  # of sequences in which a short memory is worth a word
# Of the influence, at the lag of the dependency: below it what reaches so far is lost among the other steps.
NOTHING: Final = 1e-4
# Likewise: networks that had learned to recall a symbol kept more, those that had not, less.
SHORT: Final = 0.003
LEFT: Final = 0.05  # of the influence, where a window ends: more is cut away too early
# Growth backward to call an explosion: fresh networks of built-in cells have none; tanh and gated ones that
# had learned to recall a symbol at most 29. Rectified units often have more.
GROWTH: Final = 30.0
EXPONENT: Final = 0.01  # per step: a growth of 10 in 230 steps
# A unit with forget gate f keeps f^n after n steps; the best tenth of the units should keep a tenth over the
# dependency.
BEST_UNITS: Final = 0.9
KEPT: Final = 0.1
WINDOW_FACTOR: Final = 2  # windows of twice the dependency hold at least half of all dependencies whole


@dataclass(frozen=True, eq=False)
class Memory:
    """What is known of a network's memory: `horizon` and `passes` of the same layers, and `exponents`."""

    horizon: MemoryHorizon
    passes: Sequence[Layer]
    states: Sequence[LayerStates]
    exponents: Mapping[str, Tensor]

    def steps(self) -> float:
        """Return the 10 % horizon of the layer that remembers longest."""
        return max(one.horizons[0].steps for one in self.horizon.layers)

    def at(self, lag: int) -> float:
        """Return the median influence so far back, or at the beginning, of the layer with the largest."""
        return max(float(curve[min(lag, len(curve) - 1)]) for curve in self.curves().values())

    def too_short(self, dependency: int) -> bool:
        return self.steps() < dependency and self.at(dependency) < SHORT

    def curves(self) -> dict[str, Tensor]:
        """Return the median influence of each layer over the steps back, without steps that none has."""
        medians = {one.name: one.influence.nanmedian(dim=1).values for one in self.horizon.layers}
        curves = {name: curve[~curve.isnan()] for name, curve in medians.items()}
        return {name: curve for name, curve in curves.items() if len(curve)}


def check_memory(view: View, memory: Memory, dependency: int | None, window: int | None) -> Iterator[Finding]:
    """Yield what is wrong with the memory; nothing where the loss depends on no state."""
    if not memory.curves():
        return
    exploding = [*_exploding(view, memory)]
    yield from exploding
    if not exploding:
        yield from _too_short(view, memory, dependency)
    if dependency is not None:
        yield from _low_forget_gates(view, memory, dependency)
    if window is not None:
        yield from _cut(view, memory, dependency, window)


def span(view: View, steps: float) -> str:
    """Return a number of steps in the view's unit."""
    if not math.isfinite(steps):
        return f"all {view.unit}"
    return f"{view.scale * steps:.3g} {view.unit}"


def chrono_bias(dependency: int) -> float:
    """Return the bias with which a forget gate keeps a state for about so many steps: Tallec, Ollivier,
    arXiv:1804.11188."""
    return round(math.log(max(dependency - 1, 2)), 1)


def _too_short(view: View, memory: Memory, dependency: int | None) -> Iterator[Finding]:
    steps, length = memory.steps(), memory.horizon.length
    if dependency is None:
        if steps < SHORTEST_HORIZON and length >= MIN_STEPS:
            yield Finding(
                "vanishing",
                f"The gradient vanishes: going back it falls to 10 % within {span(view, steps)}, in "
                f"sequences of up to {span(view, length)}: each state hardly depends on the one before",
                {"horizon": steps, "length": length},
                "inputs of mean 0 and standard deviation 1; layer_norm=True; or draw the recurrent weights "
                'anew with recurrent_init="orthogonal"',
            )
        return
    influence = memory.at(dependency)
    if not memory.too_short(dependency):
        return
    figures = {"horizon": steps, "dependency": dependency, "influence": influence, "length": length}
    facts = f"going back, the influence on the loss falls to 10 % within {span(view, steps)}; "
    facts += f"{span(view, dependency)} back, as far as the data depend on their past, it is {influence:.1g}"
    advice = _gates_advice(memory, dependency)
    if influence < NOTHING:
        yield Finding("vanishing", f"The gradient vanishes: {facts}", figures, advice)
    else:
        yield Finding(
            "short_horizon", f"The memory is shorter than the data ask for: {facts}", figures, advice
        )


def _gates_advice(memory: Memory, dependency: int) -> str:
    bias = f"forget_bias={chrono_bias(dependency):g}"
    cells = {layer.run.cell.name for layer in memory.passes}
    if any(layer.run.cell.forget_bias is not None for layer in memory.passes):
        return f"{bias}, or train longer: an LSTM learns to keep what it needs"
    other = f"elman.LSTM with {bias} in place of {' and '.join(sorted(cells))}"
    return f"the mean of all outputs in place of the last, if the answer is one for a sequence; or {other}"


def _exploding(view: View, memory: Memory) -> Iterator[Finding]:
    for name, curve in memory.curves().items():
        growth, exponent = float(curve.max()), float(memory.exponents[name][0])
        if growth > GROWTH and exponent > EXPONENT:
            yield Finding(
                "exploding",
                f"The gradient explodes in layer {name}: going back it grows {growth:.3g} times within "
                f"{span(view, int(curve.argmax()))}, and a small change of the state grows by "
                f"{math.expm1(exponent):.1%} a step (Lyapunov exponent {exponent:.3g})",
                {"layer": name, "growth": growth, "steps": int(curve.argmax()), "exponent": exponent},
                'draw the recurrent weights anew with recurrent_init="orthogonal"; then clip gradients, at a '
                "norm of 1, and lower learning_rate, so that they stay so",
            )


def _low_forget_gates(view: View, memory: Memory, dependency: int) -> Iterator[Finding]:
    needed = KEPT ** (1 / dependency)
    for layer, states in zip(memory.passes, memory.states, strict=True):
        if layer.run.cell.forget_bias is None or "f" not in states.gates or not memory.too_short(dependency):
            continue
        by_unit = states.gates["f"][states.taken].double().mean(0)
        best = float(torch.quantile(by_unit, BEST_UNITS))
        if best >= needed:
            continue
        kept = math.log(KEPT) / math.log(best)
        yield Finding(
            "forget_bias",
            f"The forget gates of layer {layer.name} are too low: their mean is {by_unit.mean():.2f}, and "
            f"{best:.2f} in the best tenth of the units, which keep 10 % of a state for {span(view, kept)}; "
            f"the data's {span(view, dependency)} ask for {needed:.3f}",
            {"layer": layer.name, "mean": float(by_unit.mean()), "best": best, "needed": needed}
            | {"dependency": dependency},
            f"forget_bias={chrono_bias(dependency):g} when the network is made (ln(dependency - 1))",
        )


def _cut(view: View, memory: Memory, dependency: int | None, window: int) -> Iterator[Finding]:
    if dependency is not None and window < dependency:
        better = WINDOW_FACTOR * dependency
        yield Finding(
            "window",
            f"Training cuts what the data hold: gradients go back through {span(view, window)}, and the data "
            f"depend on their past over {span(view, dependency)}",
            {"window": window, "dependency": dependency, "better": better},
            f"windows of {better} steps, so that most of these dependencies lie within one",
        )
    elif dependency is None and memory.horizon.length > window and (influence := memory.at(window)) >= LEFT:
        one_percent = max(one.horizons[1].steps for one in memory.horizon.layers)
        better = math.ceil(one_percent) if math.isfinite(one_percent) else memory.horizon.length
        yield Finding(
            "window",
            f"Training cuts what the network remembers: {span(view, window)} back, where gradients end, the "
            f"influence on the loss is still {influence:.0%}",
            {"window": window, "influence": influence, "better": better},
            f"windows of {better} steps, within which the influence falls to 1 % or the sequences end",
        )
