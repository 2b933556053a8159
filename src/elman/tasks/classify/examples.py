"""Labelled texts: read from a table, checked, split without leaks, and encoded as token ids."""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Number
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import polars as pl
import torch
from torch import Tensor

from elman.data.batches import HELD_OUT_SHARE, normalize, split_groups, text_hashes
from elman.data.table.frames import column_name
from elman.data.table.jsonl import PANDAS_MISSING
from elman.data.table.table import TEXTS, Table
from elman.data.text.tokenizers import Tokenizer
from elman.errors import DataError
from elman.tasks.classify.scores import Label
from elman.tasks.evaluation import few_note

MIN_ROWS: Final = 10
WHOLE: Final = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
LARGE: Final = "a whole number of more than 64 bits"

Ids: TypeAlias = "array[int]"


@dataclass(frozen=True)
class Examples:
    """Texts and the numbers of their labels, (N,)."""

    texts: list[str]
    labels: Tensor

    def take(self, rows: Sequence[int]) -> "Examples":
        return Examples([self.texts[i] for i in rows], self.labels[list(rows)])

    def encoded(self, tokenizer: Tokenizer) -> "Encoded":
        return Encoded([encode(tokenizer, text) for text in self.texts], self.labels)


@dataclass(frozen=True)
class Encoded:
    """Texts as ids and the numbers of their labels, (N,)."""

    texts: list[Ids]
    labels: Tensor

    def take(self, rows: Sequence[int]) -> "Encoded":
        return Encoded([self.texts[i] for i in rows], self.labels[list(rows)])


class Fold(NamedTuple):
    """The rows that a network learns from, and those that it is chosen on, both ascending."""

    train: list[int]
    held_out: list[int]


@dataclass(frozen=True)
class Corpus:
    """What a classifier learns from and is chosen on.

    Attributes:
        examples: those of the table, and after them those of `valid`.
        rows: number of those of the table.
        source: name, fingerprint and rows of the table.
        valid: name of that of `valid`, if there is one.
    """

    classes: tuple[Label, ...]
    examples: Examples
    rows: int
    source: dict[str, Any]
    valid: str | None = None

    def folds(self, count: int, seed: int) -> list[Fold]:
        """Return the folds of so many networks. Each is chosen on `valid`; or on a tenth of the rows of its
        own, none of whose texts it learns from. Raises DataError where the held-out rows have one label."""
        name = self.source["source"]
        if self.valid is not None:
            held_out = list(range(self.rows, len(self.examples.texts)))
            folds = [Fold(list(range(self.rows)), held_out)] * count
            which, advice = self.valid, "give rows with other labels, too"
        else:
            folds = divide(self.examples, count, seed, name)
            which = "the rows that can be held out, with equal texts on one side,"
            advice = "add texts, or give data to choose the best model on (valid)"
        labels = set(self.examples.labels[held_out_rows(folds)].tolist())
        if len(labels) == 1:
            raise DataError(
                f"{name}: {which} hold only the label {self.classes[labels.pop()]!r}, "
                f"for which scores mean nothing; {advice}."
            )
        return folds


def read_corpus(table: Table, valid: Table | None, text: str, label: str) -> Corpus:
    """Read the examples of a table and of `valid`, if there is one. Raises DataError for too few rows, and as
    `in_order` and `read_examples` do."""
    table = table.usable(text, label)
    if len(table) < MIN_ROWS:
        raise DataError(f"{table.name} has {len(table)} rows; a classifier needs at least {MIN_ROWS}.")
    table = _without_lone_labels(table, label)
    table.report()
    classes = in_order(_labels(table, label), table, label)
    examples = train = read_examples(table, text, label, classes)
    if valid is not None:
        held_out = read_examples(valid, text, label, classes)
        examples = Examples(train.texts + held_out.texts, torch.cat([train.labels, held_out.labels]))
    source = {"source": table.name, "fingerprint": table.fingerprint, "rows": len(table)}
    return Corpus(classes, examples, len(train.texts), source, None if valid is None else valid.name)


def held_out_rows(folds: Sequence[Fold]) -> list[int]:
    """Return the rows that a network is chosen on, ascending."""
    return sorted({row for fold in folds for row in fold.held_out})


