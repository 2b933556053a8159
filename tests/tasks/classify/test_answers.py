"""Answers in print and for machines."""

import pandas as pd
import polars as pl

from elman.tasks.classify.answers import make_answer, rows_as_given
from elman.tasks.classify.labels import Labels


def test_one_label_or_several() -> None:
    row = {"a": 0.75, "b": 0.5, "c": 0.25}
    one = make_answer(Labels(("a", "b", "c")), row, None)
    assert str(one) == "a\t0.7500" and one.to_dict() == {"label": "a", "probabilities": row}
    several = make_answer(Labels(("a", "b", "c"), True, ";"), row, None)
    assert str(several) == "a;b\t0.7500;0.5000"
    assert several.to_dict() == {"labels": ["a", "b"], "probabilities": row}
    assert str(make_answer(Labels(("a", "b", "c"), True), row, 0.9)) == "none\t0.7500"


def test_a_familiar_text_says_so() -> None:
    row = {"a": 0.75, "b": 0.25}
    for labels in (Labels(("a", "b")), Labels(("a", "b"), True)):
        answer = make_answer(labels, row, None, 0.5)
        assert answer.to_dict() == make_answer(labels, row, None).to_dict() | {"familiar": 0.5}
        assert str(answer) == str(make_answer(labels, row, None))


def test_probabilities_are_a_table_for_a_frame_and_dicts_else() -> None:
    labels, rows = Labels((1, 2)), [[0.75, 0.25], [0.5, 0.5]]
    dicts = [{1: 0.75, 2: 0.25}, {1: 0.5, 2: 0.5}]
    assert rows_as_given(labels, rows, False, ["a", "b"]) == dicts
    assert rows_as_given(labels, rows[:1], True, "a") == dicts[0]
    texts = pd.Series(["a", "b"], index=[7, 9])
    expected = pd.DataFrame(rows, index=[7, 9], columns=[1, 2])
    pd.testing.assert_frame_equal(rows_as_given(labels, rows, False, texts), expected)
    row = pd.Series({"text": "a", "label": 1})
    assert rows_as_given(labels, rows[:1], True, row) == dicts[0]
    assert rows_as_given(labels, rows, False, pl.Series(["a", "b"])).to_dict(as_series=False) == {
        "1": [0.75, 0.5],
        "2": [0.25, 0.5],
    }
    assert rows_as_given(labels, [], False, texts[:0]).shape == (0, 2)


def test_the_text_stands_beside_its_label_in_one_cell() -> None:
    row = {"a": 0.75, "b": 0.25}
    for labels in (Labels(("a", "b")), Labels(("a", "b"), True)):
        for least in (None, 0.9):
            alone, beside = (make_answer(labels, row, least, text=text) for text in (None, "one\ttwo\nthree"))
            assert str(beside) == f"{alone}\tone two three"
            assert beside.to_dict() == alone.to_dict() | {"text": "one\ttwo\nthree"}
            given = make_answer(labels, row, least, text="one", alone=True)
            assert (str(given), given.to_dict()) == (str(alone), alone.to_dict())
