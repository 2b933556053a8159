"""Scores of a model beside those of its plain baselines: one table, one JSON, and the answers behind them."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

import torch
from torch import Tensor

from elman.atomic import null_if_infinite
from elman.data.table.kinds import in_kind_of, kind_of
from elman.data.table.write import in_text
from elman.errors import UsageError, counted, suggestion
from elman.lazy import Lazy
from elman.lens import page
from elman.tasks.inputs import check_count
from elman.training.loop import Outcome
from elman.training.plan import Plan
from elman.typed import typed

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure
else:
    pl = Lazy("polars")

BINS: Final = 15  # of confidence, for the calibration error
MAX_NATS: Final = 700
MIN_SCORED: Final = 10  # different texts, below which a note says that they are few
MAX_TABLE_ROWS: Final = 1_000_000  # of the answers that are kept behind the scores
MAX_JSON_GROUPS: Final = 100  # series, steps or labels whose scores are part of the JSON
CUT: Final = "the minutes ended the training"  # so begins the note of a training whose minutes were too few
Scores = dict[str, float | None]  # None where a score is not defined
_log = logging.getLogger("elman")


class Metric(NamedTuple):
    label: str
    format: str = ".4g"


@dataclass(frozen=True, kw_only=True, repr=False)
class Evaluation(ABC):
    """Scores of one model on one data set.

    Attributes:
        scores: the model's, by name; `metrics` says what each is.
        baselines: those of the plain methods beside it, by the name of the method, the one to beat first;
            empty if the model was saved without its baseline.
        notes: what a reader of the scores must know.

    Those that `evaluate` and `backtest` return also hold the answers that were scored: `table`, `by`,
    `errors` and `plot`. They are not saved: the scores of a training and of a loaded model have none.
    """

    NAME: ClassVar[str] = "network"  # of the model's column
    HAS_PICTURE: ClassVar[bool] = False  # that `plot` draws
    # What `by` takes, and the column of the table that tells the groups apart.
    GROUPS: ClassVar[Mapping[str, str]] = {}
    # Keys under which elman 0.1.0 saved the baselines, and their names.
    SAVED_BASELINES: ClassVar[dict[str, str]] = {}

    scores: Scores
    baselines: dict[str, Scores]
    notes: tuple[str, ...] = ()

    @property
    def baseline(self) -> Scores | None:
        return next(iter(self.baselines.values()), None)

    @property
    def column(self) -> str:
        """The name of the model's column."""
        return self.NAME

    @abstractmethod
    def metrics(self) -> dict[str, Metric]:
        """Return the scores in the order in which they are printed."""

    @abstractmethod
    def facts(self) -> list[str]:
        """Return the lines below the table: what was scored."""

    # No fields, since they are neither saved nor compared: set by `with_table` and `given`.
    _frames: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    _like: ClassVar[Any] = None  # an empty frame of the kind of the caller's data

    def with_table(self, table: "pl.DataFrame", **others: "pl.DataFrame") -> Self:
        """Return these scores with the answers behind them, and with other frames by their names."""
        scored = copy(self)
        object.__setattr__(scored, "_frames", {"table": table, **others})
        return scored

    def given(self, data: Any) -> Self:
        """Return these scores with a table that is the kind of frame that `data` are, which were scored."""
        scored = copy(self)
        is_frame = kind_of(data) != "polars" and hasattr(data, "__getitem__")
        object.__setattr__(scored, "_like", data[:0] if is_frame else None)  # of a frame its types
        return scored

    def as_given(self, frame: "pl.DataFrame") -> Any:
        """Return a frame in the kind of the data that were scored."""
        return in_kind_of(frame, self._like)

    @property
    def has_table(self) -> bool:
        """Whether the answers behind the scores are there."""
        return bool(self._frames)

    @property
    def table(self) -> Any:
        """The answers that were scored, a row each: a polars frame, or one of pandas or Arrow if the data
        were. None in the scores of a training and of a loaded model. Of more than a million, it holds a
        million that are evenly spaced; of the tokens of a text, the first million."""
        return self.as_given(self.frame()) if self.has_table else None

    def frame(self, name: str = "table") -> "pl.DataFrame":
        """Return the table, or another frame behind the scores, in polars. Raises UsageError without it."""
        if not self.has_table:
            raise UsageError(
                "scores from training or from a file come without the answers behind them: call evaluate"
            )
        frame: pl.DataFrame = self._frames[name]
        return frame

    def by(self, group: str) -> Any:
        """Return scores of each part of the data, a row each, as a frame of the kind of `table`: of forecasts
        by "series", "step" and "cutoff", of labels by "label". Raises UsageError for another group."""
        if group not in self.GROUPS:
            names = ", ".join(self.GROUPS)
            advice = suggestion(str(group), self.GROUPS) or (f": there are {names}" if names else "")
            raise UsageError(f"there are no scores by {group!r}{advice}")
        frame = self.grouped(group)
        return self.as_given(frame)

    def errors(self, count: int | None = None) -> Any:
        """Return the answers, the worst first, as a frame of the kind of `table`: the mistakes of a
        classifier, the most confident first; a row for each forecast, the one of highest MASE first. At most
        `count`; None: all."""
        if count is not None:
            check_count(count)
        worst = self.worst()  # raises without a table
        return self.as_given(worst if count is None else worst.head(count))

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Draw the answers, write the picture if there is a path, .png or .svg, and return it.

        Raises UsageError for another ending, a task that has no such picture, and without a table.
        """
        from elman.lens.figures import finished  # matplotlib takes long to load
        from elman.lens.plot import picture_path

        if path is not None:
            picture_path(path)
        return finished(self.figure(), path)

    def figure(self) -> "Figure":
        """Return the picture that `plot` writes."""
        raise UsageError("there is no picture of these answers: plot is for forecasts and labels")

    def grouped(self, group: str) -> "pl.DataFrame":
        """Return what `by` does, in polars, for a key of GROUPS."""
        raise UsageError(f"there are no scores by {group!r}")

    @abstractmethod
    def worst(self) -> "pl.DataFrame":
        """Return what `errors` does, in polars."""

    def groups(self) -> dict[str, Any]:
        """Return the scores by every group of which there are few, as JSON values."""
        frames = {group: self.grouped(group) for group in self.GROUPS}
        return {
            group: null_if_infinite(in_text(frame).to_dicts())
            for group, frame in frames.items()
            if len(frame) <= MAX_JSON_GROUPS
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the table as JSON values."""
        values: dict[str, Any] = null_if_infinite(asdict(self))
        return values

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Return the evaluation whose `to_dict` gave `value`, in this version or in 0.1.0. Raises ValueError
        for anything else."""
        values = dict(value)
        if "baselines" not in values:
            saved = {name: values.pop(key) for key, name in cls.SAVED_BASELINES.items()}
            values["baselines"] = {name: scores for name, scores in saved.items() if scores is not None}
        evaluation: Self = typed(cls, values, "scores")
        return evaluation

    def __str__(self) -> str:
        head, *rows = self._grid()
        left = max(len(metric.label) for metric in self.metrics().values()) + 2
        widths = [max(len(name) + 2, 10) for name in head[1:]]
        lines = [
            f"{label:{left}}" + "".join(f"{text:>{w}}" for text, w in zip(cells, widths, strict=True))
            for label, *cells in (head, *rows)
        ]
        lines = [line.rstrip() for line in lines]
        return "\n".join([*lines, "", *self.facts(), *(f"Note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        """Return the scores of the model in a line."""
        scores = ", ".join(f"{label} {cells[0]}" for label, *cells in self._grid()[1:] if cells[0])
        return f"<{type(self).__name__}: {scores}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the table at the prompt of IPython."""
        printer.text(repr(self) if cycle else str(self))

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the table, the facts and the notes."""
        head, *rows = self._grid()
        lines = escape("\n".join(self.facts()))
        facts = f'<pre style="overflow-x:auto;white-space:pre;font-family:monospace">{lines}</pre>'
        notes = "".join(f"<p>Note: {escape(note)}</p>" for note in self.notes)
        return f'<div style="overflow-x:auto">{page.table(head, rows)}</div>{facts}{notes}'

    def _grid(self) -> list[list[str]]:
        """Return the table as text: the names of the columns, and a row for each metric that a column has."""
        columns = {self.column: self.scores, **self.baselines}
        grid = [["", *columns]]
        for key, (label, form) in self.metrics().items():
            values = [scores.get(key) for scores in columns.values()]
            if any(value is not None for value in values):
                grid.append([label, *("" if value is None else format(value, form) for value in values)])
        return grid


def spaced(count: int, noun: str, rows: int = 1) -> list[int]:
    """Return the answers to keep behind the scores: all, or else as many as make MAX_TABLE_ROWS, evenly
    spaced, with a warning. `noun` is what they are called; each makes so many rows."""
    most = max(MAX_TABLE_ROWS // rows, 1)
    if count <= most:
        return list(range(count))
    _log.warning(f"the table behind the scores holds {most:,} of the {count:,} {noun}")
    return [k * count // most for k in range(most)]


def scores_by(
    frame: "pl.DataFrame", column: str, scores: "Callable[[pl.DataFrame], Mapping[str, Any]]"
) -> "pl.DataFrame":
    """Return the scores of the rows of each value of a column, in the order in which these first occur."""
    parts = frame.partition_by(column, maintain_order=True)
    rows = [scores(part) for part in parts]
    names: Iterable[str] = rows[0] if rows else ()
    table = pl.DataFrame({name: [row[name] for row in rows] for name in names}, strict=False)
    return pl.concat([pl.concat([part[:1].select(column) for part in parts]), table], how="horizontal")


def binned_error(confidence: Tensor, right: Tensor) -> float:
    """Return the expected calibration error: answers are put in 15 bins by their confidence; it is the mean
    over answers of the distance between their bin's mean confidence and the share that is right. Guo et al.
    2017, arXiv:1706.04599.

    Args:
        confidence: (N,) from 0 to 1, N of at least 1.
        right: (N,) bool.
    """
    bins = (confidence * BINS).ceil().long().clamp(1, BINS)
    excess = confidence - right.double()
    sums = torch.zeros(BINS + 1, dtype=torch.float64).index_add_(0, bins, excess)
    return float(sums.abs().sum()) / len(right)


def perplexity(nats: float) -> float:
    """Return exp of nats per token, bounded where that overflows."""
    return math.exp(min(nats, MAX_NATS))


def overlap_note(hashes: Sequence[int], train_hashes: Tensor, noun: str) -> tuple[str, ...]:
    """Return a note if some of the scored texts were trained on; `noun` is what one of them is called."""
    training = set(train_hashes.tolist())
    shared = sum(one in training for one in hashes)
    if not shared:
        return ()
    verb = "was" if shared == 1 else "were"
    return (f"{shared} of {counted(len(hashes), noun)} {verb} trained on, which flatters all scores",)


def few_note(count: int, noun: str) -> tuple[str, ...]:
    """Return a note if scores are of so few different things that chance decides; `noun` is one of them."""
    if count >= MIN_SCORED:
        return ()
    verb = "was" if count == 1 else "were"
    return (f"only {counted(count, f'different {noun}')} {verb} scored, too few to rely on",)


def failure_note(error: Exception | None) -> tuple[str, ...]:
    """Return a note that says why a training stopped early, if it failed; without paths, as it is saved."""
    if error is None:
        return ()
    cause = error.__cause__
    if isinstance(cause, OSError):
        return (f"training stopped early: {cause.strerror or type(cause).__name__}",)
    return (str(error),)


def training_notes(outcome: Outcome, plan: Plan, choices: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a reader of the scores must know of a training: that it failed, or that its minutes were
    enough for a part of its epochs. `choices` are the caller's settings."""
    cut = plan.minutes is not None and plan.max_steps != choices.get("max_steps")
    if not cut or outcome.stopped != "finished":
        return failure_note(outcome.error)
    share = f"{outcome.epochs:.2g} of {counted(plan.epochs, 'epoch')}"
    return (f"{CUT} after {counted(outcome.steps, 'step')}, {share}: more minutes may give better scores",)


def was_cut(notes: Sequence[str]) -> bool:
    """Return whether one of `training_notes` tells that minutes were too few."""
    return any(note.startswith(CUT) for note in notes)


def sample_rows(held_out: int, most: int, noun: str) -> tuple[list[int], tuple[str, ...]]:
    """Return at most `most` evenly spaced rows, on which the model of an interrupted training is scored, and
    a note that says so if these are not all."""
    if held_out <= most:
        return list(range(held_out)), ()
    note = f"training was interrupted, so only {most} of {counted(held_out, f'held-out {noun}')} are scored"
    return [k * held_out // most for k in range(most)], (note,)
