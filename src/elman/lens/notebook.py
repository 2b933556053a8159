"""Results show themselves in a notebook."""

from html import escape

from elman.errors import UsageError
from elman.lens.plot import svg


class InNotebook:
    """A result that a notebook shows: the picture that its `plot` returns, a figure or SVG as text, and below
    it its text; without a `plot`, the text alone."""

    def _repr_html_(self) -> str:
        told = type(self).__str__ is not object.__str__
        text = str(self) if told else type(self).__name__
        plot = getattr(self, "plot", None)
        if plot is None:
            return f"<p>{_lines(text)}</p>"
        try:
            picture = plot()
        except UsageError as error:  # such as too many layers for one picture
            return f"<p>{escape(str(error))}</p>"
        drawing = picture if isinstance(picture, str) else svg(picture)
        caption = f"<figcaption>{_lines(text)}</figcaption>" if told else ""
        return (
            f'<figure style="margin:0"><div role="img" aria-label="{escape(text)}" '
            f'style="max-width:46em;overflow-x:auto">{drawing}</div>{caption}</figure>'
        )


def _lines(text: str) -> str:
    return "<br>".join(escape(line) for line in text.splitlines())
