"""Which earlier step moved an answer: integrated gradients, with occlusion as the check.

T steps, B sequences, I inputs.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from elman.errors import UsageError
from elman.lens.figures import bars, finished, triangle
from elman.lens.notebook import InNotebook
from elman.lens.numbers import check_least, check_number
from elman.lens.reading import Reading
from elman.lens.view import View, check_function, view_of

TOLD: Final = 5  # strongest steps in a sentence
MAX_TOLD: Final = 10  # sequences in the text of a result
TINY: Final = 1e-12


@dataclass(frozen=True, eq=False)
class Attribution(InNotebook):
    """What each step adds to the score of an answer; made by `attribution`.

    Attributes:
        layer: the recurrent layer whose input steps are judged.
        scores: (T, B) in units of the score: above 0 where a step speaks for the answer, below where against.
        occlusion: (T, B) by how much the score falls if this step alone is replaced by the baseline.
        total: score minus the score of the baseline, (B,), to which `scores` add up.
        taken: which steps each sequence takes, (T, B) bool.
    """

    layer: str
    scores: Tensor
    occlusion: Tensor
    total: Tensor
    taken: Tensor
    view: View

    @property
    def completeness(self) -> Tensor:
        """By how much the sum of `scores` misses `total`, as a share of the larger of `total` and the
        strongest step, (B,)."""
        largest = torch.maximum(self.total.abs(), self.scores.abs().amax(0)).clamp_min(TINY)
        return (self.scores.sum(0) - self.total).abs() / largest

    @property
    def agreement(self) -> Tensor:
        """Spearman's rank correlation of `scores` and `occlusion` over the steps of each sequence, (B,); NaN
        where one of them is the same at all steps."""
        pairs = zip(self.scores.T, self.occlusion.T, self.taken.T, strict=True)
        return torch.tensor([_rank_correlation(a[steps], b[steps]) for a, b, steps in pairs])

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, (T, B) and (B,), and the labels of the steps of each sequence."""
        return {
            "layer": self.layer,
            "scored": self.view.scored,
            "labels": [list(one) for one in self.view.labels_of(self.layer)],
            **{name: getattr(self, name).tolist() for name in ("scores", "occlusion", "total")},
            "completeness": self.completeness.tolist(),
            "agreement": [None if a != a else a for a in self.agreement.tolist()],
        }

    def __str__(self) -> str:
        """Return a line for each sequence, with its strongest steps in their order."""
        count = self.scores.shape[1]
        rows = [self.line(k) for k in range(min(count, MAX_TOLD))]
        return "\n".join(rows if count <= MAX_TOLD else [*rows, f"… and {count - MAX_TOLD} more sequences"])

    def plot(self, path: str | Path | None = None, sequence: int = 0) -> Figure:
        """Draw the scores of the steps of one sequence, as .png or .svg if there is a path."""
        labels = labels_of(self.view, self.layer, sequence, self.scores)
        steps = self.taken[:, sequence]
        figure, axis = bars(
            self.scores[steps, sequence],
            self.occlusion[steps, sequence],
            labels[: int(steps.sum())],
            "step",
            self.view.scored,
            ("adds to the score", "falls without the step"),
        )
        if self.view.answers:
            axis.set_title(self.view.answers[sequence], loc="left", fontsize="medium", parse_math=False)
        return finished(figure, path)

    def labels(self, sequence: int) -> Sequence[str]:
        """Return the labels of the steps that a sequence takes; () if they have none."""
        steps = int(self.taken[:, sequence].sum())
        return labels_of(self.view, self.layer, sequence, self.scores)[:steps]

    def line(self, sequence: int) -> str:
        """Return what moved the answer to one sequence: its strongest steps in their order."""
        scores, labels = self.scores[:, sequence], self.labels(sequence)
        read = self.taken[:, sequence].nonzero().flatten()
        strongest = (
            read[scores[read].abs().argsort(descending=True, stable=True)[:TOLD]].sort().values.tolist()
        )
        steps = ", ".join(f"{labels[t] if labels else f'step {t}'} {scores[t]:+.2g}" for t in strongest)
        answer = self.view.answers[sequence] if self.view.answers else f"sequence {sequence}"
        return f"{answer}: {steps}; in all {self.total[sequence]:+.2g} in {self.view.scored}"


