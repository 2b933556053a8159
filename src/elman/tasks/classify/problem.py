"""Labelled texts: split without leaks, as ids, and as the problem that a network and its baseline solve."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.batches import length_batches, normal, pad, split_groups
from elman.data.table.table import Table
from elman.data.text.tokenizers import Tokenizer
from elman.errors import DataError
from elman.tasks.classify import scores as classify_scores
from elman.training.loop import Plan, share

HELD_OUT: Final = 0.1  # share of the rows on which the best model is chosen
FEWEST: Final = 10  # rows
TOGETHER: Final = 32 * 1024  # tokens that are scored at once, padding included

Ids: TypeAlias = "array[int]"


@dataclass(frozen=True)
class Examples:
    """Texts and the numbers of their labels, (N,)."""

    texts: list[str]
    labels: Tensor

    def take(self, rows: Sequence[int]) -> "Examples":
        """The examples at `rows`."""
        return Examples([self.texts[i] for i in rows], self.labels[list(rows)])

    def encoded(self, tokenizer: Tokenizer) -> "Encoded":
        """The texts as ids."""
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
    """Examples to train on, and to hold out: `valid`'s, or a tenth, none of whose texts is trained on.

    Raises:
        DataError: too few rows, a single label, a label of a single row, an empty cell; a label in `valid`
            that the table hasn't.
    """
    table.require(text, label)
    if len(table) < FEWEST:
        raise DataError(f"{table.name} has {len(table)} rows; a classifier needs at least {FEWEST}.")
    classes = classify_scores.in_order(_stripped(table, label), table, label)
    train = read_examples(table, text, label, classes)
    if valid is None:
        train, held_out = divide(train, seed)
    else:
        held_out = read_examples(valid, text, label, classes)
    source = {"source": table.name, "fingerprint": table.fingerprint, "rows": len(table)}
    return Corpus(classes, train, held_out, source)


def read_examples(table: Table, text: str, label: str, classes: Sequence[str]) -> Examples:
    """A table's rows. Raises DataError for an empty cell or a label that is not among `classes`."""
    table.require(text, label)
    numbers = classify_scores.indices(_stripped(table, label), classes, table, label)
    return Examples(table.texts(text), numbers)


def _stripped(table: Table, label: str) -> list[str]:
    return [cell.strip() for cell in table.texts(label)]


def divide(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    """Training and held-out examples: a text that occurs twice stays on one side, labels in like shares."""
    keys = [normal(text) for text in examples.texts]
    train, held_out = split_groups(keys, HELD_OUT, seed, stratify=examples.labels.tolist())
    return examples.take(train), examples.take(held_out)


def encode(tokenizer: Tokenizer, text: str) -> Ids:
    """Ids of a text: a start sign, so that no text is empty, then its tokens."""
    return array("i", [start_sign(tokenizer), *tokenizer.encode(text)])


def start_sign(tokenizer: Tokenizer) -> int:
    """The id after the vocabulary's last, and so the greatest that a text holds."""
    return len(tokenizer)


def class_probabilities(model: nn.Module, texts: Sequence[Ids]) -> Tensor:
    """(N, K) probabilities of encoded texts, on the CPU. The model is in eval mode."""
    device = next(model.parameters()).device
    found: dict[int, Tensor] = {}
    with torch.no_grad():
        for rows in _by_length(texts):
            ids, lengths = pad([texts[i] for i in rows])
            answers = model(ids.to(device), lengths.to(device)).float().softmax(1).cpu()
            found |= dict(zip(rows, answers, strict=True))
    return torch.stack([found[i] for i in range(len(texts))])


def _by_length(texts: Sequence[Ids]) -> Iterator[list[int]]:
    """Rows in batches of similar length, each of at most TOGETHER tokens, or of one text."""
    batch: list[int] = []
    for i in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        if batch and len(texts[i]) * (len(batch) + 1) > TOGETHER:
            yield batch
            batch = []
        batch.append(i)
    yield batch


@dataclass
class LabelProblem:
    """Cross entropy on encoded texts; the model with the best macro-F1 on the held-out texts wins.

    Attributes:
        weights: (K,) what a row of each class counts.
        plan: batch size and seed.
        longest: tokens of a text that one step reads, from a random place in it; None: all.
    """

    train: Encoded
    held_out: Encoded
    weights: Tensor
    plan: Plan
    longest: int | None = None
    score: str = "macro_f1"
    maximize: bool = True

    def batches(self, epoch: int, rank: int, world: int) -> list[list[int]]:
        """Rows; texts of similar length stand together."""
        longest = self.longest or sys.maxsize
        lengths = [min(len(ids), longest) for ids in self.train.texts]
        batches = length_batches(lengths, self.plan.batch_size, seed=self.plan.seed, epoch=epoch)
        return share([batch for batch in batches if len(batch) >= world], rank, world)

    def loss(self, model: nn.Module, batch: list[int], state: Any) -> tuple[Tensor, float, None]:
        """Weighted sum over the texts, and the sum of their weights."""
        device = next(model.parameters()).device
        ids, lengths = pad([self._cropped(self.train.texts[i]) for i in batch])
        wanted, weights = self.train.labels[batch].to(device), self.weights.to(device)
        logits = model(ids.to(device), lengths.to(device)).float()
        return F.cross_entropy(logits, wanted, weights, reduction="sum"), float(weights[wanted].sum()), None

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Accuracy and macro-F1 on the held-out texts."""
        return classify_scores.scores(class_probabilities(model, self.held_out.texts), self.held_out.labels)

    def _cropped(self, ids: Ids) -> Ids:
        if self.longest is None or len(ids) <= self.longest:
            return ids
        start = int(torch.randint(len(ids) - self.longest + 1, ()))
        return ids[start : start + self.longest]
