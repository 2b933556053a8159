"""What every part of the demo hands back: scores beside a baseline, examples, and words that explain them."""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, NamedTuple, TypeVar

from elman.tasks.evaluation import Evaluation

T = TypeVar("T")
Cell = str | tuple[str, bool]  # a text, and whether it is the best of its row
HELD_OUT: Final = 0.1  # share of the rows


class Table(NamedTuple):
    """Rows of texts: the first cell of each is its name."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


class Word(NamedTuple):
    """A word, and the probability of "good" after it."""

    text: str
    good: float


@dataclass(frozen=True)
class Part:
    """One part of the demo, done.

    Attributes:
        title: of its section.
        about: what the model does, what it was trained on, whose the data are and under which licence.
        table: scores beside those of the baseline.
        verdict: one honest sentence about the scores.
        scores: the same scores and more, as JSON values.
        examples: what the model says to inputs that it was not trained on.
        read: sentences, word by word.
        notes: what a reader of the scores must know.
        figures: each an SVG and its caption.
        more: HTML after all that, for the report alone.
    """

    title: str
    about: str
    table: Table
    verdict: str
    scores: dict[str, Any]
    examples: Table | None = None
    read: Sequence[Sequence[Word]] = ()
    notes: Sequence[str] = ()
    figures: Sequence[tuple[str, str]] = ()
    more: Sequence[str] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return scores, examples and words as JSON values."""
        values: dict[str, Any] = {"title": self.title, "about": self.about, "verdict": self.verdict}
        values |= self.scores | {"notes": list(self.notes)}
        if self.examples is not None:
            rows = [[_text(cell) for cell in row] for row in self.examples.rows]
            values["examples"] = [dict(zip(self.examples.head, row, strict=True)) for row in rows]
        if self.read:
            values["read"] = [[{"word": word, "good": good} for word, good in line] for line in self.read]
        return values


class Measure(NamedTuple):
    """A row of a table of scores: its name, how a score is written, and which one is best, if any."""

    name: str
    form: str
    best: Any = None  # max or min


def score_table(columns: Mapping[str, Mapping[str, float | None]], measures: Mapping[str, Measure]) -> Table:
    """Return scores by model and name of the score as a table with a row for each measure."""
    rows: list[list[Cell]] = []
    for key, (name, form, best) in measures.items():
        values = [scores.get(key) for scores in columns.values()]
        known = [value for value in values if value is not None]
        leading = best(known) if best is not None and known else None
        rows.append([name, *(("", False) if v is None else (form.format(v), v == leading) for v in values)])
    return Table(["", *columns], rows)


def columns_of(evaluation: Evaluation, name: str = "elman") -> dict[str, Mapping[str, float | None]]:
    """Return the scores of a model, under `name`, and of its baselines."""
    return {name: evaluation.scores, **evaluation.baselines}


def text_of(name: str) -> str:
    """Return a file of the demo."""
    return (files("elman.demo") / name).read_text(encoding="utf-8")


def rows_of(name: str) -> list[list[str]]:
    """Return the rows of a file of the demo whose fields are separated by tabs."""
    return list(csv.reader(text_of(name).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def divided(rows: Sequence[T], share: float = HELD_OUT, seed: int = 0) -> tuple[list[T], list[T]]:
    """Return rows to train on and rows to score, drawn at random."""
    shuffled = random.Random(seed).sample(rows, len(rows))
    held_out = max(round(share * len(rows)), 1)
    return shuffled[held_out:], shuffled[:held_out]


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]
