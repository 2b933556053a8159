"""Scores of a text classifier beside those of its baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

import torch
from torch import Tensor

from elman.errors import UsageError
from elman.settings import is_number
from elman.tasks.evaluation import Evaluation, Metric

# JSON's kinds of values: what a frame's column of labels held. The labels of a CSV are text.
Label: TypeAlias = str | int | float | bool

MAX_PRINTED_CLASSES: Final = 20  # of a confusion matrix
CORNER: Final = "true \\ predicted"
# Names of columns: of the answer, of its parts, and of the baseline in models that had no linear part.
NETWORK, LINEAR, BOTH, BAG = "network", "TF-IDF", "network + linear", "bag of words"
UNSURE: Final = "unsure"  # what is printed in place of a label that is not likely enough
BINS: Final = 15  # of confidence, for the calibration error


def likeliest(row: Sequence[float], classes: Sequence[Label], at_least: float | None = None) -> Any:
    """Return the label of the largest of one text's probabilities (K,), or None where that is less than
    `at_least`."""
    best = max(range(len(row)), key=row.__getitem__)
    return classes[best] if at_least is None or row[best] >= at_least else None


def check_share(at_least: Any, probabilities: bool = False) -> None:
    """Raise UsageError unless a least probability is None or, where labels are asked for, from 0 to 1."""
    if at_least is None:
        return
    if not is_number(at_least) or not 0 <= at_least <= 1:
        raise UsageError(f"at_least must be a probability from 0 to 1, not {at_least!r}")
    if probabilities:
        raise UsageError("at_least is for labels: leave it out to get all probabilities")


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error of probabilities (N, K): texts are put in 15 bins by the
    probability of their likeliest label; it is the mean over texts of the distance between their bin's mean
    probability and its accuracy. Guo et al. 2017, arXiv:1706.04599."""
    confidence, predicted = probabilities.double().max(1)
    bins = (confidence * BINS).ceil().long().clamp(1, BINS)
    excess = confidence - (predicted == labels).double()
    return float(torch.zeros(BINS + 1, dtype=torch.float64).index_add_(0, bins, excess).abs().sum()) / len(
        labels
    )


def label_scores(probabilities: Tensor, labels: Tensor) -> dict[str, float]:
    """Return accuracy and macro-F1 of probabilities (N, K) against labels (N,)."""
    from torchmetrics.functional import classification  # takes long to import

    classes = probabilities.shape[1]
    predicted = probabilities.argmax(1)
    return {
        "accuracy": float(classification.multiclass_accuracy(predicted, labels, classes, average="micro")),
        "macro_f1": float(classification.multiclass_f1_score(predicted, labels, classes, average="macro")),
    }


@dataclass(frozen=True, kw_only=True)
class LabelEvaluation(Evaluation):
    """Accuracy, macro-F1 (the mean of the classes' F1 scores) and expected calibration error, 0 to 1, on
    labelled texts."""

    SAVED_BASELINES: ClassVar = {"baseline": BAG}

    confusion: tuple[tuple[int, ...], ...]  # counts, one row a true label, one column a predicted one
    labels: tuple[Label, ...]  # of rows and columns
    rows: int  # texts scored

    @classmethod
    def of(
        cls,
        answer: Tensor,
        baselines: Mapping[str, Tensor],
        labels: Tensor,
        classes: tuple[Label, ...],
        notes: tuple[str, ...] = (),
    ) -> "LabelEvaluation":
        """Score the probabilities (N, K) of the model and of its parts or baselines against labels (N,)."""
        ours = label_scores(answer, labels)
        plain = {name: label_scores(probabilities, labels) for name, probabilities in baselines.items()}
        for name, scores in plain.items():
            if all(ours[key] <= scores[key] for key in ours):
                notes += (_no_better(name),)
        counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)
        counts.index_put_((labels, answer.argmax(1)), torch.tensor(1), accumulate=True)
        errors = {name: calibration_error(rows, labels) for name, rows in {"": answer, **baselines}.items()}
        return cls(
            scores={**ours, "ece": errors[""]},
            baselines={name: {**scores, "ece": errors[name]} for name, scores in plain.items()},
            notes=notes,
            confusion=tuple(map(tuple, counts.tolist())),
            labels=classes,
            rows=len(labels),
        )

    @property
    def commonest(self) -> tuple[Label, float]:
        """The label with most rows, and the accuracy of always answering it."""
        sizes = [sum(row) for row in self.confusion]
        return self.labels[sizes.index(max(sizes))], max(sizes) / self.rows

    def metrics(self) -> dict[str, Metric]:
        return {
            "accuracy": Metric("accuracy", ".4f"),
            "macro_f1": Metric("macro-F1", ".4f"),
            "ece": Metric("calibration error", ".4f"),
        }

    @property
    def column(self) -> str:
        return BOTH if NETWORK in self.baselines else NETWORK

    def facts(self) -> list[str]:
        label, share = self.commonest
        line = f"{self.rows} texts; always answering {label!r} would reach an accuracy of {share:.4f}"
        return [line, "", *self._matrix()] if len(self.labels) <= MAX_PRINTED_CLASSES else [line]

    def _matrix(self) -> list[str]:
        shown = [label if len(label) <= 12 else f"{label[:11]}…" for label in map(str, self.labels)]
        width = max(len(str(max(map(max, self.confusion)))), *map(len, shown)) + 2
        left = max(len(CORNER), *map(len, shown))
        lines = [f"{CORNER:{left}}" + "".join(f"{name:>{width}}" for name in shown)]
        for name, row in zip(shown, self.confusion, strict=True):
            lines.append(f"{name:{left}}" + "".join(f"{n:>{width}}" for n in row))
        return lines


def _no_better(name: str) -> str:
    """Return a note about a part or a baseline that scores as high as the model."""
    if name == BAG:
        return f"the network is no better than the {name} here: prefer the simpler, or add data"
    other = "the network" if name == LINEAR else "the linear model"
    return f"{name} alone scores as high here: {other} adds nothing"
