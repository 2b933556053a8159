"""Pictures as PNG or SVG, drawn without a display."""

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import HOURLY, MINUTELY, MONTHLY, SECONDLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from elman.atomic import replace_file, writing
from elman.errors import UsageError

# As far from white as from black: a PNG has no ground of its own, and is seen on light and dark pages.
INK: Final = "#6e7985"
# Colours of the ink in an SVG, which knows whether its page is dark.
LIGHT_INK, DARK_INK = "#46515e", "#c3ccd6"
WHOLE_UNITS: Final = {MONTHLY: 12, HOURLY: 24, MINUTELY: 60, SECONDLY: 60}  # of a year, day, hour, minute
LOOK: Final[Any] = {
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.titlesize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "elman",
} | dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
PAGE_DPI, MIN_SHRUNK = 96, 0.75  # a page's pixels of an inch; of a picture's size, how small it may become
STYLE: Final = (
    f"<style>svg{{color:{LIGHT_INK}}}@media(prefers-color-scheme:dark){{svg{{color:{DARK_INK}}}}}</style>"
).encode()
MAX_PARTS: Final = 200  # of a text whose attention is drawn


class Picture(Figure):
    """A figure that shows itself in a notebook, also without pyplot, and in the colours of its page."""

    def _repr_html_(self) -> str:
        return in_page(self, "a picture")


@rc_context(LOOK)
def attention(source: Sequence[str], target: Sequence[str], weights: Callable[[], Any]) -> Picture:
    """Draw the attention of each part of a translation (rows) to each part of its source (columns), where
    `weights` returns those (target, source) of the parts, from 0 to 1. Raises UsageError for nothing to draw,
    or too much."""
    if not len(source) or not len(target):
        empty = "translation" if len(source) else "text to translate"
        raise UsageError(f"there is no attention to draw: the {empty} is empty")
    if (count := max(len(source), len(target))) > MAX_PARTS:
        limit = f"the most is {MAX_PARTS}: draw a sentence"
        raise UsageError(f"a text of {count} parts is too long to draw, {limit}")
    size = (1.5 + 0.32 * len(source), 1.2 + 0.32 * len(target))
    figure = Picture(figsize=size, layout="constrained")
    axis = figure.subplots()
    axis.imshow(weights(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    # spaces are shown: a part without one continues the word before it
    across, down = ([part.replace(" ", "·").strip("\n") for part in parts] for parts in (source, target))
    axis.set_xticks(range(len(across)), across, rotation=90, parse_math=False)
    axis.set_yticks(range(len(down)), down, parse_math=False)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture, as PNG or SVG by its ending. Neither has a ground of its own, and the ink of an SVG is
    light on a dark page. Raises UsageError if it can't be written."""
    buffer = io.BytesIO()
    with rc_context(LOOK):
        figure.savefig(buffer, dpi=150, format=path.suffix.lower().removeprefix("."))
    content = buffer.getvalue()
    if path.suffix.lower() == ".svg":
        begin = content.index(b">", content.index(b"<svg")) + 1
        content = content[:begin] + STYLE + content[begin:].replace(INK.encode(), b"currentColor")
    with writing(path, UsageError), replace_file(path) as file:
        file.write(content)


def date_ticks(axis: Axes, stamps: NDArray[Any], most: int = 6) -> None:
    """Label few dates along an axis, briefly: what changes from one to the next, and the rest at the end."""
    if stamps.dtype.kind != "M":
        axis.xaxis.set_major_locator(MaxNLocator(most, integer=True))
        return
    locator = AutoDateLocator(minticks=3, maxticks=most)  # type: ignore[no-untyped-call]
    for unit, longest in WHOLE_UNITS.items():  # without, some lengths of time have no suitable distance
        locator.intervald[unit] = [*locator.intervald[unit], longest]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def plain_numbers(axis: Axes) -> None:
    """Write the values of an axis in full, such as 1,500,000, not as multiples of a number beside it."""
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def svg(figure: Figure) -> str:
    """Return a picture as an <svg> element for a page: transparent, its ink as that of the text around it."""
    buffer = io.StringIO()
    with rc_context(LOOK):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    drawing = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    return drawing.replace(INK, "currentColor")


def in_page(picture: Figure | str, label: str) -> str:
    """Return a figure, or SVG as text, as HTML; where the page is narrow it shrinks as far as its words can
    be read, then it scrolls. `label` says what it is to those who can't see it."""
    drawing = picture if isinstance(picture, str) else svg(picture)
    if isinstance(picture, Figure):
        least = MIN_SHRUNK * PAGE_DPI * picture.get_figwidth()
        style = f"max-width:100%;min-width:{least:.0f}px;height:auto"
        drawing = drawing.replace("<svg ", f'<svg style="{style}" ', 1)
    return f'<div role="img" aria-label="{escape(label)}" style="overflow-x:auto">{drawing}</div>'


def picture_path(path: str | Path) -> Path:
    """Return the path of a picture. Raises UsageError if it ends in neither .png nor .svg."""
    path = Path(path)
    if path.suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"a picture is drawn as .png or .svg, not {path}")
    return path
