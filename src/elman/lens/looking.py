"""Look at a model and one input from all sides."""

from typing import Any

from elman.errors import UsageError
from elman.lens.activity import states
from elman.lens.report import Report
from elman.lens.sections import sections
from elman.lens.view import view_of


def look(model: Any, input: Any = None, *, sequence: int = 0, title: str | None = None) -> Report:
    """Look at a model and its input from all sides.

    Args:
        model, input: see `view_of`. All sequences count for the memory horizon.
        sequence: which of them is drawn, from 0.
        title: of the page; None: what the model is.

    Raises:
        UsageError: as `view_of`, or there is no such sequence.
    """
    view = view_of(model, input)
    activity = states(view)
    if not activity.layers:
        raise UsageError(f"{type(view.module).__name__} called no recurrent layer for this input")
    count = activity.layers[0].taken.shape[1]
    if not 0 <= sequence < count:
        raise UsageError(f"sequence must be a number from 0 to {count - 1}, not {sequence}")
    name = title or f"A look into {type(model).__name__}"
    return Report(name, view, sequence, tuple(sections(view, activity, sequence)))