def read_examples(table: Table, text: str, label: str, classes: Sequence[Label]) -> Examples:
    """Read a table's rows. Raises DataError for an empty cell or a label that is not among `classes`."""
    table = table.usable(text, label)
    index_of = _by_value(classes)
    numbers = [index_of(name) for name in _labels(table, label)]
    for i, number in enumerate(numbers):
        if number is None:
            listed = ", ".join(map(str, classes[:12])) + (", ..." if len(classes) > 12 else "")
            name = _labels(table.select([i]), label)[0]
            what = f"{table.row(i)}: the label {name!r} in column {label!r} is not among those of"
            table.bad.add(table.line(i), DataError(f"{what} the training data ({listed})."))
    if None in numbers:
        table = table.select([i for i, number in enumerate(numbers) if number is not None])
    table.report()
    return Examples(table.texts(text), torch.tensor([number for number in numbers if number is not None]))


def _without_lone_labels(table: Table, column: str) -> Table:
    """Return the rows whose label has another row, if bad rows are skipped, else the table itself."""
    labels = _labels(table, column) if table.bad.skip else []
    counts = Counter(labels)
    lone = [i for i, label in enumerate(labels) if counts[label] == 1]
    for i in lone:
        what = f"{table.row(i)}: the label {labels[i]!r} occurs only here"
        table.bad.add(table.line(i), DataError(f"{what}; give it a second example."))
    return table.select([i for i, label in enumerate(labels) if counts[label] > 1]) if lone else table


def _labels(table: Table, column: Any) -> list[Label]:
    """Return the labels in the type of their column: text, numbers, true and false."""
    texts = table.texts(column)
    cells = table.frame[column_name(column)]
    if cells.dtype in TEXTS:
        return [text.strip() for text in texts]
    if cells.dtype == pl.Boolean or cells.dtype in WHOLE:
        return cells.to_list()
    if not cells.dtype.is_float():
        kind = str(cells.dtype).partition("(")[0]
        raise DataError(f"column {column!r} of {table.name} holds labels of type {kind}; write them as text.")
    infinite = cells.is_infinite().arg_true()
    if len(infinite):
        raise DataError(f"{table.row(int(infinite[0]))}: the label in column {column!r} is infinite.")
    return cells.to_list()


def require_one_kind(data: Any, column: Any) -> None:
    """Raise DataError for labels of several kinds in Python's own values, which a table holds as text: the
    answers would be of another kind than some of the labels."""
    first: dict[str, int] = {}
    for row, value in enumerate(_values(data, column)):
        first.setdefault(_kind(value), row)
    first.pop("", None)
    if LARGE in first:
        raise DataError(
            f"{type(data).__name__}, row {first[LARGE]} (counted from 0): the label in column {column!r} is "
            f"{LARGE}; write it as text."
        )
    if len(first) > 1:
        (kind, row), (other, there) = list(first.items())[:2]
        raise DataError(
            f"{type(data).__name__}, row {there} (counted from 0): the label in column {column!r} is "
            f"{other}, but that of row {row} is {kind}; give labels of one kind."
        )


def _values(data: Any, column: Any) -> Iterable[Any]:
    if isinstance(data, list) and all(isinstance(row, dict) for row in data):
        return [row.get(column) for row in data]
    is_pandas = hasattr(data, "dtypes") and hasattr(data, "iloc")
    if not (is_pandas or isinstance(data, dict)) or column not in data:
        return ()
    values = data[column]
    return values if isinstance(values, list | tuple) or str(getattr(values, "dtype", "")) == "object" else ()


def _kind(label: Any) -> str:
    """Return the kind of one label in words, "" for a missing one."""
    if isinstance(label, str):
        return "a text"
    if isinstance(label, bool | np.bool_):
        return "true or false"
    if isinstance(label, int) and not -(2**63) <= label < 2**64:
        return LARGE
    if isinstance(label, Number):
        return "" if label != label else "a number"
    return "" if label is None or type(label).__name__ in PANDAS_MISSING else type(label).__name__


