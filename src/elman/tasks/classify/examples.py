"""Labelled texts: read from a table, checked, split without leaks, and encoded as token ids."""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

import torch
from torch import Tensor

from elman.data.batches import HELD_OUT_SHARE, normalize, split_groups, text_hashes
from elman.data.table.table import Table, read_table
from elman.data.text.tokenizers import Tokenizer
from elman.errors import DataError, UsageError, counted
from elman.tasks.classify.label_column import (
    by_value,
    finite,
    has_lists,
    in_order,
    read_cells,
    require_one_kind,
    whole_lists,
)
from elman.tasks.classify.labels import Labels, check_separator, membership, strata
from elman.tasks.evaluation import few_note
from elman.tasks.inputs import is_table, only_column, read_texts

MIN_ROWS: Final = 4  # two labels, each with a text to learn from and one to score

Ids: TypeAlias = "array[int]"


@dataclass(frozen=True)
class Examples:
    """Texts and the numbers of their labels, (N,); of several labels, which of them they have, (N, K)."""

    texts: list[str]
    labels: Tensor

    def take(self, rows: Sequence[int]) -> "Examples":
        return Examples([self.texts[i] for i in rows], self.labels[list(rows)])

    def encoded(self, tokenizer: Tokenizer) -> "Encoded":
        return Encoded([encode(tokenizer, text) for text in self.texts], self.labels)


@dataclass(frozen=True)
class Encoded:
    """Texts as ids, and their labels as in `Examples`."""

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
        source: name, fingerprint and rows of the table, and the fingerprint of `valid`.
        valid: name of the validation table, if there is one.
    """

    labels: Labels
    examples: Examples
    rows: int
    source: dict[str, Any]
    valid: str | None = None

    def folds(self, count: int, seed: int) -> list[Fold]:
        """Return one fold for each network. Each is chosen on `valid`; or on a tenth of the rows of its
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
        labels = self.examples.labels[held_out_rows(folds)]
        if bool((labels == labels[0]).all()):
            present = membership(labels[:1].numpy(), len(self.labels.classes)).indices
            names = [repr(self.labels.classes[k]) for k in present]
            raise DataError(
                f"{name}: {which} hold only {self.labels.noun(names)}, "
                f"for which scores mean nothing; {advice}."
            )
        return folds


class LabelledTexts(dict[str, Any]):
    """A table of texts and labels that were given apart."""

    called: ClassVar = "texts and labels"  # in messages


def labelled(texts: Any, labels: Any, text: str, label: str) -> LabelledTexts:
    """Return texts and their labels, in the order of both, as a table with columns of these names.

    Args:
        texts: as `read_texts` takes them, but not a single one.
        labels: a list, an array (N,) or a column of a frame; of several labels a text, a list of lists.

    Raises UsageError for a single text, labels in two dimensions, or another number of labels than of texts.
    """
    rows = read_texts(texts, text)
    if rows.single:
        raise UsageError("the texts must be a list, an array or a column of a frame, not a single text")
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise UsageError(f"labels must be a list, one for each text, not {type(labels).__name__}")
    if is_table(labels):
        labels = only_column(read_table(labels), "labels")
    if getattr(labels, "ndim", 1) != 1:
        advice = "for several labels of a text, give a list of lists of labels"
        raise UsageError(f"labels must have one dimension, not {labels.ndim}: {advice}")
    if not hasattr(labels, "__len__"):
        labels = list(labels)
    if len(labels) != len(rows.texts):
        count = counted(len(rows.texts), "text"), counted(len(labels), "label")
        raise UsageError(f"there are {count[0]} but {count[1]}; give one label for each text")
    return LabelledTexts({text: rows.texts, label: labels})


def corpus_of(
    data: Any, valid: Any, text: str, label: str, separator: str | None, *, header: bool, skip_bad: bool
) -> Corpus:
    """Read what `Classifier.fit` is given."""
    check_separator(separator)
    require_one_kind(data, label)
    held_out = None if valid is None else read_table(valid, header=header, skip_bad=skip_bad)
    table = read_table(data, header=header, skip_bad=skip_bad)
    return read_corpus(table, held_out, text, label, separator)


def read_corpus(
    table: Table, valid: Table | None, text: str, label: str, separator: str | None = None
) -> Corpus:
    """Read the examples of a table and of `valid`, if there is one. A text may have several labels where the
    cells are lists or there is a separator. Raises DataError for too few rows, and as `in_order` and
    `read_examples` do."""
    table.require(text, label)
    several = has_lists(table, label, separator)
    table = _usable(table, text, label, several, separator)
    if len(table) < MIN_ROWS:
        raise DataError(
            f"{table.name} has {counted(len(table), 'row')}; a classifier needs at least {MIN_ROWS}."
        )
    table = _without_lone_labels(table, label, several, separator)
    table.report()
    cells = read_cells(table, label, several, separator)
    classes = in_order(cells.labels, cells.table, label, 1 if several else 2)
    labels = Labels(classes, several, separator)
    examples = train = read_examples(table, text, label, labels)
    if valid is not None:
        held_out = read_examples(valid, text, label, labels)
        examples = Examples(train.texts + held_out.texts, torch.cat([train.labels, held_out.labels]))
    source: dict[str, Any] = {"source": table.name, "fingerprint": table.fingerprint, "rows": len(table)}
    source["valid"] = None if valid is None else valid.fingerprint
    return Corpus(labels, examples, len(train.texts), source, None if valid is None else valid.name)


