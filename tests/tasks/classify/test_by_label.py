"""The lines of labels that are printed, and the answers behind the scores of a model."""

import pytest
import torch

from elman.errors import UsageError
from elman.tasks.classify.by_label import confusion_lines, label_lines, matrix_lines
from elman.tasks.classify.classifier import Classifier
from elman.tasks.classify.table import label_rates
from labelled_texts import order_matters


def test_the_confusion_matrix_with_the_scores_beside_it() -> None:
    each = label_rates(("yes", "no"), torch.tensor([3, 0]), torch.tensor([2, 1]), torch.tensor([2, 0]))
    assert [*matrix_lines(((2, 1), (0, 0)), each)] == [
        "true \\ predicted  yes   no  precision     recall         F1",
        "yes                 2    1     1.0000     0.6667     0.8000",
        "no                  0    0     0.0000                0.0000",
    ]


def test_few_labels_have_a_line_each_and_many_only_the_worst() -> None:
    names = tuple(f"l{k}" for k in range(21))
    counts = torch.arange(21) + 1
    each = label_rates(names, counts, counts, counts - 1)
    assert len([*label_lines(each[:20])]) == 21
    lines = [*label_lines(each)]
    assert lines[0] == "The 10 of 21 labels with the lowest F1:" and len(lines) == 12
    assert lines[2].split() == ["l0", "0.0000", "0.0000", "0.0000", "1"]


def test_only_frequent_confusions_are_named() -> None:
    lines = ["", "The most frequent mistakes, true → predicted:", "     7  a → b"]
    assert [*confusion_lines([("a", "b", 7), ("a", "c", 1)])] == lines
    assert [*confusion_lines([("a", "c", 1)])] == []


def test_the_answers_of_a_model(model: Classifier) -> None:
    data = order_matters(40)
    result = model.evaluate(data)
    assert result.table.select("text", "label").rows(named=True) == data
    predictions = result.table["prediction"].to_list()
    assert predictions == model.predict(result.table["text"].to_list())
    assert result.top(1) == pytest.approx(result.scores["accuracy"]) and result.top(2) == 1
    assert result.thresholds()["accuracy"][0] == pytest.approx(result.scores["accuracy"])
    wrong = [row["label"] != one for row, one in zip(data, predictions, strict=True)]
    assert len(result.errors()) == sum(wrong)
    assert model.validation.table is None
    with pytest.raises(UsageError, match="call evaluate"):
        model.validation.thresholds()
    with pytest.raises(UsageError, match="count must be a whole number"):
        result.top(0)
