"""Scores of a text classifier beside those of its baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

import torch
from torch import Tensor

from elman.tasks.evaluation import Evaluation, Metric

# JSON's kinds of values: what a frame's column of labels held. The labels of a CSV are text.
Label: TypeAlias = str | int | float | bool

MAX_PRINTED_CLASSES: Final = 20  # of a confusion matrix
CORNER: Final = "true \\ predicted"


def likeliest(row: Sequence[float], classes: Sequence[Label]) -> Label:
    """Return the label of the largest of one text's probabilities (K,)."""
    return classes[max(range(len(row)), key=row.__getitem__)]


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
    """Accuracy and macro-F1 (the mean of the classes' F1 scores), 0 to 1, on labelled texts."""

    SAVED_BASELINES: ClassVar = {"baseline": "bag of words"}

    confusion: tuple[tuple[int, ...], ...]  # counts, one row a true label, one column a predicted one
    labels: tuple[Label, ...]  # of rows and columns
    rows: int  # texts scored

    @classmethod
    def of(
        cls,
        network: Tensor,
        baselines: Mapping[str, Tensor],
        labels: Tensor,
        classes: tuple[Label, ...],
        notes: tuple[str, ...] = (),
    ) -> "LabelEvaluation":
        """Score the probabilities (N, K) of the network and of its baselines against labels (N,)."""
        ours = label_scores(network, labels)
        plain = {name: label_scores(probabilities, labels) for name, probabilities in baselines.items()}
        for name, scores in plain.items():
            if all(ours[key] <= scores[key] for key in ours):
                notes += (f"the network is no better than the {name} here: prefer the simpler, or add data",)
        counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)
        counts.index_put_((labels, network.argmax(1)), torch.tensor(1), accumulate=True)
        return cls(
            scores=dict(ours),
            baselines={name: dict(scores) for name, scores in plain.items()},
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
        return {"accuracy": Metric("accuracy", ".4f"), "macro_f1": Metric("macro-F1", ".4f")}

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
