"""Labelled texts of a table: their order, their split, and the row that an error names."""

from array import array

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.data.batches import normalize
from elman.data.table.table import read_table
from elman.data.text.tokenizers import WordTokenizer
from elman.errors import DataError
from elman.tasks.classify.examples import (
    Corpus,
    Examples,
    divide,
    encode,
    in_order,
    read_corpus,
    read_examples,
    start_token,
)
from labelled_texts import Rows, order_matters, rows_of, small


def corpus(rows: Rows, valid: Rows | None = None) -> Corpus:
    return read_corpus(read_table(rows), None if valid is None else read_table(valid), "text", "label", 0)


def test_the_same_text_is_never_on_both_sides() -> None:
    rows = order_matters(300)
    texts = [row["text"] for row in rows] * 2 + [row["text"].upper() for row in rows]
    train, held_out = divide(Examples(texts, torch.tensor([0, 1] * 450)), seed=0)
    assert len(train.texts) + len(held_out.texts) == 900
    assert not {normalize(t) for t in train.texts} & {normalize(t) for t in held_out.texts}


def test_a_tenth_is_held_out_unless_other_data_are() -> None:
    rows = order_matters(100)
    texts = [row["text"] for row in rows]
    split = corpus(rows)
    assert sorted(split.train.texts + split.held_out.texts) == sorted(texts)
    assert 5 <= len(split.held_out.texts) <= 15
    assert split.source["rows"] == 100 and split.source["fingerprint"] == read_table(rows).fingerprint
    other = corpus(rows, rows_of(["fine", "awful"], ["good", "bad"]))
    assert other.train.texts == texts and other.held_out.texts == ["fine", "awful"]
    assert [other.classes[k] for k in other.held_out.labels] == ["good", "bad"]


def test_labels_that_are_numbers_are_in_numeric_order_and_others_in_alphabetic() -> None:
    table = read_table(small())
    assert in_order(["10", "9", "2.5", "-1"] * 2, table, "label") == ("-1", "2.5", "9", "10")
    assert in_order(["10", "9", "x"] * 2, table, "label") == ("10", "9", "x")
    assert in_order(["10", "9", "nan"] * 2, table, "label") == ("10", "9", "nan")
    rows = rows_of([f"some text {i}" for i in range(12)], ["10", "9", "x"] * 4)
    assert corpus(rows).classes == ("10", "9", "x")


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
        r"row 24 .*: the label 'c' occurs only here \(and 1 more labels\); give it",
    ),
    "few rows": (small(8), "has 8 rows; a classifier needs at least 10"),
    "equal texts": (rows_of(["same"] * 20, ["a", "b"] * 10), "do not differ"),
    "no column": ([{"words": "a text", "label": "a"}] * 20, "has no column 'text'"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(case: str) -> None:
    rows, message = BAD_TABLES[case]
    with pytest.raises(DataError, match=message):
        corpus(rows)


def test_a_label_that_training_has_not_seen() -> None:
    with pytest.raises(DataError, match=r"row 1 .*: the label 'c' in column 'label' is not among"):
        corpus(small(), rows_of(["x", "y"], ["a", "c"]))
    classes = [str(k) for k in range(20)]
    with pytest.raises(DataError, match=r"\(0, 1, .*, 11, \.\.\.\)"):
        read_examples(read_table(rows_of(["x"], ["20"])), "text", "label", classes)
