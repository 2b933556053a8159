"""Labelled texts: read from a table, checked, split without leaks, and encoded as token ids."""

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

from elman.data.batches import HELD_OUT_SHARE, normalize, split_groups
from elman.data.table.table import Table
from elman.data.text.tokenizers import Tokenizer
from elman.errors import DataError

MIN_ROWS: Final = 10

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


@dataclass(frozen=True)
class Corpus:
    """What a classifier learns from and is chosen on."""

    classes: tuple[str, ...]
    train: Examples
    held_out: Examples
    source: dict[str, Any]  # name, fingerprint and rows of the table


def read_corpus(table: Table, valid: Table | None, text: str, label: str, seed: int) -> Corpus:
    """Return examples to train on and to hold out: `valid`'s, or a tenth, none of whose texts is trained on.
    Raises DataError for too few rows, and as `in_order` and `read_examples` do."""
    table.require(text, label)
    if len(table) < MIN_ROWS:
        raise DataError(f"{table.name} has {len(table)} rows; a classifier needs at least {MIN_ROWS}.")
    classes = in_order(_labels(table, label), table, label)
    train = read_examples(table, text, label, classes)
    if valid is None:
        train, held_out = divide(train, seed)
    else:
        held_out = read_examples(valid, text, label, classes)
    source = {"source": table.name, "fingerprint": table.fingerprint, "rows": len(table)}
    return Corpus(classes, train, held_out, source)


def read_examples(table: Table, text: str, label: str, classes: Sequence[str]) -> Examples:
    """Read a table's rows. Raises DataError for an empty cell or a label that is not among `classes`."""
    table.require(text, label)
    numbers = {name: i for i, name in enumerate(classes)}
    labels = _labels(table, label)
    for i, name in enumerate(labels):
        if name not in numbers:
            listed = ", ".join(classes[:12]) + (", ..." if len(classes) > 12 else "")
            raise DataError(
                f"{table.row(i)}: the label {name!r} in column {label!r} is not among those of "
                f"the training data ({listed})."
            )
    return Examples(table.texts(text), torch.tensor([numbers[name] for name in labels]))


def _labels(table: Table, column: str) -> list[str]:
    return [cell.strip() for cell in table.texts(column)]


def in_order(labels: Sequence[str], table: Table, column: str) -> tuple[str, ...]:
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


def _is_number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def divide(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    """Split into training and held-out examples: a text that occurs twice stays on one side, and labels keep
    their proportions."""
    keys = [normalize(text) for text in examples.texts]
    train, held_out = split_groups(keys, HELD_OUT_SHARE, seed, stratify=examples.labels.tolist())
    return examples.take(train), examples.take(held_out)


def encode(tokenizer: Tokenizer, text: str) -> Ids:
    """Return the ids of a text: a start token, so that no text is empty, then its tokens."""
    return array("i", [start_token(tokenizer), *tokenizer.encode(text)])


def start_token(tokenizer: Tokenizer) -> int:
    """Return the id after the vocabulary's last, which is the greatest in a text."""
    return len(tokenizer)
