"""Scores of a text classifier beside those of its baseline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import torch
from torch import Tensor

from elman.errors import UsageError, counted
from elman.lazy import Lazy
from elman.settings import is_number
from elman.tasks.classify.by_label import (
    MAX_MATRIX_CLASSES,
    ByLabel,
    confusion_lines,
    label_lines,
    matrix_lines,
)
from elman.tasks.classify.labels import (
    BAG,
    BOTH,
    LIKELY,
    LINEAR,
    NETWORK,
    Label,
    Labels,
    best_threshold,
    shares,
)
from elman.tasks.classify.table import LabelRates, label_rates
from elman.tasks.evaluation import Metric, Scores, binned_error

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure
else:
    pl = Lazy("polars")

SCORES: Final = {
    "accuracy": Metric("accuracy", ".4f"),
    "micro_f1": Metric("micro-F1", ".4f"),
    "macro_f1": Metric("macro-F1", ".4f"),
    "exact_match": Metric("exact match", ".4f"),
    "top3": Metric("in the first 3", ".4f"),
    "ece": Metric("calibration error", ".4f"),
}
MIN_TOP_CLASSES: Final = 6  # from which the share of labels among the three likeliest tells something
ROUNDING: Final = 1e-9  # by which equal scores may differ


def check_share(at_least: Any, probabilities: bool = False) -> None:
    """Raise UsageError unless a least probability is None or, where labels are asked for, from 0 to 1."""
    if at_least is None:
        return
    if not is_number(at_least) or not 0 <= at_least <= 1:
        raise UsageError(f"at_least must be a probability from 0 to 1, not {at_least!r}")
    if probabilities:
        raise UsageError("at_least is for labels: leave it out to get all probabilities")


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error of each text's likeliest label.

    Args:
        probabilities: (N, K), or (N, K, 2) of several labels.
        labels: (N,) or (N, K).
    """
    confidence, predicted = shares(probabilities).double().max(1)
    right = predicted == labels if labels.dim() == 1 else labels.gather(1, predicted.unsqueeze(1)).squeeze(1)
    return binned_error(confidence, right)


def scores_of(probabilities: Tensor, labels: Tensor, threshold: float | None = None) -> dict[str, float]:
    """Return the scores of probabilities (N, K) against labels (N,), or of (N, K, 2) against (N, K), with
    labels answered from a threshold on: the best one if None."""
    if labels.dim() == 1:
        return label_scores(probabilities, labels)
    least = best_threshold(probabilities, labels) if threshold is None else threshold
    return label_set_scores(shares(probabilities) >= least, labels)


def label_scores(probabilities: Tensor, labels: Tensor) -> dict[str, float]:
    """Return accuracy and macro-F1 of probabilities (N, K) against labels (N,). Macro-F1 leaves out a label
    that is neither true nor answered."""
    predicted, classes = probabilities.argmax(1), probabilities.shape[1]
    right = predicted == labels
    both = labels[right].bincount(minlength=classes)
    either = labels.bincount(minlength=classes) + predicted.bincount(minlength=classes)
    return {"accuracy": float(right.double().mean()), "macro_f1": _macro_f1(both, either)}


def label_set_scores(predicted: Tensor, labels: Tensor) -> dict[str, float]:
    """Return micro-F1, macro-F1 and the share of exact matches of the labels that are answered, (N, K),
    against the true ones. Macro-F1 leaves out a label that is neither true nor answered."""
    both, either = (predicted * labels).sum(0), (predicted + labels).sum(0)
    return {
        "micro_f1": 2 * int(both.sum()) / max(int(either.sum()), 1),
        "macro_f1": _macro_f1(both, either),
        "exact_match": float((predicted == labels).all(1).double().mean()),
    }


def _macro_f1(both: Tensor, either: Tensor) -> float:
    """Return the mean F1 of labels that are true and answered in `both` (K) texts, and that are true or
    answered `either` (K) times, those that are both counted twice."""
    each = 2 * both.double() / either  # NaN for a label that is left out
    return float(each.nanmean().nan_to_num())


