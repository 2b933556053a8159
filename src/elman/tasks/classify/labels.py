"""What differs between texts of one label and texts of several, in one place.

A text of one label is one question with K answers. A text of several is K questions, one for each label, and
the answers to each are no and yes. So logits and log-probabilities are (N, K) or (N, K, 2), with the answers
in the last dimension, and labels are the numbers of the true answers, (N,) or (N, K). Loss, blend and
temperature look at the last dimension alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import UsageError
from elman.typed import typed

# JSON's kinds of values: what a frame's column of labels held. The labels of a CSV are text.
Label: TypeAlias = str | int | float | bool

UNSURE: Final = "unsure"  # what is printed in place of a label that is not likely enough
NONE: Final = "none"  # and where a text that may have several labels has none
LIKELY: Final = 0.5  # the threshold where none was chosen
# Names of columns: of the answer, of its parts, and of the baseline in models that had no linear part.
NETWORK, LINEAR, BOTH, BAG = "network", "TF-IDF", "network + linear", "bag of words"


class LabelLists(TypedDict):
    labels: tuple[Label, ...]
    separator: str | None
    thresholds: dict[str, float]


@dataclass(frozen=True)
class Labels:
    """The labels that a model knows.

    Attributes:
        classes: in the order of every table of probabilities.
        several: whether a text may have any number of them, or has one.
        separator: of several labels in a cell of text; None if cells are lists.
        thresholds: by the name of the model and of each of its parts, the probability from which one of
            several labels is in the answer.
    """

    classes: tuple[Label, ...]
    several: bool = False
    separator: str | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def threshold(self) -> float:
        """The probability from which one of several labels is in the model's answer."""
        return self.thresholds.get(BOTH, LIKELY)

    def answer(self, row: Sequence[float], at_least: float | None = None) -> Any:
        """Return the answer to a text, given the probability of each label, (K,): the likeliest label, or
        None if that is less likely than `at_least`; or the list of all labels that are as likely as that, the
        likeliest first."""
        order = sorted(range(len(row)), key=lambda k: -row[k])
        if self.several:
            least = self.threshold if at_least is None else at_least
            return [self.classes[k] for k in order if row[k] >= least]
        best = order[0]
        return self.classes[best] if at_least is None or row[best] >= at_least else None

    def noun(self, names: Sequence[str]) -> str:
        """Return a phrase for the labels of a text: "the label 'a'"."""
        return f"the label {names[0]}" if not self.several else f"the labels [{', '.join(names)}]"

    def named(self, row: Sequence[float]) -> dict[Label, float]:
        """Return the probability of each label by its name."""
        return dict(zip(self.classes, row, strict=True))

    def to_json(self) -> Any:
        """Return what `from_json` reads: a list of labels of which each text has one, or an object."""
        listed = list(self.classes)
        if not self.several:
            return listed
        return {"labels": listed, "separator": self.separator, "thresholds": dict(self.thresholds)}

    def with_thresholds(self, probabilities: Mapping[str, Tensor], labels: Tensor) -> "Labels":
        """Return these with the thresholds of highest micro-F1 on held-out texts, if they may have several.

        Args:
            probabilities: by the name of the model and of its parts, (N, K, 2).
            labels: (N, K).
        """
        if not self.several:
            return self
        return replace(
            self, thresholds={name: best_threshold(each, labels) for name, each in probabilities.items()}
        )

    @classmethod
    def from_json(cls, value: Any) -> "Labels":
        """Return the saved labels. Raises ValueError if they are malformed."""
        if isinstance(value, dict):
            saved = typed(LabelLists, value, "labels.json")
            labels = cls(saved["labels"], True, saved["separator"], saved["thresholds"])
        else:
            labels = cls(typed(tuple[Label, ...], value, "labels.json"))
        if not labels.classes or len(set(labels.classes)) < len(labels.classes):
            raise ValueError("labels.json must hold different labels")
        if labels.separator == "" or not all(0 <= least <= 1 for least in labels.thresholds.values()):
            raise ValueError("labels.json must hold a separator and thresholds from 0 to 1")
        return labels


def check_separator(separator: Any) -> None:
    """Raise UsageError unless a separator is None or a text that is not empty."""
    if separator is not None and not (isinstance(separator, str) and separator):
        raise UsageError(f"separator must be a text such as ';', not {separator!r:.60}")


def as_answers(logits: Tensor, several: bool) -> Tensor:
    """Return the logits of the answers: one logit a label, (..., K), as it is, or the logits of no, which are
    0, and of yes, (..., K, 2)."""
    return torch.stack([torch.zeros_like(logits), logits], -1) if several else logits


def shares(probabilities: Tensor) -> Tensor:
    """Return the probability of each label, (N, K), from those of the answers, (N, K) or (N, K, 2)."""
    return probabilities[..., 1] if probabilities.dim() == 3 else probabilities


def membership(labels: NDArray[Any], classes: int) -> Any:
    """Return which text has which of the first K labels, as a sparse array (N, K) of 0 and 1: dense, it is
    too large for thousands of labels."""
    from scipy.sparse import csr_array

    if labels.ndim == 2:
        return csr_array(labels[:, :classes].astype(np.float32))
    rows = np.flatnonzero(labels < classes)
    return csr_array((np.ones(len(rows), np.float32), (rows, labels[rows])), (len(labels), classes))


def strata(labels: Tensor) -> list[int]:
    """Return a number for each text by which splits keep the labels' proportions: that of its label; of
    several, the rarest; -1 if it has none."""
    if labels.dim() == 1:
        return labels.tolist()
    rarity = labels * (len(labels) + 1 - labels.sum(0))
    return torch.where(labels.any(1), rarity.argmax(1), -1).tolist()


def best_threshold(probabilities: Tensor, labels: Tensor) -> float:
    """Return the threshold of highest micro-F1 of probabilities (N, K, 2) of no and yes against labels
    (N, K), in the middle between two of them. Where probabilities are right, it is half of that F1. Lipton,
    Elkan, Narayanaswamy 2014, arXiv:1402.1892."""
    likely, order = shares(probabilities).flatten().sort(descending=True, stable=True)
    right = labels.flatten()[order].cumsum(0)
    answered = torch.arange(1, len(order) + 1)
    f1 = 2 * right / (answered + labels.sum())
    f1[:-1][likely[:-1] == likely[1:]] = 0  # equals are answered together
    best = int(f1.argmax())
    return float(likely[best : best + 2].mean())