def _by_value(classes: Sequence[Label]) -> Callable[[Label], int | None]:
    """Return a function from a label to its number among `classes`: a label of the same value, or between a
    text and a number or boolean, as where a file is CSV and a frame is not, of the same meaning."""
    same = {label: i for i, label in enumerate(classes)}
    written: dict[Any, set[int]] = {}
    for i, label in enumerate(classes):
        written.setdefault(_meaning(label), set()).add(i)

    def index_of(label: Label) -> int | None:
        if label in same:
            return same[label]
        alike = [
            i
            for i in written.get(_meaning(label), ())
            if isinstance(classes[i], str) != isinstance(label, str)
        ]
        return alike[0] if len(alike) == 1 else None

    return index_of


def _meaning(label: Label) -> Any:
    """Return what a label says whether it is written or not: "true" and True, "1", 1 and 1.0."""
    if isinstance(label, bool):
        return str(label).lower()
    if not isinstance(label, str):
        return label
    if label.lower() in ("true", "false"):
        return label.lower()
    for number in (int, float):
        with suppress(ValueError):
            return number(label)
    return label


def in_order(labels: Sequence[Label], table: Table, column: str) -> tuple[Label, ...]:
    """Return the different labels: as numbers if all of them are, else by alphabet. Raises DataError if there
    is only one label, or a label has a single row."""
    counts = Counter(labels)
    if len(counts) < 2:
        raise DataError(
            f"{table.name}: column {column!r} holds only the label {labels[0]!r}; "
            "a classifier needs two or more."
        )
    lone = next((i for i, label in enumerate(labels) if counts[label] == 1), None)
    if lone is not None:
        more = sum(n == 1 for n in counts.values()) - 1
        others = f" (and {more} more labels)" if more else ""
        raise DataError(
            f"{table.row(lone)}: the label {labels[lone]!r} occurs only here{others}; "
            "give it a second example, or remove the row."
        )
    numeric = all(_is_number(label) for label in counts)
    return tuple(sorted(counts, key=lambda label: (float(label), label) if numeric else (0.0, label)))


def _is_number(label: Label) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def divide(examples: Examples, count: int, seed: int, name: str) -> list[Fold]:
    """Return folds that each hold out another tenth of the examples, as far as there are texts: a text that
    occurs twice stays on one side, and labels keep their proportions."""
    keys, labels = [normalize(text) for text in examples.texts], examples.labels.tolist()
    rows, rest, folds = range(len(keys)), list(range(len(keys))), list[Fold]()
    for k in range(count):
        if k and len({keys[row] for row in rest}) < 2:
            rest = list(rows)
        share = HELD_OUT_SHARE * len(rows) / len(rest)
        _, chosen = split_groups([keys[i] for i in rest], share, seed + k, [labels[i] for i in rest], name)
        held_out = {rest[i] for i in chosen}
        rest = [row for row in rest if row not in held_out]
        folds.append(Fold([row for row in rows if row not in held_out], sorted(held_out)))
    return folds


def scoring_notes(examples: Examples, classes: Sequence[Label]) -> tuple[str, ...]:
    """Return what a reader of scores on these examples must know of the examples."""
    notes = few_note(len(set(text_hashes(examples.texts))), "texts")
    present = set(examples.labels.tolist())
    if len(present) == 1:
        label = classes[present.pop()]
        return (
            *notes,
            f"all texts have the label {label!r}: the scores say how often it is answered, no more",
        )
    missing = [repr(label) for k, label in enumerate(classes) if k not in present]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        notes += (f"no scored text has the label {', '.join(missing[:5])}{more}",)
    return notes


def contradiction_note(examples: Examples) -> tuple[str, ...]:
    """Return a note if more than one training text in a hundred has several labels."""
    labels: dict[int, set[int]] = {}
    for key, label in zip(text_hashes(examples.texts), examples.labels.tolist(), strict=True):
        labels.setdefault(key, set()).add(label)
    several = sum(len(numbers) > 1 for numbers in labels.values())
    if several <= len(labels) / 100:
        return ()
    return (
        f"{several} of {len(labels)} different training texts have several labels, which no model can learn",
    )


def encode(tokenizer: Tokenizer, text: str) -> Ids:
    """Return the ids of a text: a start token, so that no text is empty, then its tokens."""
    return array("i", [start_token(tokenizer), *tokenizer.encode(text)])


def start_token(tokenizer: Tokenizer) -> int:
    """Return the id after the vocabulary's last, which is the greatest in a text."""
    return len(tokenizer)