@dataclass(frozen=True, kw_only=True, repr=False)
class LabelEvaluation(ByLabel):
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
        table, notes = _beside(answer, baselines, labels, notes, {})
        notes += _below_commonest(table[""], labels.bincount(minlength=len(classes)), classes)
        counts = torch.zeros(len(classes), len(classes), dtype=torch.int64)
        counts.index_put_((labels, answer.argmax(1)), torch.tensor(1), accumulate=True)
        return cls(
            scores=table.pop(""),
            baselines=table,
            notes=notes,
            confusion=tuple(map(tuple, counts.tolist())),
            labels=classes,
            rows=len(labels),
        )

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Any:
        """Return the saved evaluation, of one label a text or of several."""
        return LabelSetEvaluation.from_dict(value) if "counts" in value else super().from_dict(value)

    @property
    def commonest(self) -> tuple[Label, float]:
        """The label with most rows, and the accuracy of always answering it."""
        sizes = [sum(row) for row in self.confusion]
        return self.labels[sizes.index(max(sizes))], max(sizes) / self.rows

    def metrics(self) -> dict[str, Metric]:
        return {key: SCORES[key] for key in ("accuracy", "macro_f1", "top3", "ece")}

    @property
    def column(self) -> str:
        return BOTH if NETWORK in self.baselines else NETWORK

    def facts(self) -> list[str]:
        label, share = self.commonest
        line = (
            f"{counted(self.rows, 'text')}; always answering {label!r} would reach an accuracy of {share:.4f}"
        )
        if len(self.labels) <= MAX_MATRIX_CLASSES:
            return [line, "", *matrix_lines(self.confusion, self.rates())]
        return [line, "", *label_lines(self.rates()), *confusion_lines(self._confused())]

    def rates(self) -> list[LabelRates]:
        counts = torch.tensor(self.confusion)
        return label_rates(self.labels, counts.sum(1), counts.sum(0), counts.diagonal())

    def confusions(self) -> Any:
        """Return `label`, `prediction` and `texts` of every wrong pair that occurs, the most frequent first,
        as a frame of the kind of `table`."""
        columns = zip(*self._confused(), strict=True)
        names = ("label", "prediction", "texts")
        frame = pl.DataFrame(dict(zip(names, map(list, columns), strict=False)))
        return self.as_given(frame)

    def _confused(self) -> list[tuple[Label, Label, int]]:
        pairs = [
            (true, given, count)
            for true, row in zip(self.labels, self.confusion, strict=True)
            for given, count in zip(self.labels, row, strict=True)
            if count and true != given
        ]
        return sorted(pairs, key=lambda pair: -pair[2])

    def figure(self) -> "Figure":
        from elman.tasks.classify.plot import label_answers  # matplotlib takes long to load

        return label_answers(self.labels, self.confusion, self.frame("curve"))


@dataclass(frozen=True, kw_only=True, repr=False)
class LabelSetEvaluation(ByLabel):
    """Micro-F1, macro-F1, exact matches and expected calibration error, 0 to 1, on texts that may have
    several labels each."""

    counts: tuple[tuple[int, int, int], ...]  # of each label: texts that have it, that are given it, and both
    labels: tuple[Label, ...]
    rows: int  # texts scored

    @classmethod
    def of(
        cls,
        answer: Tensor,
        baselines: Mapping[str, Tensor],
        labels: Tensor,
        names: Labels,
        notes: tuple[str, ...] = (),
    ) -> "LabelSetEvaluation":
        """Score the probabilities (N, K, 2) of the model and of its parts against labels (N, K), each with
        its own threshold."""
        table, notes = _beside(answer, baselines, labels, notes, names.thresholds)
        notes += _below_same_labels(table[""], labels, names)
        predicted = (shares(answer) >= names.threshold).long()
        counts = torch.stack([labels.sum(0), predicted.sum(0), (labels * predicted).sum(0)], 1)
        return cls(
            scores=table.pop(""),
            baselines=table,
            notes=notes,
            counts=tuple(map(tuple, counts.tolist())),
            labels=names.classes,
            rows=len(labels),
        )

    def metrics(self) -> dict[str, Metric]:
        return {key: SCORES[key] for key in ("micro_f1", "macro_f1", "exact_match", "ece")}

    @property
    def column(self) -> str:
        return BOTH

    def facts(self) -> list[str]:
        total = sum(true for true, _, _ in self.counts)
        mean = f"{total / self.rows:.2f} of {counted(len(self.labels), 'label')} each, on average"
        line = f"{counted(self.rows, 'text')} with {mean}"
        return [line, "", *label_lines(self.rates())]

    def rates(self) -> list[LabelRates]:
        return label_rates(self.labels, *torch.tensor(self.counts).T)

    def figure(self) -> "Figure":
        from elman.tasks.classify.plot import label_set_answers  # matplotlib takes long to load

        return label_set_answers(self.rates(), self.frame("curve"))


