"""Look at a model and one input from all sides."""

from typing import Any

from elman.errors import UsageError
from elman.lens.activity import States, states
from elman.lens.numbers import check_number
from elman.lens.report import Report
from elman.lens.sections import sections
from elman.lens.view import View, view_of


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
    check_number("sequence", sequence, count)
    check_labels(view, activity)
    name = title or f"A look into {type(model).__name__}"
    return Report(name, view, sequence, tuple(sections(view, activity, sequence)))


def check_labels(view: View, activity: States) -> None:
    """Raise UsageError where labels fit neither the sequences of their layer nor its steps."""
    for one in activity.layers:
        steps, count = one.taken.shape
        labels = view.labels_of(one.name)
        if labels and (len(labels) != count or max(map(len, labels)) > steps):
            raise UsageError(f"labels must be of {count} sequences, of {steps} steps each or fewer")
