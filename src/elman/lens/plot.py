"""Pictures as PNG or SVG, drawn without a display."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from elman.atomic import replace_file, writing
from elman.errors import UsageError

MAX_PARTS: Final = 200  # of a text whose attention is drawn


def draw_attention(
    path: str | Path, source: Sequence[str], target: Sequence[str], weights: Callable[[], Any]
) -> None:
    """Draw the attention of each part of a translation (rows) to each part of its source (columns).

    `path` ends in .png or .svg; `weights` returns those (target, source) of the parts, from 0 to 1. Raises
    UsageError for another ending, nothing to draw, or too much.
    """
    path = picture_path(path)
    if not len(source) or not len(target):
        empty = "translation" if len(source) else "text to translate"
        raise UsageError(f"there is no attention to draw: the {empty} is empty")
    if (count := max(len(source), len(target))) > MAX_PARTS:
        limit = f"the most is {MAX_PARTS}: draw a sentence"
        raise UsageError(f"a text of {count} parts is too long to draw, {limit}")
    size = (1.5 + 0.32 * len(source), 1.2 + 0.32 * len(target))
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    axis.imshow(weights(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    # spaces are shown: a part without one continues the word before it
    across, down = ([part.replace(" ", "·").strip("\n") for part in parts] for parts in (source, target))
    axis.set_xticks(range(len(across)), across, rotation=90, parse_math=False)
    axis.set_yticks(range(len(down)), down, parse_math=False)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture, as PNG or SVG by its ending. Raises UsageError if it can't be written."""
    with writing(path, UsageError), replace_file(path) as file:
        figure.savefig(file, dpi=150, format=path.suffix.lower().removeprefix("."))


def svg(figure: Figure, transparent: bool = False) -> str:
    """Return a picture as an <svg> element, to stand in a page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=transparent, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def picture_path(path: str | Path) -> Path:
    """Return the path of a picture. Raises UsageError if it ends in neither .png nor .svg."""
    path = Path(path)
    if path.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"a picture is drawn as .png or .svg, not {path.suffix or 'nothing'}: {path}")
    return path
