"""Labelled texts of a table: their order, their split, and the row that an error names."""

import math
from array import array
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.data.batches import normalize
from elman.data.table.table import read_table
from elman.data.text.tokenizers import WordTokenizer
from elman.errors import DataError, UsageError
from elman.tasks.classify.examples import (
    Corpus,
    Examples,
    Fold,
    contradiction_note,
    divide,
    encode,
    held_out_rows,
    labelled,
    read_corpus,
    read_examples,
    scoring_notes,
    start_token,
)
from elman.tasks.classify.label_column import in_order, require_one_kind
from elman.tasks.classify.labels import Labels
from labelled_texts import Rows, order_matters, rows_of, small


def corpus(rows: Any, valid: Rows | None = None) -> Corpus:
    return read_corpus(read_table(rows), None if valid is None else read_table(valid), "text", "label")


@pytest.mark.parametrize("count", [1, 3])
def test_the_same_text_is_never_on_both_sides(count: int) -> None:
    rows = order_matters(300)
    texts = [row["text"] for row in rows] * 2 + [row["text"].upper() for row in rows]
    for fold in divide(Examples(texts, torch.tensor([0, 1] * 450)), count, 0, "reviews.csv"):
        assert sorted(fold.train + fold.held_out) == list(range(900))
        assert not {normalize(texts[i]) for i in fold.train} & {normalize(texts[i]) for i in fold.held_out}


def test_every_network_leaves_out_another_tenth() -> None:
    read = corpus([{"text": f"text {k}", "label": "ab"[k % 2]} for k in range(100)])
    folds = read.folds(4, seed=0)
    assert sum(len(fold.held_out) for fold in folds) == len(held_out_rows(folds))
    assert all(5 <= len(fold.held_out) <= 15 for fold in folds)
    assert read.folds(1, seed=0) == folds[:1]


def test_few_texts_are_held_out_several_times() -> None:
    read = corpus([{"text": f"text {k % 4}", "label": "ab"[k % 2]} for k in range(12)])
    folds = read.folds(9, seed=0)
    assert all(fold.held_out and len(fold.train) + len(fold.held_out) == 12 for fold in folds)


def test_a_tenth_is_held_out_unless_other_data_are() -> None:
    rows = order_matters(100)
    split = corpus(rows)
    assert split.examples.texts == [row["text"] for row in rows] and split.rows == 100
    assert split.source["rows"] == 100 and split.source["fingerprint"] == read_table(rows).fingerprint
    other = corpus(rows, rows_of(["fine", "awful"], ["good", "bad"]))
    assert other.folds(2, seed=0) == [Fold(list(range(100)), [100, 101])] * 2
    held_out = other.examples.take([100, 101])
    assert held_out.texts == ["fine", "awful"]
    assert [other.labels.classes[k] for k in held_out.labels] == ["good", "bad"]


def test_labels_that_are_numbers_are_in_numeric_order_and_others_in_alphabetic() -> None:
    table = read_table(small())
    assert in_order(["10", "9", "2.5", "-1"] * 2, table, "label") == ("-1", "2.5", "9", "10")
    assert in_order(["10", "9", "x"] * 2, table, "label") == ("10", "9", "x")
    assert in_order(["10", "9", "nan"] * 2, table, "label") == ("10", "9", "nan")
    rows = rows_of([f"some text {i}" for i in range(12)], ["10", "9", "x"] * 4)
    assert corpus(rows).labels.classes == ("10", "9", "x")


FRAMES: list[tuple[Any, tuple[Any, ...]]] = [
    ([1, 0], (0, 1)),
    ([True, False], (False, True)),
    ([1.0, 0.0], (0.0, 1.0)),
    ([1, 2.5], (1.0, 2.5)),
    ([10, 9], (9, 10)),
    (["1", "0"], ("0", "1")),
    (np.array([3, 1], dtype=np.int8), (1, 3)),
    (np.array([True, False]), (False, True)),
    ([2**62, 1], (1, 2**62)),
    (pl.Series(["b", "a"], dtype=pl.Categorical), ("a", "b")),
]


@pytest.mark.parametrize(("pair", "classes"), FRAMES)
def test_labels_keep_their_type(pair: Any, classes: tuple[Any, ...]) -> None:
    label = pl.Series(pair).gather([0, 1] * 6) if isinstance(pair, pl.Series) else [*pair] * 6
    read = corpus({"text": [f"text {i}" for i in range(12)], "label": label})
    assert read.labels.classes == classes and [*map(type, read.labels.classes)] == [*map(type, classes)]


