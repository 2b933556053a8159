"""What is wrong with a recurrent network, in words and figures, and what to try.

T steps, B sequences.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from torch import Tensor

from elman.errors import UsageError
from elman.lens.activity import layer_states
from elman.lens.bad_step import first_bad_step
from elman.lens.check_forecast import check_forecast
from elman.lens.check_memory import Memory, check_memory
from elman.lens.check_state import check_boundaries
from elman.lens.check_units import check_padding, check_units
from elman.lens.finding import Finding
from elman.lens.horizon import memory_horizon
from elman.lens.jacobians import lyapunov_exponents
from elman.lens.notebook import InNotebook
from elman.lens.recording import passes_of
from elman.lens.view import View, check_function, view_of
from elman.settings import is_whole


@dataclass(frozen=True)
class Diagnosis(InNotebook):
    """What is wrong, the gravest first; made by `diagnose`. As text, a paragraph for each finding.

    Kinds of findings: "bad_step" (a value is NaN, infinite or exploded), "copies_last", "carried_state",
    "padding", "exploding", "vanishing", "short_horizon", "forget_bias", "window", "saturated", "dead",
    "stuck".
    """

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        return not self.findings

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the findings, each once."""
        return tuple(dict.fromkeys(one.kind for one in self.findings))

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "Nothing wrong is found."

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in str(self).splitlines())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"healthy": self.healthy, "findings": [one.to_dict() for one in self.findings]}


def diagnose(
    model: Any,
    data: Any = None,
    loss: Callable[[Any], Tensor] | None = None,
    *,
    dependency: int | None = None,
    window: int | None = None,
    begins: Any = None,
    forecasts: tuple[Any, Any, Any] | None = None,
) -> Diagnosis:
    """Look for what is wrong with a recurrent network on some data.

    Args:
        model, data: see `view_of`; some ten sequences, as long as they are in training, are enough.
        loss: from what the module returns to the loss at the end of the sequences. None: minus what speaks
            for the answers of a task's model; of a module, a random projection of its outputs at the last
            step.
        dependency: over how many steps the data depend on their past, if that is known. Without it, only a
            memory of less than a step counts as too short.
        window: steps of truncated backpropagation, if training cuts sequences.
        begins: (T, B) bool, the first steps of sequences within the rows of the data, each of which has
            nothing to do with what came before. Needs a loss.
        forecasts: of a forecasting model: forecasts and true values, (N,) or (N, steps ahead), and the last
            values before them, (N,).

    Raises:
        UsageError: the model has no recurrent layer, or an argument does not fit.
    """
    for name, value in (("dependency", dependency), ("window", window)):
        if value is not None and (not is_whole(value) or value < 1):
            raise UsageError(f"{name} must be a whole number of steps from 1, not {value!r}")
    check_function("loss", loss)
    view = view_of(model, data)
    if (bad := first_bad_step(view)) is not None:
        advice = (
            "lower learning_rate, a smaller norm to clip gradients at, and a look at the data at that step"
        )
        if bad.value == "x" and bad.kind == "exploded":
            advice = "inputs of zero mean and unit variance, in place of numbers beyond 10,000"
        sentence = f"{str(bad)[0].upper()}{str(bad)[1:]}"
        return Diagnosis((Finding("bad_step", sentence, dict(vars(bad)), advice),))
    return Diagnosis(tuple(_findings(view, loss, dependency, window, begins, forecasts)))


def _findings(
    view: View,
    loss: Callable[[Any], Tensor] | None,
    dependency: int | None,
    window: int | None,
    begins: Any,
    forecasts: tuple[Any, Any, Any] | None,
) -> Iterator[Finding]:
    if forecasts is not None:
        yield from check_forecast(*forecasts)
    if begins is not None:
        yield from check_boundaries(view, begins, loss)
    passes = passes_of(view.module, view.input)
    for layer in passes:
        yield from check_padding(layer)
    horizon = memory_horizon(view, loss=loss)
    reached = {one.name for one in horizon.layers}
    layers = [layer for layer in passes if layer.name in reached]
    states = [layer_states(layer) for layer in layers]
    memory = Memory(horizon, layers, states, lyapunov_exponents(view, None, 1))
    yield from check_memory(view, memory, dependency, window)
    for layer, one in zip(layers, states, strict=True):
        yield from check_units(layer, one)
