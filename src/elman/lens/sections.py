"""The views that a report shows, each with its answer in words and figures."""

from collections.abc import Iterator
from functools import partial
from html import escape
from typing import Final

from elman.lens import page
from elman.lens.activity import States
from elman.lens.diagnosis import diagnose
from elman.lens.flow import gradient_flow
from elman.lens.horizon import memory_horizon
from elman.lens.integrated import Attribution, attribution, attribution_by_prefix
from elman.lens.jacobians import lyapunov_exponents
from elman.lens.matches import neighbours
from elman.lens.report import Picture, Section
from elman.lens.units import unit_colours
from elman.lens.unrolled import unroll
from elman.lens.view import View

MAX_READING: Final = 40  # steps after each of which the attribution is drawn
MAX_DRAWN: Final = 200  # steps whose states are drawn
MAX_MAPS: Final = 12
SPAN: Final = 3  # steps whose like is looked for in other sequences
NEIGHBOURS: Final = 8
NOT_JUDGED: Final = (
    "Whether its memory is long enough is not judged here: lens.diagnose takes how far back the data reach "
    "(dependency)."
)
READ: Final = ("words", "tokens", "characters")  # units of steps that stand in a line as they are read


def sections(view: View, activity: States, sequence: int) -> Iterator[Section]:
    """Yield the sections of a report of one sequence, given the states of all."""
    diagnosis = diagnose(view)
    yield Section("diagnosis", "Is anything wrong?", (str(diagnosis), NOT_JUDGED), (), diagnosis.to_dict())
    if view.score is not None:
        yield _attribution(view, sequence)
    for name, title, caption, draw in view.extras:
        yield Section(name, title, (), (Picture(name, caption, partial(draw, sequence)),))
    if "bad_step" not in diagnosis.kinds:  # nothing can be remembered through NaN
        yield _memory(view)
    yield _gradients(view)
    yield _unrolled(view, sequence)
    yield _states(activity, view, sequence)
    yield from _neighbours(view, activity, sequence)


def _attribution(view: View, sequence: int) -> Section:
    moved = attribution(view)
    caption = (
        f"What each step adds to the score, in {view.scored}; dots: by how much it falls if blanked out."
    )
    pictures = [Picture("attribution", caption, partial(moved.plot, sequence=sequence))]
    labels = moved.labels(sequence)
    if view.cut is not None and 1 < int(moved.taken[:, sequence].sum()) <= MAX_READING:
        reading = attribution_by_prefix(view, sequence=sequence)
        caption = "While it is read: each row is what the steps so far add to the score then."
        pictures.append(Picture("reading", caption, reading.plot))
    values = moved.scores[: len(labels), sequence].tolist()
    words = page.coloured(labels, values, view.scored) if labels and view.unit in READ else ""
    return Section(
        "attribution",
        "What moved the answer?",
        (moved.line(sequence), _check(moved, sequence)),
        tuple(pictures),
        moved.to_dict(),
        words,
    )


def _check(moved: Attribution, sequence: int) -> str:
    agreement = float(moved.agreement[sequence])
    ranks = "" if agreement != agreement else (
        f"; the ranks of the steps correlate by {agreement:.2f} with those from blanking each one out"
    )  # fmt: skip
    return (
        "By integrated gradients, whose sum misses the whole difference by "
        f"{float(moved.completeness[sequence]):.1%}{ranks}."
    )


def _memory(view: View) -> Section:
    horizon = memory_horizon(view)
    exponents = {name: float(one[0]) for name, one in lyapunov_exponents(view, None, 1).items()}
    listed = "; ".join(f"{name} {value:+.3f}" for name, value in exponents.items())
    caption = "The influence of earlier states on the end of the answer, as a share of the last one's."
    return Section(
        "memory",
        "How far back does it remember?",
        (str(horizon), f"Largest Lyapunov exponents per step, below 0 where memory fades: {listed}."),
        (Picture("memory", caption, horizon.plot),),
        horizon.to_dict() | {"lyapunov_exponents": exponents},
    )


def _gradients(view: View) -> Section:
    flow = gradient_flow(view)
    caption = "The gradient of the loss for the states after each step: where training would change it."
    pictures = (Picture("gradient", caption, flow.plot),)
    return Section("gradient", "Where does the gradient go?", (str(flow),), pictures, flow.to_dict())


def _unrolled(view: View, sequence: int) -> Section:
    network = unroll(view, sequence=sequence)
    caption = "The network over time: one set of weights at every step, edges as thick as the gradient."
    return Section(
        "unrolled",
        "What does it look like over time?",
        (str(network),),
        (Picture("unrolled", caption, network.svg),),
        network.to_dict(),
    )


def _neighbours(view: View, activity: States, sequence: int) -> Iterator[Section]:
    """Where there are several sequences: where the states move as at the end of this one."""
    taken = activity.layers[-1].taken
    if taken.shape[1] > 1:
        names = view.labels_of(activity.layers[-1].name)
        length = len(names[sequence]) if names else int(taken[:, sequence].sum())
        alike = neighbours(view, None, (max(length - SPAN, 0), length), sequence=sequence, count=NEIGHBOURS)
        sentence = (
            f"The last {min(SPAN, length)} steps, and where in the other sequences the states move as there."
        )
        yield Section(
            "neighbours", "Where else does it think so?", (sentence,), (), alike.to_dict(), alike.html()
        )


def _states(activity: States, view: View, sequence: int) -> Section:
    pictures = list[Picture]()
    for k, one in enumerate(activity.layers):
        if len(pictures) < MAX_MAPS and int(one.taken[:, sequence].sum()) <= MAX_DRAWN:
            pictures.append(
                Picture(
                    f"states-{k + 1}",
                    f"{one.name}: states and gates after each step, a row a unit.",
                    partial(States((one,), view).plot, sequence=sequence),
                )
            )
    moving = _liveliest(view, activity, sequence) if view.unit in READ else ""
    return Section(
        "states", "What do states and gates hold?", (str(activity),), tuple(pictures), None, moving
    )


def _liveliest(view: View, activity: States, sequence: int) -> str:
    """Return the words, coloured by the unit of the last layer whose state varies most."""
    one = next(layer for layer in reversed(activity.layers) if not layer.name.endswith(" reverse"))
    values = next(iter(one.states.values()))[:, sequence][one.taken[:, sequence]]
    unit = int(values.std(0, unbiased=False).argmax())
    colours = unit_colours(view, None, unit, sequence=sequence, layer=one.name)
    return f"<p>Unit {unit} of {escape(colours.layer)}, whose state varies most:</p>{colours.html()}"
