"""Look at a model and one input from all sides: one report, as text, HTML page and pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from elman.atomic import as_path, replace_file, writing
from elman.errors import UsageError
from elman.lens import page
from elman.lens.activity import States, states
from elman.lens.diagnosis import diagnose
from elman.lens.flow import gradient_flow
from elman.lens.horizon import memory_horizon
from elman.lens.integrated import Attribution, attribution, attribution_by_prefix
from elman.lens.jacobians import lyapunov_exponents
from elman.lens.matches import neighbours
from elman.lens.plot import svg
from elman.lens.units import unit_colours
from elman.lens.unrolled import unroll
from elman.lens.view import View, view_of
from elman.version import __version__

MAX_READING: Final = 40  # steps after each of which the attribution is drawn
MAX_DRAWN: Final = 200  # steps whose states are drawn
MAX_MAPS: Final = 12
SPAN: Final = 3  # steps whose like is looked for in other sequences
NEIGHBOURS: Final = 8
READ: Final = ("words", "tokens", "characters")  # units of steps that stand in a line as they are read


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
        title: the question that it answers.
        sentences: the answer in words and figures.
        values: plain numbers for machines.
        html: what stands between sentences and pictures.
    """

    title: str
    sentences: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    values: Any = None
    html: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """What the lens sees of a model and one input; made by `look`. As text, its sentences."""

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
        for section in self.sections:
            lines += [
                "",
                section.title,
                *(f"  {line}" for one in section.sentences for line in one.split("\n")),
            ]
        return "\n".join(lines).strip()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, a key for each section."""
        values = {section.title: section.values for section in self.sections if section.values is not None}
        return {"title": self.title, "answer": self.answer, "notes": list(self.view.notes), **values}

    def html(self) -> str:
        """Return a page that needs nothing else."""
        return page.document(f"{self.title} - elman", self._body())

    def _repr_html_(self) -> str:
        return f"<style>{page.STYLE}</style>" + "\n".join(self._body())

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
    count = activity.layers[0].taken.shape[1]
    if not 0 <= sequence < count:
        raise UsageError(f"sequence must be a number from 0 to {count - 1}, not {sequence}")
    sections = list(_sections(view, activity, sequence))
    name = title or f"A look into {type(model).__name__}"
    return Report(name, view, sequence, tuple(sections))


def _sections(view: View, activity: States, sequence: int) -> Iterator[Section]:
    diagnosis = diagnose(view)
    yield Section("Is anything wrong?", (str(diagnosis),), (), diagnosis.to_dict())
    if view.score is not None:
        yield _attribution(view, sequence)
    for name, title, told, draw in view.extras:
        yield Section(title, (), (Picture(name, told, partial(draw, sequence)),))
    yield _memory(view)
    yield _gradients(view)
    yield _unrolled(view, sequence)
    yield _states(activity, view, sequence)
    yield from _neighbours(view, activity, sequence)


def _attribution(view: View, sequence: int) -> Section:
    found = attribution(view)
    pictures = [
        Picture("attribution", f"What each step adds to the score, in {view.scored}; dots: by how much it falls "
                "if the step is blanked out.", lambda: found.plot(sequence=sequence)),
    ]  # fmt: skip
    labels = found.labels(sequence)
    if view.cut is not None and 1 < len(labels) <= MAX_READING:
        reading = attribution_by_prefix(view, sequence=sequence)
        told = "While it is read: each row is what the steps so far add to the score then."
        pictures.append(Picture("reading", told, reading.plot))
    values = found.scores[: len(labels), sequence].tolist()
    words = page.coloured(labels, values, view.scored) if view.unit in READ else ""
    return Section(
        "What moved the answer?",
        (found.line(sequence), _check(found, sequence)),
        tuple(pictures),
        found.to_dict(),
        words,
    )


def _check(found: Attribution, sequence: int) -> str:
    agreement = float(found.agreement[sequence])
    said = "" if agreement != agreement else (
        f"; blanking steps out one by one ranks them alike, with a correlation of {agreement:.2f}"
    )  # fmt: skip
    return (
        "By integrated gradients, whose sum misses the whole difference by "
        f"{float(found.completeness[sequence]):.1%}{said}."
    )


def _memory(view: View) -> Section:
    horizon = memory_horizon(view)
    exponents = {name: float(one[0]) for name, one in lyapunov_exponents(view, None, 1).items()}
    told = "; ".join(f"{name} {value:+.3f}" for name, value in exponents.items())
    caption = "The influence of earlier states on the end of the answer, as a share of the last one's."
    return Section(
        "How far back does it remember?",
        (str(horizon), f"Largest Lyapunov exponents per step, below 0 where memory fades: {told}."),
        (Picture("memory", caption, horizon.plot),),
        horizon.to_dict() | {"lyapunov_exponents": exponents},
    )


def _gradients(view: View) -> Section:
    flow = gradient_flow(view)
    caption = "The gradient of the loss for the states after each step: where training would change it."
    ratios = []
    for one in flow.layers:
        for name, norms in one.norms.items():
            each = norms.square().sum(1).sqrt()
            ratios.append(f"{one.name}, {name}: {float(each[0]):.2g} at the first step, {float(each[-1]):.2g} at "
                          "the last")  # fmt: skip
    return Section(
        "Where does the gradient go?", ("\n".join(ratios),), (Picture("gradient", caption, flow.plot),),
        flow.to_dict(),
    )  # fmt: skip


def _unrolled(view: View, sequence: int) -> Section:
    found = unroll(view, sequence=sequence)
    caption = "The network over time: one set of weights at every step, edges as thick as the gradient."
    return Section(
        "What does it look like over time?",
        (str(found),),
        (Picture("unrolled", caption, found.svg),),
        found.to_dict(),
    )


def _neighbours(view: View, activity: States, sequence: int) -> Iterator[Section]:
    """Where there are several sequences: where the states move as at the end of this one."""
    taken = activity.layers[-1].taken
    if taken.shape[1] > 1:
        names = view.labels_of(activity.layers[-1].name)
        length = len(names[sequence]) if names else int(taken[:, sequence].sum())
        found = neighbours(view, None, (max(length - SPAN, 0), length), sequence=sequence, count=NEIGHBOURS)
        told = (
            f"The last {min(SPAN, length)} steps, and where in the other sequences the states move as there."
        )
        yield Section("Where else does it think so?", (told,), (), found.to_dict(), found.html())


def _states(activity: States, view: View, sequence: int) -> Section:
    pictures, sentences = list[Picture](), list[str]()
    for k, one in enumerate(activity.layers):
        shares = [
            f"{gate} {float((share.low + share.high).mean()):.0%}" for gate, share in one.saturation().items()
        ]
        idle = [
            f"{len(units)} {word}"
            for word, units in (("dead", one.dead_units()), ("stuck", one.stuck_units()))
        ]
        units = next(iter(one.states.values())).shape[2]
        sentences.append(
            f"{one.name}: {units} units, {' and '.join(idle)}"
            + (f"; near an end of their range: {', '.join(shares)}" if shares else "")
        )
        if len(pictures) < MAX_MAPS and int(one.taken[:, sequence].sum()) <= MAX_DRAWN:
            pictures.append(
                Picture(
                    f"states-{k + 1}",
                    f"{one.name}: states and gates after each step, a row a unit.",
                    lambda part=States((one,), view): part.plot(sequence=sequence),  # type: ignore[misc]
                )
            )
    moving = _liveliest(view, activity, sequence) if view.unit in READ else ""
    return Section("What do states and gates hold?", ("\n".join(sentences),), tuple(pictures), None, moving)


def _liveliest(view: View, activity: States, sequence: int) -> str:
    """Return the words, coloured by the unit of the last layer whose state varies most."""
    one = next(layer for layer in reversed(activity.layers) if not layer.name.endswith(" reverse"))
    values = next(iter(one.states.values()))[:, sequence][one.taken[:, sequence]]
    unit = int(values.std(0, unbiased=False).argmax())
    found = unit_colours(view, None, unit, sequence=sequence, layer=one.name)
    return f"<p>Unit {unit} of {escape(found.layer)}, whose state varies most:</p>{found.html()}"


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:] + "." * (not note.endswith("."))
