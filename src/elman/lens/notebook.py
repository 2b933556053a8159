"""Results show themselves in a notebook."""

from html import escape
from pathlib import Path
from typing import Any

from elman.errors import UsageError
from elman.lens.plot import svg


class InNotebook:
    """A result whose picture, and below it its sentence, a notebook shows."""

    def plot(self, path: str | Path | None = None) -> Any:
        """Return the picture: a figure, or SVG as text."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        told = type(self).__str__ is not object.__str__
        sentence = str(self) if told else type(self).__name__
        try:
            picture = self.plot()
        except UsageError as error:  # such as too many layers for one picture
            return f"<p>{escape(str(error))}</p>"
        drawing = picture if isinstance(picture, str) else svg(picture)
        caption = f"<figcaption>{_lines(sentence)}</figcaption>" if told else ""
        return (
            f'<figure style="margin:0"><div role="img" aria-label="{escape(sentence)}" '
            f'style="max-width:46em;overflow-x:auto">{drawing}</div>{caption}</figure>'
        )


def _lines(text: str) -> str:
    return "<br>".join(escape(line) for line in text.splitlines())
