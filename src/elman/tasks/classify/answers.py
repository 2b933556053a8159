"""Answers of a classifier for a terminal and for machines, and the texts that they answer."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from elman.data.table.formats import ENDINGS, ending, input_lines
from elman.data.table.kinds import in_kind_of, is_frame, kind_of
from elman.data.table.table import Table, arriving_texts, read_table
from elman.lazy import Lazy
from elman.tasks.classify.labels import NONE, UNSURE, Label, Labels
from elman.tasks.inputs import read_texts, texts_of
from elman.tasks.task import Answer

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")


@dataclass(frozen=True)
class LabelAnswer(Answer):
    """The label of a text, None if none is likely enough; the probabilities of all labels; how familiar the
    text is, None where the model can't tell; the text itself, and whether it is `alone`: then lines and JSON
    don't repeat it."""

    label: Label | None
    probabilities: dict[Label, float]
    familiar: float | None = None
    text: str | None = None
    alone: bool = False

    def __str__(self) -> str:
        label = UNSURE if self.label is None else self.label
        return f"{label}\t{max(self.probabilities.values()):.4f}{_beside(self)}"

    def to_dict(self) -> dict[str, Any]:
        return _with_more({"label": self.label, "probabilities": self.probabilities}, self)

    def cells(self) -> dict[str, Any]:
        return {"text": self.text, "label": self.label, "probability": max(self.probabilities.values())}


@dataclass(frozen=True)
class LabelsAnswer(Answer):
    """The labels of a text that may have several, the likeliest first; the probabilities of all; how familiar
    the text is, None where the model can't tell; and the text, as in `LabelAnswer`."""

    labels: list[Label]
    probabilities: dict[Label, float]
    separator: str = ", "  # of labels in print
    familiar: float | None = None
    text: str | None = None
    alone: bool = False

    def __str__(self) -> str:
        if not self.labels:
            return f"{NONE}\t{max(self.probabilities.values()):.4f}{_beside(self)}"
        shares = self.separator.join(f"{self.probabilities[label]:.4f}" for label in self.labels)
        return f"{self.separator.join(map(str, self.labels))}\t{shares}{_beside(self)}"

    def to_dict(self) -> dict[str, Any]:
        return _with_more({"labels": self.labels, "probabilities": self.probabilities}, self)

    def cells(self) -> dict[str, Any]:
        shares = [self.probabilities[label] for label in self.labels]
        return {"text": self.text, "label": self.labels, "probability": shares}


def make_answer(
    labels: Labels,
    probabilities: Mapping[Label, float],
    at_least: float | None,
    familiar: float | None = None,
    text: str | None = None,
    alone: bool = False,
) -> LabelAnswer | LabelsAnswer:
    """Return the answer to a text, given the probability of each label, how familiar the text is, the text
    itself, and whether it is the only one."""
    answer, named = labels.answer([*probabilities.values()], at_least), dict(probabilities)
    if labels.several:
        return LabelsAnswer(answer, named, labels.separator or ", ", familiar, text, alone)
    return LabelAnswer(answer, named, familiar, text, alone)


def rows_as_given(labels: Labels, rows: Sequence[Sequence[float]], single: bool, data: Any) -> Any:
    """Return the probabilities (N, K) of the labels as a dict for each text; as a table with a column for
    each label, if the texts came in a frame or column."""
    if single or not is_frame(data):
        named = [labels.named(row) for row in rows]
        return named[0] if single else named
    columns = [str(label) for label in labels.classes]
    frame = pl.DataFrame(np.reshape(rows, (-1, len(columns))), schema=columns)
    table = in_kind_of(frame, data, same_rows=True)
    return table.set_axis(labels.classes, axis=1) if kind_of(data) == "pandas" else table


def _beside(answer: LabelAnswer | LabelsAnswer) -> str:
    """Return the text of an answer in one cell, to follow its label."""
    return "" if answer.text is None or answer.alone else "\t" + " ".join(answer.text.split())


def _with_more(answer: dict[str, Any], more: LabelAnswer | LabelsAnswer) -> dict[str, Any]:
    named = {"familiar": more.familiar, "text": None if more.alone else more.text}
    return answer | {name: value for name, value in named.items() if value is not None}


def arriving(data: Any, header: bool, column: Any) -> Iterator[list[str]]:
    """Yield the texts of a table, the lines of a file or, as they arrive, of standard input; any other string
    is a text itself."""
    if not isinstance(data, str):
        yield read_texts(data, column).texts
    elif data != "-":
        is_named = _names_a_table(data)
        yield texts_of(read_table(data, header=header), column) if is_named else list(input_lines(data))
    elif isinstance(texts := arriving_texts(header), Table):
        yield texts_of(texts, column)
    else:
        yield from ([line] for line in texts)


def _names_a_table(data: str) -> bool:
    """Return whether a string is a name of a table rather than a text, which may end in one."""
    one_word = len(data.split()) == 1
    # unlike Path.exists, it accepts any string
    has_ending = ending(Path(data)) in ENDINGS and (one_word or os.path.exists(data))  # noqa: PTH110
    return data.startswith("hf:") or has_ending
