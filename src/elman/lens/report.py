"""What the lens sees of a model and one input, as text, HTML page and pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from elman.atomic import as_path, replace_file, writing
from elman.errors import UsageError
from elman.lens import page
from elman.lens.finding import finite
from elman.lens.plot import svg
from elman.lens.view import View
from elman.version import __version__


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a report, by a name that can be a file's."""

    name: str
    caption: str
    draw: Callable[[], Any]  # a figure, or SVG as text

    @cached_property
    def drawn(self) -> Any:
        return self.draw()

    @cached_property
    def svg(self) -> str:
        return self.drawn if isinstance(self.drawn, str) else svg(self.drawn)


@dataclass(frozen=True, eq=False)
class Section:
    """One view in a report.

    Attributes:
        name: for machines.
        title: the question that it answers.
        sentences: the answer in words and figures.
        values: plain numbers for machines.
        html: what stands between sentences and pictures.
    """

    name: str
    title: str
    sentences: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    values: Any = None
    html: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """What the lens sees of a model and one input; made by `look`. As text, its notes and sentences."""

    title: str
    view: View
    sequence: int
    sections: tuple[Section, ...]

    @property
    def answer(self) -> str:
        """What the model says of the sequence that is drawn; "" where it has no words for it."""
        return self.view.answers[self.sequence] if self.view.answers else ""

    def __str__(self) -> str:
        lines = [f"answer: {self.answer}"] if self.answer else []
        lines += [_sentence(note) for note in self.view.notes]
        for section in self.sections:
            lines += [
                "",
                section.title,
                *(f"  {line}" for one in section.sentences for line in one.split("\n")),
            ]
        return "\n".join(lines).strip()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, a key for each section; None stands for a number that is infinite or NaN."""
        values = {one.name: finite(one.values) for one in self.sections if one.values is not None}
        return {"title": self.title, "answer": self.answer, "notes": list(self.view.notes), **values}

    def html(self) -> str:
        """Return a page that needs nothing else."""
        return page.document(f"{self.title} - elman", self._body())

    def _repr_html_(self) -> str:
        # a frame of its own, so that the style of the page is not that of the notebook around it
        frame = "width:100%;height:48rem;border:0"
        return (
            f'<iframe title="{escape(self.title)}" style="{frame}" srcdoc="{escape(self.html())}"></iframe>'
        )

    def save(self, path: str | Path) -> None:
        """Write the page. Raises UsageError if it can't be written."""
        path, text = as_path(path, "path"), self.html()
        with writing(path, UsageError), replace_file(path) as file:
            file.write(text.encode(errors="xmlcharrefreplace"))

    def save_pictures(self, folder: str | Path) -> list[Path]:
        """Write every picture as .svg, and as .png where it is a figure; return their paths. Raises
        UsageError if they can't be written."""
        folder, written = as_path(folder, "folder"), list[Path]()
        with writing(folder, UsageError):
            folder.mkdir(parents=True, exist_ok=True)
        for picture in (one for section in self.sections for one in section.pictures):
            drawn = picture.drawn
            for ending in (".svg", ".png") if isinstance(drawn, Figure) else (".svg",):
                path = folder / f"{picture.name}{ending}"
                with writing(path, UsageError), replace_file(path) as file:
                    if isinstance(drawn, Figure):
                        drawn.savefig(file, dpi=150, format=ending[1:])
                    else:
                        file.write(drawn.encode())
                written.append(path)
        return written

    def _body(self) -> Iterator[str]:
        yield f"<h1>{escape(self.title)}</h1><p class=lead>elman {__version__}</p>"
        if self.answer:
            yield f"<p>Its answer: <b>{escape(self.answer)}</b></p>"
        yield from (f"<p class=note>{escape(_sentence(note))}</p>" for note in self.view.notes)
        for section in self.sections:
            yield f"<h2>{escape(section.title)}</h2>"
            for one in section.sentences:
                yield f"<p>{'<br>'.join(map(escape, one.splitlines()))}</p>"
            yield section.html
            yield from (page.figure(picture.svg, picture.caption) for picture in section.pictures)


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:] + "." * (not note.endswith("."))