WRITTEN: list[tuple[tuple[Any, Any], list[Any]]] = [
    ((0, 1), ["0", "1", 0, 1, "0.0", "1.0", 0.0, True]),
    ((False, True), ["false", "True", "FALSE", "true", False, True, 0, 1]),
    ((0.0, 1.0), ["0", "1", 0, 1, "0.0", "1e0"]),
    (("0", "1"), [0, 1, 0.0, 1.0, "0", "1"]),
    (("0.0", "1.0"), [0, 1, 0.0, 1.0]),
    (("false", "true"), [False, True]),
    (("False", "True"), [False, True]),
]


@pytest.mark.parametrize(("classes", "labels"), WRITTEN)
def test_a_label_in_a_file_is_that_in_a_frame(classes: tuple[Any, Any], labels: list[Any]) -> None:
    for k, label in enumerate(labels):
        table = read_table([{"text": "x", "label": label}])
        assert read_examples(table, "text", "label", Labels(tuple(classes))).labels.tolist() == [k % 2], label


@pytest.mark.parametrize(
    ("classes", "label"),
    [
        (("1", "01"), 1),  # either could be meant
        (("1", "2"), "1.0"),  # texts differ as they are written
        (("1", "2"), "01"),
        ((1, 2), "1_0"),
        ((1, 2), "9" * 5000),
        ((0, 1), "true"),
        ((True, False), "1"),
        (("a", "b"), 1),
    ],
)
def test_another_label_is_none_of_the_classes(classes: tuple[Any, Any], label: Any) -> None:
    with pytest.raises(DataError, match="is not among"):
        read_examples(read_table([{"text": "x", "label": label}]), "text", "label", Labels(tuple(classes)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, "a"], r"list, row 1 \(counted from 0\): the label .* is a text, but that of row 0 is a number"),
        ([True, "a"], "row 1 .* is a text, but that of row 0 is true or false"),
        ([True, 2], "row 1 .* is a number, but that of row 0 is true or false"),
        ([None, 1, "a"], "row 2 .* is a text, but that of row 1 is a number"),
        ([1, 10**100], "row 1 .* is a whole number of more than 64 bits; write it as text"),
    ],
)
def test_labels_of_several_kinds(labels: list[Any], message: str) -> None:
    rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels * 6)]
    for data in (rows, {"text": [row["text"] for row in rows], "label": [row["label"] for row in rows]}):
        with pytest.raises(DataError, match=message.replace("list", type(data).__name__)):
            require_one_kind(data, "label")
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match=message.replace("list", "DataFrame")):
        require_one_kind(pandas.DataFrame(rows), "label")
    require_one_kind([{"label": 1}, {"label": 2.5}, {"label": None}, {"label": float("nan")}], "label")
    require_one_kind(pandas.DataFrame(rows), "text")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (date(2020, 1, 1), "labels of type Date; write them as text"),
        (Decimal("1.5"), "labels of type Decimal; write them as text"),
        (2**70, "labels of type Int128; write them as text"),
        (math.inf, "row 0 .* is infinite"),
        (math.nan, "row 0 .* is empty"),
        ({"a": 1}, "holds objects"),
    ],
)
def test_labels_that_are_none(label: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        corpus({"text": [f"text {i}" for i in range(12)], "label": [label] * 12})


def test_scores_of_one_label_are_refused() -> None:
    texts, labels = ["one", "two", "three", "four", "five", "only"] * 10, ["a", "a", "a", "a", "a", "b"] * 10
    with pytest.raises(DataError, match=r"held out, .* only the label 'a', .* mean nothing; add texts"):
        corpus(rows_of(texts, labels)).folds(1, seed=0)
    with pytest.raises(DataError, match=r"list hold only the label 'a', .* rows with other labels"):
        corpus(small(), rows_of(["x", "y"], ["a", "a"])).folds(1, seed=0)


def test_notes_say_what_scores_do_not_cover() -> None:
    def notes(texts: list[str], labels: list[int]) -> tuple[str, ...]:
        return scoring_notes(Examples(texts, torch.tensor(labels)), Labels(("a", "b", 3)))

    texts = [f"text {i}" for i in range(12)]
    assert notes(texts, [0, 1, 2] * 4) == ()
    assert notes(texts, [0, 1] * 6) == ("no scored text has the label 3",)
    assert notes(["x", "X ", "y"], [0, 1, 2]) == ("only 2 different texts were scored, too few to rely on",)
    few, one = notes(["x"], [1])
    assert few.startswith("only 1 different text was") and one.startswith("all texts have the label 'b'")


def test_contradictions_are_counted() -> None:
    labels = torch.tensor([0, 1] * 10)
    assert contradiction_note(Examples([f"text {i}" for i in range(20)], labels)) == ()
    (note,) = contradiction_note(Examples([f"text {i // 2}" for i in range(20)], labels))
    assert note.startswith("10 of 10 different training texts have other labels")


@given(st.lists(st.sampled_from(["the", "film", "plot", "unheard"])))
def test_a_text_begins_with_a_token_of_its_own(words: list[str]) -> None:
    tokenizer = WordTokenizer.build(["the film", "the plot", "film plot"], 10)
    ids = encode(tokenizer, " ".join(words))
    assert ids == array("i", [start_token(tokenizer), *tokenizer.encode(" ".join(words))])
    assert ids[0] == len(tokenizer) > max(ids[1:], default=0)
    examples = Examples([" ".join(words)], torch.tensor([1])).encoded(tokenizer)
    assert examples.texts == [ids] and examples.labels.tolist() == [1]


BAD_TABLES: dict[str, tuple[Rows, str]] = {
    "empty label": ([*small(), {"text": "a text", "label": ""}], r"row 24 .*: column 'label' is empty"),
    "empty text": ([*small(), {"text": " ", "label": "a"}], r"row 24 .*: column 'text' is empty"),
    "one class": (rows_of(["a text"] * 20, ["a"] * 20), "only the label 'a'"),
    "lone label": (
        [*small(), {"text": "a text", "label": "c"}],
        r"row 24 .*: the label 'c' occurs only here; give it",
    ),
    "lone labels": (
        [*small(), *rows_of(["a text", "two texts"], ["c", "d"])],
        r"row 24 .*: the label 'c' occurs only here \(and 1 more label\); give it",
    ),
    "few rows": (small()[:3], "has 3 rows; a classifier needs at least 4"),
    "equal texts": (rows_of(["same"] * 20, ["a", "b"] * 10), "all hold the same"),
    "no column": ([{"words": "a text", "label": "a"}] * 20, "has no column 'text'"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(case: str) -> None:
    rows, message = BAD_TABLES[case]
    with pytest.raises(DataError, match=message):
        corpus(rows).folds(1, seed=0)


def test_a_label_that_training_has_not_seen() -> None:
    with pytest.raises(DataError, match=r"row 1 .*: the label 'c' in column 'label' is not among"):
        corpus(small(), rows_of(["x", "y"], ["a", "c"]))
    classes = [str(k) for k in range(20)]
    with pytest.raises(DataError, match=r"\(0, 1, .*, 11, \.\.\.\)"):
        read_examples(read_table(rows_of(["x"], ["20"])), "text", "label", Labels(tuple(classes)))


@pytest.mark.parametrize(
    "make", [list, iter, np.array, pd.Series, pl.Series, lambda x: pd.DataFrame({"a": x})]
)
def test_texts_and_their_labels_become_a_table(make: Any) -> None:
    table = read_table(labelled(make(["a b", "c"]), make([1, 0]), "words", "sign"))
    assert table.frame.to_dict(as_series=False) == {"words": ["a b", "c"], "sign": [1, 0]}
    assert table.row(1) == "texts and labels, row 1 (counted from 0)"


@pytest.mark.parametrize(
    ("texts", "labels", "sentence"),
    [
        (["a", "b"], [1], "there are 2 texts but 1 label; give one label for each text"),
        ("a", [1], "not a single text"),
        (["a"], "x", "labels must be a list, one for each text, not str"),
        (["a"], 1, "labels must be a list, one for each text, not int"),
        (["a", "b"], np.eye(2), "labels must have one dimension, not 2"),
        (["a", "b"], pd.DataFrame({"a": [1, 2], "b": [1, 2]}), "labels must be one column, not 2: a, b"),
        (["a", 3], [1, 2], "text 1 must be a string, not int"),
    ],
)
def test_what_are_no_texts_and_labels(texts: Any, labels: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        labelled(texts, labels, "text", "label")
