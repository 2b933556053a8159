"""Pictures of a classifier's answers: what a threshold costs, and which labels are confused."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from matplotlib import rc_context
from matplotlib.axes import Axes

from elman.lens.plot import LOOK, Picture
from elman.tasks.classify.labels import Label
from elman.tasks.classify.table import LabelRates

DARK: Final = "#1d2530"  # ink on light cells, also on a dark page
MAX_DRAWN_LABELS: Final = 20
MAX_NUMBERED_LABELS: Final = 10  # whose counts are written into the confusion matrix
COLOURS: Final = {"accuracy": "#1f78c8", "answered": "#2a9d8f", "precision": "#1f78c8", "recall": "#d2604a"}


@rc_context(LOOK)
def label_answers(
    labels: Sequence[Label], confusion: Sequence[Sequence[int]], curve: pl.DataFrame
) -> Picture:
    """Draw the threshold curve above the confusion matrix (K, K) as shares of each true label; of many
    labels those with most mistakes."""
    counts = np.array(confusion)
    mistakes = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    drawn = np.sort(np.argsort(-mistakes, kind="stable")[:MAX_DRAWN_LABELS])
    size = 2.2 + 0.32 * max(len(drawn), 6)
    figure = Picture(figsize=(5, 3 + size), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, size))
    _curve(upper, curve, ("accuracy", "answered"))
    names = [_short(labels[k]) for k in drawn]
    _matrix(lower, counts[np.ix_(drawn, drawn)], counts[drawn].sum(1), names)
    if len(drawn) < len(labels):
        lower.set_title(f"{len(drawn)} of {len(labels)} labels, those with most mistakes", loc="left")
    return figure


@rc_context(LOOK)
def label_set_answers(rates: Sequence[LabelRates], curve: pl.DataFrame) -> Picture:
    """Draw the threshold curve of several labels above the F1 of each label, the lowest first."""
    rows = sorted((row for row in rates if row.support), key=lambda row: row.f1 or 0)
    drawn = rows[:MAX_DRAWN_LABELS]
    size = 0.9 + 0.26 * len(drawn)
    figure = Picture(figsize=(5, 3 + size), layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, size))
    _curve(upper, curve, ("precision", "recall", "answered"))
    places = range(len(drawn))
    lower.barh(places, [row.f1 or 0 for row in drawn], color=COLOURS["accuracy"], height=0.7)
    lower.set_yticks(places, [_short(row.label) for row in drawn], parse_math=False)
    lower.invert_yaxis()
    lower.set(xlim=(0, 1), xlabel="F1")
    if len(drawn) < len(rows):
        lower.set_title(f"{len(drawn)} of {len(rows)} labels, those of lowest F1", loc="left")
    return figure


def _curve(axis: Axes, curve: pl.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        name = "texts with an answer" if column == "answered" else column
        style: dict[str, Any] = {"linestyle": "--"} if column == "answered" else {}
        shares = [float("nan") if value is None else value for value in curve[column]]
        axis.plot(curve["at_least"], shares, color=COLOURS[column], linewidth=1.6, label=name, **style)
    axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="least probability of an answer (at_least)")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(columns))


def _matrix(axis: Axes, counts: Any, totals: Any, names: Sequence[str]) -> None:
    """Draw counts (K, K) as shares of each label's texts (K,)."""
    shares = counts / np.maximum(totals, 1)[:, None]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    places = range(len(names))
    axis.set_xticks(places, names, rotation=90 if len(names) > 4 else 0, parse_math=False)
    axis.set_yticks(places, names, parse_math=False)
    axis.set(xlabel="answer", ylabel="true label")
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    if len(names) <= MAX_NUMBERED_LABELS:
        for row, column in np.ndindex(counts.shape):
            ink = "white" if shares[row, column] > 0.5 else DARK
            axis.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=ink)


def _short(label: Label) -> str:
    text = str(label)
    return text if len(text) <= 24 else f"{text[:23]}…"
