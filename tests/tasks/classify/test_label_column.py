"""Columns of lists, and of texts with a separator."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from elman.data.table.table import read_table
from elman.errors import DataError
from elman.tasks.classify.examples import read_corpus, read_examples
from elman.tasks.classify.label_column import has_lists, read_cells, require_one_kind
from elman.tasks.classify.labels import Labels

LISTS = [["b", "a", " a"], [], ["c"], ["a"]]
COLUMNS: list[Any] = [
    LISTS,
    [tuple(cell) for cell in LISTS],
    [np.array(cell, dtype=object) for cell in LISTS],
    pl.Series(LISTS),
]


@pytest.mark.parametrize("column", COLUMNS, ids=["lists", "tuples", "arrays", "polars"])
def test_a_cell_may_hold_several_labels(column: Any) -> None:
    table = read_table({"label": column})
    assert has_lists(table, "label", None)
    cells = read_cells(table, "label", True)
    assert cells.labels == ["b", "a", "c", "a"] and cells.rows == [0, 0, 2, 3]
    assert cells.table.row(2) == table.row(2)


def test_a_separator_divides_a_text() -> None:
    table = read_table({"label": ["b; a;a", "", " ;c;", "a"]})
    assert not has_lists(table, "label", None) and has_lists(table, "label", ";")
    assert read_cells(table, "label", True, ";")[1:] == (["b", "a", "c", "a"], [0, 0, 2, 3])
    assert read_cells(read_table({"label": [[1, 2], [2]]}), "label", True).labels == [1, 2, 2]


def rows(labels: list[Any]) -> Any:
    return {"text": [f"text {i}" for i in range(len(labels))], "label": labels}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["a"], None] * 6, r"row 1 .*: column 'label' is empty; write \[\] for a text without a label"),
        ([["a"], ["a", None]] * 6, "row 1 .*: a list in column 'label' holds an empty label"),
        ([[], []] * 6, "holds no label; a classifier needs a label"),
        ([*([["a"]] * 11), ["a", "b"]], "row 11 .*: the label 'b' occurs only here"),
    ],
)
def test_cells_that_cannot_be_used(labels: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_corpus(read_table(rows(labels)), None, "text", "label")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["a"], "b"], "row 1 .* is a text, but that of row 0 is a list"),
        ([["a"], [], [1]], "row 2 .* is a list with a number, but that of row 0 is a list with a text"),
    ],
)
def test_lists_of_several_kinds(labels: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        require_one_kind({"label": labels}, "label")
    require_one_kind({"label": [["a"], [], ["b"]]}, "label")


def test_a_lone_label_is_skipped_with_its_row(caplog: pytest.LogCaptureFixture) -> None:
    table = read_table(rows([*([["a"], ["b"]] * 6), ["a", "c"]]), skip_bad=True)
    corpus = read_corpus(table, None, "text", "label")
    assert corpus.labels == Labels(("a", "b"), True) and corpus.rows == 12
    assert "skipped 1 of 13 rows" in caplog.text


@pytest.mark.parametrize(("one", "other", "bad"), [(1.0, 2.5, np.inf), ([1.0], [2.5], [1.0, -np.inf])])
def test_an_infinite_label_is_skipped_or_refused(
    one: Any, other: Any, bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    data = rows([*[one, other] * 6, bad])
    with pytest.raises(DataError, match=r"row 12 .* infinite"):
        read_corpus(read_table(data), None, "text", "label")
    corpus = read_corpus(read_table(data, skip_bad=True), None, "text", "label")
    assert corpus.labels.classes == (1.0, 2.5) and corpus.rows == 12
    assert "skipped 1 of 13 rows" in caplog.text and "infinite" in caplog.text
    assert len(read_examples(read_table(data, skip_bad=True), "text", "label", corpus.labels).texts) == 12


@pytest.mark.parametrize(
    "bad", [[["a", ""]], [[" "]], [["a", None]], [[""], None]], ids=["empty", "blank", "null", "two"]
)
def test_a_list_with_an_empty_label_is_skipped(bad: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    labels = [*([["a"], ["b"]] * 6), *bad]
    corpus = read_corpus(read_table(rows(labels), skip_bad=True), None, "text", "label")
    assert corpus.labels == Labels(("a", "b"), True) and corpus.rows == 12
    assert f"skipped {len(bad)} of {12 + len(bad)} rows" in caplog.text
    examples = read_examples(read_table(rows(labels), skip_bad=True), "text", "label", corpus.labels)
    assert len(examples.texts) == 12
    if None not in bad:
        what = r"row 12 .*: a list in column 'label' holds an empty label; fill it in or remove it"
        with pytest.raises(DataError, match=what):
            read_corpus(read_table(rows(labels)), None, "text", "label")


def test_a_list_with_a_number_that_is_none() -> None:
    labels = [*([[1.5], [2.5]] * 6), [float("nan")]]
    assert read_corpus(read_table(rows(labels), skip_bad=True), None, "text", "label").rows == 12


def test_an_unknown_label_is_named_with_its_row() -> None:
    labels = Labels(("a", "b"), True)
    with pytest.raises(DataError, match=r"row 1 .*: the label 'x' in column 'label' is not among"):
        read_examples(read_table(rows([["a"], ["b", "x"]])), "text", "label", labels)
    read = read_examples(read_table(rows([["b", "a"], []])), "text", "label", labels)
    assert read.labels.tolist() == [[1, 1], [0, 0]]
    with pytest.raises(DataError, match="holds no lists; give lists, or the separator"):
        read_examples(read_table(rows(["a"])), "text", "label", labels)


def test_a_file_of_lists_and_single_labels_is_refused(tmp_path: Path) -> None:
    """Such a column is read as text, and a list would be a label of its own."""
    file = tmp_path / "mixed.jsonl"
    file.write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": ["x", "y"]}\n')
    with pytest.raises(DataError, match=r"row 2.*column 'label' holds a list, and labels of another kind"):
        has_lists(read_table(file), "label", None)