def evaluation_of(
    answer: Tensor,
    baselines: Mapping[str, Tensor],
    labels: Tensor,
    names: Labels,
    notes: tuple[str, ...] = (),
) -> LabelEvaluation | LabelSetEvaluation:
    """Score probabilities (N, K) against labels (N,), or (N, K, 2) against (N, K), beside those of the parts
    or baselines."""
    if names.several:
        return LabelSetEvaluation.of(answer, baselines, labels, names, notes)
    return LabelEvaluation.of(answer, baselines, labels, names.classes, notes)


def _beside(
    answer: Tensor,
    baselines: Mapping[str, Tensor],
    labels: Tensor,
    notes: tuple[str, ...],
    thresholds: Mapping[str, float],
) -> tuple[dict[str, Scores], tuple[str, ...]]:
    """Return the scores of the answer, under "", and of the baselines; and the notes, with one about each
    baseline that is as good as the answer."""
    each = {"": answer, **baselines}
    table: dict[str, Any] = {
        name: scores_of(rows, labels, thresholds.get(name or BOTH, LIKELY)) for name, rows in each.items()
    }
    for name in baselines:
        if all(table[""][key] <= table[name][key] for key in table[""]):
            notes += (_no_better(name),)
    for name, rows in each.items():
        if labels.dim() == 1 and rows.shape[1] >= MIN_TOP_CLASSES:
            table[name]["top3"] = float((rows.topk(3).indices == labels[:, None]).any(1).double().mean())
        table[name]["ece"] = calibration_error(rows, labels)
    return table, notes


def _below_commonest(scores: Scores, sizes: Tensor, classes: tuple[Label, ...]) -> tuple[str, ...]:
    """Return a note if scores are below those of always answering the label with most texts, of (K,)."""
    share, label = int(sizes.max()) / int(sizes.sum()), classes[int(sizes.argmax())]
    # F1 of that label, and 0 of all others that occur
    macro_f1 = 2 * share / (1 + share) / int((sizes > 0).sum())
    return _below(scores, {"accuracy": share, "macro_f1": macro_f1}, f"always answering {label!r}")


def _below_same_labels(scores: Scores, labels: Tensor, names: Labels) -> tuple[str, ...]:
    """Return a note if scores are below those of the same answer to all texts, labels (N, K): the most
    frequent label, or none."""
    sizes = labels.sum(0)
    most = int(sizes.argmax())
    micro_f1 = 2 * int(sizes[most]) / (len(labels) + int(sizes.sum()))
    none = float((labels.sum(1) == 0).double().mean())
    label = f"always answering {names.classes[most]!r}"
    notes = _below(scores, {"micro_f1": micro_f1}, label)
    return notes + _below(scores, {"exact_match": none}, "never answering a label")


def _below(scores: Scores, plain: Mapping[str, float], answer: str) -> tuple[str, ...]:
    below = [
        f"{SCORES[key].label} ({value:.4f} against {plain[key]:.4f})"
        for key, value in scores.items()
        if value is not None and value < plain.get(key, 0) - ROUNDING
    ]
    return (f"below {answer} in {' and '.join(below)}",) if below else ()


def _no_better(name: str) -> str:
    """Return a note about a part or a baseline that scores as high as the model."""
    if name == BAG:
        return f"the network is no better than the {name} here: prefer the simpler, or add data"
    other = "the network" if name == LINEAR else "the linear model"
    return f"{name} alone scores as high here: {other} adds nothing"