@dataclass(frozen=True, eq=False)
class PrefixAttribution(InNotebook):
    """What each step adds to the score while a sequence is read; made by `attribution_by_prefix`.

    Attributes:
        layer: the recurrent layer whose input steps are judged.
        first: number of the step after which the first row stands, from 0.
        scores: (rows, T): row r is the attribution of the score after steps 0 to `first` + r; NaN for steps
            not read yet.
        totals: (rows,) the score then, minus that of the baseline.
        labels: of the T steps; () if they have none.
        scored: what a score is.
    """

    layer: str
    first: int
    scores: Tensor
    totals: Tensor
    labels: tuple[str, ...]
    scored: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers (rows, T), None for steps not read yet, and labels."""
        rows = [[None if value != value else value for value in row] for row in self.scores.tolist()]
        return {
            "layer": self.layer,
            "scored": self.scored,
            "first": self.first,
            "labels": list(self.labels),
            "scores": rows,
            "totals": self.totals.tolist(),
        }

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw a heat map, a row for each step of reading, as .png or .svg if there is a path."""
        shown = self.scores[:, self.first :] if self.first else self.scores
        labels = self.labels[self.first :]
        return finished(triangle(shown, labels, self.first, self.scored), path)


def attribution(
    model: Any,
    input: Any = None,
    target: Callable[[Any], Tensor] | None = None,
    *,
    steps: int = 64,
    baseline: Tensor | float = 0.0,
) -> Attribution:
    """Return what each step adds to the score of the answer of each sequence.

    Integrated gradients (Sundararajan, Taly, Yan, arXiv:1703.01365) along the straight way from a baseline to
    what the first recurrent layer called reads, such as word vectors, so that the scores of all steps add up
    to the score's difference between the two. The integral is by Gauss-Legendre quadrature. Beside it,
    occlusion: each step alone is replaced by the baseline, which costs a pass of the model a step.

    Zeros are the baseline because they are what W turns into nothing: the layer reads its biases alone, as
    from padding, and no input is more like that than another. Where zeros mean something, such as a price,
    give a baseline.

    Args:
        model, input: see `view_of`. A module is looked at in eval mode.
        target: from what the module returns to a number for each sequence, (B,); None: the score of the
            answer of a task's model.
        steps: points on the way at which gradients are taken: a forward and backward pass each.
        baseline: a number, or a tensor that broadcasts to (T, B, I).

    Raises:
        UsageError: the model has no recurrent layer, there is no target, or it does not depend on the layer;
            steps is below 1 or the baseline does not fit.
    """
    check_function("target", target)
    view = view_of(model, input)
    reading = Reading(view, target, baseline)
    scores, total = reading.integrated(steps)
    return Attribution(reading.name, scores, reading.occluded(), total, reading.taken, view)


def attribution_by_prefix(
    model: Any,
    input: Any = None,
    target: Callable[[Any], Tensor] | None = None,
    *,
    sequence: int = 0,
    cut: Callable[[int], Any] | None = None,
    most: int = 40,
    steps: int = 16,
    baseline: Tensor | float = 0.0,
) -> PrefixAttribution:
    """Return the attribution of the score after every step of one sequence: what moves the answer while it is
    read.

    Args:
        model, input, target, baseline: as for `attribution`.
        sequence: number in the batch, from 0.
        cut: from a number of steps to the model's input of only the first steps; None: as a task's model has
            it.
        most: number of steps, the last ones, after which the score is looked at; `steps` passes forward and
            backward each.
        steps: points of the integral.

    Raises:
        UsageError: as `attribution`; there is no `cut`, or no such sequence.
    """
    check_function("target", target)
    view = view_of(model, input)
    cut = cut or view.cut
    if cut is None:
        raise UsageError(
            "this input can't be cut to its first steps: give cut, such as lambda steps: x[:steps]"
        )
    check_least("most", most)
    whole = Reading(view, target, baseline)
    count = whole.taken.shape[1]
    check_number("sequence", sequence, count)
    length = int(whole.taken[:, sequence].sum())
    first = max(length - most, 0)
    scores = torch.full((length - first, length), torch.nan, dtype=torch.float64)
    totals = torch.zeros(length - first, dtype=torch.float64)
    for row in range(length - first):
        part = dataclasses.replace(view, input=cut(first + row + 1))
        values, total = Reading(part, target, whole.baseline_of(first + row + 1)).integrated(steps)
        read = min(len(values), first + row + 1)
        scores[row, :read] = values[:read, sequence]
        totals[row] = total[sequence]
    labels = tuple(labels_of(view, whole.name, sequence, whole.taken)[:length])
    return PrefixAttribution(whole.name, first, scores, totals, labels, view.scored)


def labels_of(view: View, layer: str, sequence: int, values: Tensor) -> Sequence[str]:
    """Return the labels of a sequence's steps, as many as values (T, B) have; () if it has none."""
    each = view.labels_of(layer)
    if not each:
        return ()
    labels = each[sequence]
    return (*labels, *[""] * (len(values) - len(labels)))[: len(values)]


def _rank_correlation(a: Tensor, b: Tensor) -> float:
    from scipy.stats import rankdata

    ranks = [rankdata(values.numpy()) for values in (a, b)]
    if any(r.size < 2 or np.ptp(r) == 0 for r in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])
