"""What the lens sees of a model and one input, as JSON values small enough for a page.

T steps, H units.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from elman.errors import UsageError, suggestion
from elman.lens.activity import LayerStates, states
from elman.lens.finding import finite
from elman.lens.flow import gradient_flow
from elman.lens.horizon import memory_horizon
from elman.lens.integrated import attribution_by_prefix
from elman.lens.matches import neighbours
from elman.lens.reading import Reading
from elman.lens.unrolled import unroll
from elman.lens.view import View

MAX_STEPS: Final = 256  # of a heat map or a curve, the last ones
MAX_UNITS: Final = 64  # of a heat map, those that vary most
MAX_OCCLUDED_STEPS: Final = 64  # each of which costs a pass
MAX_UNROLLED_STEPS: Final = 16
POINTS: Final = 16  # of the integral of an attribution
SPAN_STEPS: Final = 3  # whose like is looked for in other sequences
DIGITS: Final = 4


def look(model: Any, input: Any, views: Sequence[str]) -> dict[str, Any]:
    """Return what some views show of a model and its first input.

    Args:
        model: of a task.
        input: what its `predict` takes; several inputs are compared by the view "neighbours" alone.
        views: names of `VIEWS`.

    Raises:
        UsageError: a view that there is not; else as `model.view`.
    """
    for name in views:
        if name not in VIEWS:
            advice = suggestion(name, VIEWS) or f"; the views are {', '.join(VIEWS)}"
            raise UsageError(f"there is no view {name!r:.60}{advice}")
    view: View = model.view(input)
    result = {
        "answer": view.answers[0] if view.answers else "",
        "notes": list(view.notes),
        "unit": view.unit,
        "scale": view.scale,
        **{name: VIEWS[name](view) for name in dict.fromkeys(views)},
    }
    finished: dict[str, Any] = finite(result)
    return finished


def _attribution(view: View) -> dict[str, Any]:
    """What each step adds to the score of the answer; of a short input also by how much the score falls
    without the step. `lens.attribution` would do that for a long one, too, at a pass a step."""
    reading = Reading(view, None)
    scores, total = reading.integrated(POINTS)
    steps = int(reading.taken[:, 0].sum())
    part = slice(max(steps - MAX_STEPS, 0), steps)
    labels = view.labels_of(reading.name)
    return {
        "layer": reading.name,
        "scored": view.scored,
        "labels": list(labels[0][part]) if labels else _numbers(part),
        "scores": _rounded(scores[part, 0]),
        "occlusion": _rounded(reading.occluded()[part, 0]) if steps <= MAX_OCCLUDED_STEPS else None,
        "total": float(total[0]),
    }


def _reading(view: View) -> dict[str, Any] | None:
    """The attribution after each step of reading; None where the input can't be cut."""
    if view.cut is None:
        return None
    return attribution_by_prefix(view, steps=POINTS).to_dict()


def _states(view: View) -> list[dict[str, Any]]:
    return [_map(view, one, "states") for one in states(view).layers]


def _gates(view: View) -> list[dict[str, Any]]:
    return [_map(view, one, "gates") for one in states(view).layers]


def _map(view: View, layer: LayerStates, kind: str) -> dict[str, Any]:
    """A heat map of each state or gate of a layer: of the units whose first state varies most."""
    steps = int(layer.taken[:, 0].sum())
    part = slice(max(steps - MAX_STEPS, 0), steps)
    first = next(iter(layer.states.values()))[part, 0]
    units = first.std(0, unbiased=False).argsort(descending=True, stable=True)[:MAX_UNITS].sort().values
    maps: Mapping[str, Tensor] = getattr(layer, kind)
    labels = view.labels_of(layer.name)
    return {
        "layer": layer.name,
        "first": part.start,
        "labels": list(labels[0][part]) if labels else _numbers(part),
        "units": units.tolist(),
        "of": first.shape[1],
        "maps": {name: _rounded(values[part, 0].index_select(1, units)) for name, values in maps.items()},
    }


def _flow(view: View) -> list[dict[str, Any]]:
    """The gradient of the loss for the states after each step."""
    rows = []
    for one in gradient_flow(view).layers:
        steps = int(one.taken[:, 0].sum())
        part = slice(max(steps - MAX_STEPS, 0), steps)
        labels = view.labels_of(one.name)
        names = list(labels[0][part]) if labels else _numbers(part)
        norms = {name: norm[part, 0].tolist() for name, norm in one.norms.items()}
        rows.append({"layer": one.name, "labels": names, "norms": norms})
    return rows


def _horizon(view: View) -> dict[str, Any]:
    """How far back the influence on the end of the answer reaches, and its curve for each layer."""
    horizon = memory_horizon(view)
    curves = {one.name: one.influence[:MAX_STEPS].nanmedian(1).values.tolist() for one in horizon.layers}
    return horizon.to_dict() | {"curves": curves, "text": str(horizon)}


def _unroll(view: View) -> dict[str, Any]:
    unrolled = unroll(view, most=MAX_UNROLLED_STEPS)
    return unrolled.to_dict() | {"text": str(unrolled)}


def _neighbours(view: View) -> dict[str, Any] | None:
    """Where in the other inputs the state moves as at the end of the first; None where there are none."""
    layer = states(view).layers[-1]
    taken = layer.taken
    if taken.shape[1] < 2:
        return None
    labels = view.labels_of(layer.name)
    length = len(labels[0]) if labels else int(taken[:, 0].sum())
    return neighbours(view, None, (max(length - SPAN_STEPS, 0), length)).to_dict()


def _rounded(values: Tensor) -> Any:
    return torch.round(values.double(), decimals=DIGITS).tolist()


def _numbers(part: slice) -> list[str]:
    return [str(step) for step in range(part.start, part.stop)]


VIEWS: Final[Mapping[str, Callable[[View], Any]]] = {
    "attribution": _attribution,
    "reading": _reading,
    "states": _states,
    "gates": _gates,
    "flow": _flow,
    "horizon": _horizon,
    "unroll": _unroll,
    "neighbours": _neighbours,
}
