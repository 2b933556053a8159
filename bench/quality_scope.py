"""How well a text classifier tells texts that it was not made for. Near ones have a label that is left out of
its training: every fourth, or of few every third. Far ones are the texts of another set.

Prints areas under the ROC curve of three scores: the probability of the likeliest label (`certain`), how
familiar the text is, and their product. The area is the share of pairs, of a test text with a label that was
trained on and of one without, in which the former has the higher score: 0.5 by chance.

    ELMAN_DATA=... python bench/quality.py scope
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

import elman
from quality_text import SETS, Texts

# The set trained on, every how many of its labels one is left out (0: none), and the set of other texts.
PAIRS: Final = (("banking77", 4, "trec6"), ("trec6", 3, "banking77"), ("customer_reviews", 0, "trec6"))


def scope(**settings: Any) -> dict[str, Any]:
    """Return the scores' areas under the curve of each pair of sets; the figure is the least of the product's
    on texts of another set."""
    columns = {name: _areas(SETS[name](), step, SETS[other](), settings) for name, step, other in PAIRS}
    least = {kind: min(areas["far"][kind] for areas in columns.values()) for kind in ("product", "certain")}
    return {"score": least["product"], "baseline": least["certain"], "columns": columns}


def _areas(texts: Texts, step: int, others: Texts, settings: dict[str, Any]) -> dict[str, dict[str, float]]:
    left_out = set(sorted(set(texts.train["label"]))[::step]) if step else set[str]()
    model = elman.Classifier.fit(_rows(texts.train, left_out, False), **settings)
    inside = _scores(model, _rows(texts.test, left_out, False)["text"])
    outside = {"near": _rows(texts.test, left_out, True)["text"], "far": others.test["text"]}
    return {
        kind: {name: round(area(inside[name], values), 3) for name, values in _scores(model, rows).items()}
        for kind, rows in outside.items()
        if rows
    }


def _rows(table: dict[str, list[str]], labels: set[str], inside: bool) -> dict[str, list[str]]:
    """Return the rows whose label is among `labels`, or is not."""
    kept = [i for i, label in enumerate(table["label"]) if (label in labels) == inside]
    return {name: [column[i] for i in kept] for name, column in table.items()}


def _scores(model: elman.Classifier, texts: list[str]) -> dict[str, Sequence[float]]:
    certain = [max(row.values()) for row in model.predict(texts, probabilities=True)]
    familiar = model.familiar(texts)
    product = [p * share for p, share in zip(certain, familiar, strict=True)]
    return {"certain": certain, "familiar": familiar, "product": product}


def area(inside: Sequence[float], outside: Sequence[float]) -> float:
    """Return the share of pairs in which the first score is higher; of equal ones, half."""
    ordered = np.sort(np.asarray(outside))
    lower, upper = (np.searchsorted(ordered, inside, side) for side in ("left", "right"))
    return float((lower + upper).mean()) / (2 * len(ordered))


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"scope": scope}
