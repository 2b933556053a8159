"""Scores of a model beside those of its plain baselines: one table, one JSON."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, ClassVar, Final, NamedTuple, Self

import torch
from torch import Tensor

from elman.atomic import null_if_infinite
from elman.errors import counted
from elman.lens import page
from elman.training.loop import Outcome
from elman.training.plan import Plan
from elman.typed import typed

BINS: Final = 15  # of confidence, for the calibration error
MAX_NATS: Final = 700
MIN_SCORED: Final = 10  # different texts, below which a note says that they are few
Scores = dict[str, float | None]  # None where a score is not defined


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
    """

    NAME: ClassVar[str] = "network"  # of the model's column
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

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
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
    steps, minutes = counted(outcome.steps, "step"), plan.minutes
    return (f"minutes={minutes:g} was enough for {steps}, {share}: more minutes may give better scores",)


def sample_rows(held_out: int, most: int, noun: str) -> tuple[list[int], tuple[str, ...]]:
    """Return at most `most` evenly spaced rows, on which the model of an interrupted training is scored, and
    a note that says so if these are not all."""
    if held_out <= most:
        return list(range(held_out)), ()
    note = f"training was interrupted, so only {most} of {counted(held_out, f'held-out {noun}')} are scored"
    return [k * held_out // most for k in range(most)], (note,)
