"""Pictures as PNG or SVG, drawn without a display."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from elman.errors import UsageError

PARTS = 200  # of a text whose attention is drawn


def draw_attention(path: str | Path, source: Sequence[str], target: Sequence[str], weights: Any) -> None:
    """How much each part of a translation (downwards) looked at each part of its source (across).

    Args:
        path: ends in .png or .svg.
        weights: (target, source), from 0 to 1.

    Raises:
        UsageError: another ending, nothing to draw, or too much.
    """
    place = picture_path(path)
    if not len(source) or not len(target):
        empty = "translation" if len(source) else "text to translate"
        raise UsageError(f"there is no attention to draw: the {empty} is empty")
    if max(len(source), len(target)) > PARTS:
        count = max(len(source), len(target))
        raise UsageError(f"a text of {count} parts is too long to draw, the most is {PARTS}: draw a sentence")
    size = (1.5 + 0.32 * len(source), 1.2 + 0.32 * len(target))
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    axis.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    # most parts begin with a blank: it is shown, for one without goes on with the part before it
    across, down = ([part.replace(" ", "·").strip("\n") for part in parts] for parts in (source, target))
    axis.set_xticks(range(len(across)), across, rotation=90, parse_math=False)
    axis.set_yticks(range(len(down)), down, parse_math=False)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    figure.savefig(place, dpi=150)


def picture_path(path: str | Path) -> Path:
    place = Path(path)
    if place.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"a picture is drawn as .png or .svg, not {place.suffix or 'nothing'}: {place}")
    return place
