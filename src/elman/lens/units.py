"""A single unit at work: text coloured by its state.

T steps.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure
from torch import Tensor

from elman.lens.figures import coloured_words, finished
from elman.lens.matches import base_name, states_of
from elman.lens.notebook import InNotebook
from elman.lens.numbers import check_number
from elman.lens.page import shaded
from elman.lens.recording import passes_of
from elman.lens.view import view_of

COLOURS: Final = "--for: 33, 102, 172; --against: 178, 24, 43"  # also outside a page of elman's


@dataclass(frozen=True, eq=False)
class UnitColours(InNotebook):
    """The state of one unit along a sequence; made by `unit_colours`.

    Attributes:
        layer: of the unit.
        unit: its number, from 0; in a layer of two directions, units of the backward one come after.
        values: (T,)
        labels: of the steps; numbers where there are none.
    """

    layer: str
    unit: int
    values: Tensor
    labels: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "layer": self.layer,
            "unit": self.unit,
            "values": self.values.tolist(),
            "labels": list(self.labels),
        }

    def html(self) -> str:
        """Return the text, coloured: blue where the state is above 0, red where below, the stronger the
        farther from it."""
        pairs = zip(self.labels, self.values.tolist(), strict=True)
        words = " ".join(shaded(label, value, f"{value:+.2f}") for label, value in pairs)
        return f'<p class="elman-unit" style="{COLOURS}">{words}</p>'

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the coloured text, as .png or .svg if there is a path."""
        name = f"{self.layer}, unit {self.unit}"
        return finished(coloured_words(self.labels, self.values, name), path)

    def _repr_html_(self) -> str:
        return self.html()


def unit_colours(
    model: Any, input: Any = None, unit: int = 0, *, sequence: int = 0, layer: str | None = None
) -> UnitColours:
    """Return the state of one unit at every step of a sequence, to colour its text by.

    Args:
        model, input: see `view_of`.
        unit: its number, from 0.
        sequence: number in the batch, from 0.
        layer: its name, such as "layers l0"; None: the last.

    Raises:
        UsageError: there is no such unit, sequence or layer; `view_of`'s.
    """
    view = view_of(model, input)
    passes = passes_of(view.module, view.input)
    name = base_name(passes, layer)
    states, taken = states_of(passes, name)
    _, batch, units = states.shape
    for kind, number, limit in (("unit", unit, units), ("sequence", sequence, batch)):
        check_number(kind, number, limit)
    names = view.labels_of(name)
    labels = names[sequence] if names else tuple(map(str, range(int(taken[:, sequence].sum()))))
    return UnitColours(name, unit, states[: len(labels), sequence, unit], labels)
