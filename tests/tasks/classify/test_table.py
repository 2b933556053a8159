"""The answers of a classifier against plain Python: rows, mistakes, thresholds, scores by label."""

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.classify.labels import BOTH, Labels
from elman.tasks.classify.table import (
    THRESHOLDS,
    curve_of,
    label_rates,
    mistakes,
    rates_frame,
    share_in_first,
    table_of,
)

NAMES = Labels(("a", "b", "c"))
ROWS = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.9, 0.1, 0.0], [0.3, 0.3, 0.4]])
TRUE = torch.tensor([0, 0, 1, 1])


def test_a_row_for_every_text() -> None:
    frame = table_of(["k", "l", "m", "n"], ROWS, TRUE, NAMES)
    assert frame.columns == ["text", "label", "prediction", "probability", "rank"]
    assert frame["label"].to_list() == ["a", "a", "b", "b"]
    assert frame["prediction"].to_list() == ["a", "c", "a", "c"]
    assert frame["probability"].to_list() == pytest.approx([0.5, 0.7, 0.9, 0.4])
    assert frame["rank"].to_list() == [1, 3, 2, 2]
    assert mistakes(frame)["text"].to_list() == ["m", "l", "n"], "the most confident first"
    assert [share_in_first(frame, k) for k in (1, 2, 3)] == [0.25, 0.75, 1]


def test_labels_keep_their_type() -> None:
    frame = table_of(["k", "l"], ROWS[:2], TRUE[:2], Labels((1, 2, 3)))
    assert frame["prediction"].to_list() == [1, 3] and frame["prediction"].dtype == pl.Int64


def test_several_labels_a_text() -> None:
    yes = torch.tensor([[0.9, 0.2, 0.6], [0.1, 0.45, 0.2], [0.8, 0.1, 0.1]], dtype=torch.float64)
    true = torch.tensor([[1, 0, 1], [1, 1, 0], [0, 0, 0]])
    names = Labels(("a", "b", "c"), several=True, thresholds={BOTH: 0.4})
    frame = table_of(["k", "l", "m"], torch.stack([1 - yes, yes], -1), true, names)
    assert frame["label"].to_list() == [["a", "c"], ["b", "a"], []]
    assert frame["prediction"].to_list() == [["a", "c"], ["b"], ["a"]]
    assert frame["probability"].to_list() == [[0.9, 0.6], [0.45], [0.8]]
    assert frame["rank"].to_list() == [[1, 2], [1, 3], []]
    assert frame["mistake"].to_list() == pytest.approx([0, 0.9, 0.8]), "a is missing in l, and wrong in m"
    assert mistakes(frame)["text"].to_list() == ["l", "m"]
    assert share_in_first(frame, 1) == 0.5
    assert share_in_first(frame[2:], 1) is None, "no text has a label"


@given(st.lists(st.tuples(st.floats(0.34, 1), st.booleans()), min_size=1, max_size=30))
@settings(deadline=None)
def test_the_threshold_curve_of_one_label(rows: list[tuple[float, bool]]) -> None:
    first = torch.tensor([p for p, _ in rows], dtype=torch.float64)
    probabilities = torch.stack([first, (1 - first) / 2, (1 - first) / 2], 1)
    labels = torch.tensor([0 if right else 1 for _, right in rows])
    for least, answered, accuracy in curve_of(probabilities, labels).iter_rows():
        right = [one for p, one in rows if p >= least]
        assert answered == pytest.approx(len(right) / len(rows))
        assert accuracy == (pytest.approx(sum(right) / len(right)) if right else None)


def test_the_threshold_curve_of_several_labels() -> None:
    yes = torch.tensor([[0.9, 0.21], [0.61, 0.31]])
    curve = curve_of(torch.stack([1 - yes, yes], -1), torch.tensor([[1, 0], [0, 1]]))
    rows = {row["at_least"]: row for row in curve.rows(named=True)}
    assert list(rows) == list(THRESHOLDS)
    assert rows[0.3] == {"at_least": 0.3, "answered": 1, "precision": 2 / 3, "recall": 1, "f1": 0.8}
    assert rows[0.8] == {"at_least": 0.8, "answered": 0.5, "precision": 1, "recall": 0.5, "f1": 2 / 3}
    assert rows[1.0] == {"at_least": 1.0, "answered": 0, "precision": None, "recall": 0, "f1": 0}


def test_scores_by_label() -> None:
    rows = label_rates(("a", "b", "c"), *torch.tensor([[4, 2, 0], [2, 0, 0], [1, 0, 0]]))
    assert (
        rows
        == rates_frame(rows).rows()
        == [("a", 0.5, 0.25, 1 / 3, 4), ("b", None, 0.0, 0.0, 2), ("c", None, None, None, 0)]
    )
