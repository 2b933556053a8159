"""The answers behind a classifier's scores: a row for each text, the scores of each label, and how many
texts are answered rightly from a probability on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.lazy import Lazy
from elman.tasks.classify.labels import Label, Labels, shares
from elman.tasks.evaluation import spaced

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

Counts: TypeAlias = NDArray[np.int64]
# Probabilities from which a label is answered, in the threshold curve.
THRESHOLDS: Final = tuple(k / 50 for k in range(51))


def table_of(texts: Sequence[str], probabilities: Tensor, labels: Tensor, names: Labels) -> "pl.DataFrame":
    """Return a row for each text.

    Columns: `text`; `label`, the true one; `prediction`, the likeliest; `probability`, of the latter; `rank`,
    of the true label, from 1. Where a text may have several labels, all but the text are lists, the likeliest
    first, and `rank` has one of each true label; `mistake` is the probability of the likeliest label that is
    wrong, or 1 - that of the least likely one that is missing, whichever is more; 0 if all are right.

    Args:
        probabilities: (N, K), or (N, K, 2) of no and yes.
        labels: (N,) or (N, K).
    """
    kept = spaced(len(texts), "texts")
    each, true = shares(probabilities)[kept].double(), labels[kept]
    columns = {"text": pl.Series([texts[k] for k in kept], dtype=pl.String)}
    if not names.several:
        likeliest = each.max(1)
        of_true = each.gather(1, true[:, None])
        columns["label"] = _named(names.classes, true)
        columns["prediction"] = _named(names.classes, likeliest.indices)
        columns["probability"] = pl.Series(likeliest.values.numpy())
        columns["rank"] = pl.Series((each > of_true).sum(1).numpy() + 1)
        return pl.DataFrame(columns)
    answered = each >= names.threshold
    order = each.argsort(dim=1, descending=True, stable=True)
    ranks = order.argsort(dim=1) + 1
    wrong = torch.where(answered, each, 1 - each) * (answered != true.bool())
    columns["label"] = _lists(names.classes, order, true.bool())
    columns["prediction"] = _lists(names.classes, order, answered)
    rows = zip(each, order, answered, strict=True)
    columns["probability"] = pl.Series(
        [row[at[which[at]]].tolist() for row, at, which in rows], dtype=pl.List(pl.Float64)
    )
    columns["rank"] = pl.Series(
        [row[which.bool()].sort().values.tolist() for row, which in zip(ranks, true, strict=True)],
        dtype=pl.List(pl.Int64),
    )
    columns["mistake"] = pl.Series(wrong.amax(1).numpy())
    return pl.DataFrame(columns)


def _named(classes: Sequence[Label], numbers: Tensor) -> "pl.Series":
    return pl.Series(list(classes)).gather(numbers.tolist())


def _lists(classes: Sequence[Label], order: Tensor, chosen: Tensor) -> "pl.Series":
    """Return the names of the labels `chosen` (N, K) of each text, in its `order` (N, K)."""
    kind = pl.Series(list(classes)).dtype
    lists = [[classes[k] for k in row if which[k]] for row, which in zip(order.tolist(), chosen, strict=True)]
    return pl.Series(lists, dtype=pl.List(kind))


def curve_of(probabilities: Tensor, labels: Tensor) -> "pl.DataFrame":
    """Return what an answer from a probability `at_least` on means, a row for each of THRESHOLDS.

    Columns of one label a text: `answered`, the share of texts that get an answer, and `accuracy`, of these;
    null where none is. Of several: `answered`, the share of texts with a label, `precision`, `recall` and
    `f1`, over all labels (micro).

    Args:
        probabilities: (N, K), or (N, K, 2) of no and yes.
        labels: (N,) or (N, K).
    """
    each = shares(probabilities).double()
    if labels.dim() == 1:
        likeliest = each.max(1)
        right = likeliest.indices == labels
        rows = [_answered(likeliest.values >= least, right) for least in THRESHOLDS]
        return pl.DataFrame({"at_least": THRESHOLDS}).hstack(
            pl.DataFrame(rows, schema=["answered", "accuracy"], orient="row", infer_schema_length=None)
        )
    answers = [each >= least for least in THRESHOLDS]
    texts = [float(answered.any(1).double().mean()) for answered in answers]
    given = np.array([int(answered.sum()) for answered in answers])
    both = np.array([int((answered * labels).sum()) for answered in answers])
    micro = rates(np.full_like(given, int(labels.sum())), given, both)
    return pl.DataFrame({"at_least": THRESHOLDS, "answered": texts, **micro})


def _answered(answered: Tensor, right: Tensor) -> tuple[float, float | None]:
    count = int(answered.sum())
    return count / len(answered), float(right[answered].double().mean()) if count else None


class LabelRates(NamedTuple):
    """The scores of one label; None where one is not defined."""

    label: Label
    precision: float | None  # None of a label that no text is given
    recall: float | None  # None of one that no text has
    f1: float | None  # None if both hold
    support: int  # texts that have it


def label_rates(classes: Sequence[Label], true: Tensor, given: Tensor, both: Tensor) -> list[LabelRates]:
    """Return the scores of each label, given the numbers (K,) of texts that have it, that are given it, and
    both."""
    columns = rates(true.numpy(), given.numpy(), both.numpy()).values()
    return [LabelRates(*row) for row in zip(classes, *columns, true.tolist(), strict=True)]


def rates(true: Counts, given: Counts, both: Counts) -> dict[str, list[float | None]]:
    """Return precision, recall and F1 (K,) of numbers of true labels, of given ones, and of both; None where
    they are not defined."""
    pairs = {"precision": (both, given), "recall": (both, true), "f1": (2 * both, true + given)}
    return {
        name: [x / y if y else None for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        for name, (a, b) in pairs.items()
    }


def rates_frame(rows: Sequence[LabelRates]) -> "pl.DataFrame":
    """Return the scores of labels as a frame."""
    kinds = dict.fromkeys(("precision", "recall", "f1"), pl.Float64)
    columns = dict(zip(LabelRates._fields, map(list, zip(*rows, strict=True)), strict=True))
    return pl.DataFrame(columns, schema_overrides=kinds)


def mistakes(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return the rows of a table of `table_of` whose answer is wrong, the most confident first."""
    if "mistake" in frame.columns:
        return frame.filter(pl.col("mistake") > 0).sort("mistake", descending=True, maintain_order=True)
    wrong = frame.filter(pl.col("label") != pl.col("prediction"))
    return wrong.sort("probability", descending=True, maintain_order=True)


def share_in_first(frame: "pl.DataFrame", count: int) -> float | None:
    """Return the share of the true labels of such a table that are among the `count` likeliest; None if there
    are none."""
    ranks = frame["rank"].explode() if frame["rank"].dtype == pl.List else frame["rank"]
    ranks = ranks.drop_nulls()
    return int((ranks <= count).sum()) / len(ranks) if len(ranks) else None
