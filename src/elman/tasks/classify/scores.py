"""Labels of a classifier: their order, their weights, and the scores of answers."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from elman.data.table.table import Table
from elman.errors import DataError

# Larger confusion matrices help nobody in a terminal; `Evaluation.confusion` has them all the same.
PRINTED = 20
CORNER = "true \\ said"


def in_order(labels: Sequence[str], table: Table, column: str) -> tuple[str, ...]:
    """The different labels: as numbers if all of them are, else by alphabet.

    Raises:
        DataError: there is only one label, or a label has a single row.
    """
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


def indices(labels: Sequence[str], classes: Sequence[str], table: Table, column: str) -> Tensor:
    """(rows,) the number of each row's label.

    Raises:
        DataError: a label that training has not seen; names the row.
    """
    number = {label: i for i, label in enumerate(classes)}
    for i, label in enumerate(labels):
        if label not in number:
            listed = ", ".join(classes[:12]) + (", ..." if len(classes) > 12 else "")
            raise DataError(
                f"{table.row(i)}: the label {label!r} in column {column!r} is not among those that training "
                f"saw ({listed})."
            )
    return torch.tensor([number[label] for label in labels])


def class_weights(labels: Tensor, classes: int, balanced: bool) -> Tensor:
    """(K,) what a row of each class counts: 1; balanced, N / (K · rows of its class), 1 on average."""
    if not balanced:
        return torch.ones(classes)
    return len(labels) / (classes * torch.bincount(labels, minlength=classes))


def likeliest(row: Sequence[float], classes: Sequence[str]) -> str:
    """The label of the largest of one text's probabilities (K,)."""
    return classes[max(range(len(row)), key=row.__getitem__)]


def scores(probabilities: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy and macro-F1 of (N, K) probabilities against (N,) labels."""
    from torchmetrics.functional import classification as metrics  # takes long to import

    classes = probabilities.shape[1]
    answers = probabilities.argmax(1)
    return {
        "accuracy": float(metrics.multiclass_accuracy(answers, labels, classes, average="micro")),
        "macro_f1": float(metrics.multiclass_f1_score(answers, labels, classes, average="macro")),
    }


@dataclass(frozen=True)
class Evaluation:
    """How well a classifier does on labelled texts, and how well its plain baseline does.

    Attributes:
        scores: accuracy and macro-F1 (the mean of the classes' F1 scores), from 0 to 1.
        baseline: the same scores of the feed-forward net on a bag of words.
        confusion: one row a true label, one column an answer; counts.
        labels: what rows and columns stand for.
        rows: texts scored.
        notes: what a reader of the scores must know.
    """

    scores: dict[str, float]
    baseline: dict[str, float]
    confusion: list[list[int]]
    labels: tuple[str, ...]
    rows: int
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        ours: Tensor,
        baseline: Tensor,
        labels: Tensor,
        classes: tuple[str, ...],
        notes: tuple[str, ...] = (),
    ) -> "Evaluation":
        """From the probabilities (N, K) of network and baseline, and the labels (N,)."""
        network, plain = scores(ours, labels), scores(baseline, labels)
        if all(network[name] <= plain[name] for name in network):
            notes += ("the network is no better than the bag of words here: prefer the simpler, or add data",)
        table = torch.zeros(len(classes), len(classes), dtype=torch.int64)
        table.index_put_((labels, ours.argmax(1)), torch.tensor(1), accumulate=True)
        return cls(network, plain, table.tolist(), classes, len(labels), notes)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Evaluation":
        """The evaluation whose `to_dict` gave `value`."""
        return cls(**value | {"labels": tuple(value["labels"]), "notes": tuple(value["notes"])})

    @property
    def commonest(self) -> tuple[str, float]:
        """The label with most rows, and the accuracy of always answering it."""
        sizes = [sum(row) for row in self.confusion]
        return self.labels[sizes.index(max(sizes))], max(sizes) / self.rows

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return asdict(self) | {"labels": list(self.labels), "notes": list(self.notes)}

    def __str__(self) -> str:
        names = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
        lines = [f"{'':10}{'network':>10}{'bag of words':>15}"]
        lines += [f"{names[k]:10}{v:10.4f}{self.baseline[k]:15.4f}" for k, v in self.scores.items()]
        label, share = self.commonest
        lines += ["", f"{self.rows} texts; always answering {label!r} would reach an accuracy of {share:.4f}"]
        if len(self.labels) <= PRINTED:
            lines += ["", *self._matrix()]
        return "\n".join(lines + [f"Note: {note}" for note in self.notes])

    def _matrix(self) -> list[str]:
        shown = [label if len(label) <= 12 else f"{label[:11]}…" for label in self.labels]
        width = max(len(str(max(map(max, self.confusion)))), *map(len, shown)) + 2
        left = max(len(CORNER), *map(len, shown))
        lines = [f"{CORNER:{left}}" + "".join(f"{name:>{width}}" for name in shown)]
        for name, row in zip(shown, self.confusion, strict=True):
            lines.append(f"{name:{left}}" + "".join(f"{n:>{width}}" for n in row))
        return lines