def held_out_rows(folds: Sequence[Fold]) -> list[int]:
    """Return the rows that a network is chosen on, ascending."""
    return sorted({row for fold in folds for row in fold.held_out})


def read_examples(table: Table, text: str, label: str, labels: Labels) -> Examples:
    """Read a table's rows. Raises DataError for an empty cell, or for a label that is not among `labels`."""
    table = _usable(table, text, label, labels.several, labels.separator)
    cells, index_of = read_cells(table, label, labels.several, labels.separator), by_value(labels.classes)
    numbers = [index_of(name) for name in cells.labels]
    unknown = set()
    for i, number in enumerate(numbers):
        if number is None:
            listed = ", ".join(map(str, labels.classes[:12])) + (", ..." if len(labels.classes) > 12 else "")
            what = f"the label {cells.labels[i]!r} in column {label!r} is not among those of"
            problem = DataError(f"{cells.table.row(i)}: {what} the training data ({listed}).")
            table.bad.add(cells.table.line(i), problem)
            unknown.add(cells.rows[i])
    rows = [row for row in range(len(table)) if row not in unknown]
    texts = table.select(rows) if unknown else table
    texts.report()
    if not labels.several:
        return Examples(texts.texts(text), torch.tensor([numbers[row] for row in rows]))
    has = torch.zeros(len(table), len(labels.classes), dtype=torch.int64)
    for row, number in zip(cells.rows, numbers, strict=True):
        if number is not None:
            has[row, number] = 1
    return Examples(texts.texts(text), has[rows])


def _usable(table: Table, text: str, label: str, several: bool, separator: str | None) -> Table:
    """Return the rows with a text and labels, if bad rows are skipped, else the table itself."""
    table = table.usable(text) if separator else table.usable(text, label)
    return whole_lists(table, label, separator) if several else finite(table, label)


def _without_lone_labels(table: Table, column: str, several: bool, separator: str | None) -> Table:
    """Return the rows whose labels have another row each, if bad rows are skipped, else the table itself."""
    while table.bad.skip:
        cells = read_cells(table, column, several, separator)
        counts = Counter(cells.labels)
        lone = {row: i for i, row in enumerate(cells.rows) if counts[cells.labels[i]] == 1}
        if not lone:
            break
        for i in lone.values():
            what = f"{cells.table.row(i)}: the label {cells.labels[i]!r} occurs only here"
            table.bad.add(cells.table.line(i), DataError(f"{what}; give it a second example."))
        table = table.select([row for row in range(len(table)) if row not in lone])
    return table


def divide(examples: Examples, count: int, seed: int, name: str) -> list[Fold]:
    """Return folds that each hold out another tenth of the examples, as far as there are texts: a text that
    occurs twice stays on one side, and labels keep their proportions."""
    keys, labels = [normalize(text) for text in examples.texts], strata(examples.labels)
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


def scoring_notes(examples: Examples, labels: Labels) -> tuple[str, ...]:
    """Return notes on what scores on these examples do not cover: few texts, missing labels."""
    notes = few_note(len(set(text_hashes(examples.texts))), "text")
    sizes = membership(examples.labels.numpy(), len(labels.classes)).sum(0)
    present = (sizes > 0).tolist()
    if sum(present) == 1 and not labels.several:
        label = labels.classes[present.index(True)]
        return (
            *notes,
            f"all texts have the label {label!r}: the scores say how often it is answered, no more",
        )
    missing = [repr(label) for label, has in zip(labels.classes, present, strict=True) if not has]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        notes += (f"no scored text has the label {', '.join(missing[:5])}{more}",)
    return notes


def contradiction_note(examples: Examples) -> tuple[str, ...]:
    """Return a note if more than one training text in a hundred has other labels elsewhere."""
    labels: dict[int, set[str]] = {}
    for key, label in zip(text_hashes(examples.texts), examples.labels.tolist(), strict=True):
        labels.setdefault(key, set()).add(str(label))
    differing = sum(len(each) > 1 for each in labels.values())
    if differing <= len(labels) / 100:
        return ()
    verb = "has" if differing == 1 else "have"
    what = f"different training texts {verb} other labels in other rows, which no model can learn"
    return (f"{differing} of {len(labels)} {what}",)


def encode(tokenizer: Tokenizer, text: str) -> Ids:
    """Return the ids of a text: a start token, so that no text is empty, then its tokens."""
    return array("i", [start_token(tokenizer), *tokenizer.encode(text)])


def start_token(tokenizer: Tokenizer) -> int:
    """Return the id after the vocabulary's last, which is the greatest in a text."""
    return len(tokenizer)
