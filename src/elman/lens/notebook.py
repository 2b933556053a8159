"""Results show themselves in a notebook."""

from html import escape
from typing import Any

from elman.errors import UsageError
from elman.lens.plot import in_page


class InNotebook:
    """A result that a notebook shows: the picture that its `plot` returns, a figure or SVG as text, and below
    it its text; without a `plot`, the text alone."""

    def _repr_html_(self) -> str:
        told = type(self).__str__ is not object.__str__
        text = str(self) if told else type(self).__name__
        plot = getattr(self, "plot", None)
        if plot is None:
            return f"<p>{in_lines(text)}</p>"
        try:
            picture = plot()
        except UsageError as error:  # such as too many layers for one picture
            return f"<p>{escape(str(error))}</p>"
        return figure(picture, text, text if told else "")


def figure(picture: Any, label: str, caption: str = "") -> str:
    """Return a picture, a figure or SVG as text, with a label for those who can't see it and its caption."""
    below = f"<figcaption>{in_lines(caption)}</figcaption>" if caption else ""
    return f'<figure style="margin:0">{in_page(picture, label)}{below}</figure>'


def in_lines(text: str) -> str:
    """Return text as HTML that keeps its lines."""
    return "<br>".join(escape(line) for line in text.splitlines())
