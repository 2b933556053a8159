"""Accuracy, macro-F1 and the confusion matrix, against counting; and the table that shows them."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.classify.scores import LabelEvaluation, calibration_error, label_scores


def test_scores_against_counting() -> None:
    said, true = [0, 0, 1, 1, 1, 2], [0, 1, 1, 1, 2, 2]
    probabilities = torch.nn.functional.one_hot(torch.tensor(said), 3).float()
    f1 = [2 * 1 / (2 + 1), 2 * 2 / (3 + 3), 2 * 1 / (1 + 2)]
    wanted = {"accuracy": 4 / 6, "macro_f1": sum(f1) / 3}
    assert label_scores(probabilities, torch.tensor(true)) == pytest.approx(wanted)
    result = LabelEvaluation.of(
        probabilities, {"bag of words": probabilities}, torch.tensor(true), ("x", "y", "z")
    )
    assert result.confusion == ((1, 0, 0), (1, 2, 0), (0, 1, 1))
    assert result.commonest == ("y", 0.5)
    assert "no better than the bag of words" in result.notes[0]
    assert LabelEvaluation.from_dict(result.to_dict()) == result
    assert "macro-F1" in str(result)
    assert "0.6667" in str(result)


def test_the_table_beside_the_baseline() -> None:
    one_hot = torch.nn.functional.one_hot
    ours, plain = (
        one_hot(torch.tensor([0, 1, 1, 0]), 2).float(),
        one_hot(torch.tensor([0, 0, 0, 0]), 2).float(),
    )
    labels = torch.tensor([0, 1, 1, 1])
    result = LabelEvaluation.of(ours, {"bag of words": plain}, labels, ("a label so long", "b"), ("few",))
    assert str(result).splitlines() == [
        "                      network  bag of words",
        "accuracy               0.7500        0.2500",
        "macro-F1               0.7333        0.2000",
        "calibration error      0.2500        0.7500",
        "",
        "4 texts; always answering 'b' would reach an accuracy of 0.7500",
        "",
        "true \\ predicted  a label so …             b",
        "a label so …                 1             0",
        "b                            1             2",
        "Note: few",
    ]
    assert result.notes == ("few",)
    many = replace(result, labels=tuple("abcdefghijklmnopqrstu"))
    assert "predicted" not in str(many)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
@settings(deadline=None)
def test_the_calibration_error_against_sums_over_bins(rows: list[tuple[float, bool]]) -> None:
    probabilities = torch.tensor([[p, 1 - p] for p, _ in rows], dtype=torch.float64)
    predicted = probabilities.argmax(1)
    labels = torch.tensor(
        [int(k) if right else 1 - int(k) for k, (_, right) in zip(predicted, rows, strict=True)]
    )
    error = 0.0
    for low, high in itertools.pairwise(k / 15 for k in range(16)):
        inside = [i for i, row in enumerate(probabilities) if low < float(row.max()) <= high]
        if inside:
            accuracy = sum(rows[i][1] for i in inside) / len(inside)
            confidence = sum(float(probabilities[i].max()) for i in inside) / len(inside)
            error += len(inside) / len(rows) * abs(accuracy - confidence)
    assert calibration_error(probabilities, labels) == pytest.approx(error, abs=1e-9)


def test_notes_tell_which_part_adds_nothing() -> None:
    labels = torch.tensor([0, 1, 1, 1])
    right, wrong = (torch.nn.functional.one_hot(rows, 2).float() for rows in (labels, 1 - labels))
    result = LabelEvaluation.of(right, {"TF-IDF": right, "network": wrong}, labels, ("a", "b"))
    assert result.notes == ("TF-IDF alone scores as high here: the network adds nothing",)
    assert str(result).startswith("                     network + linear    TF-IDF   network\naccuracy")
    assert (result.scores["ece"], result.baselines["network"]["ece"]) == (0, 1)
    result = LabelEvaluation.of(right, {"TF-IDF": wrong, "network": right}, labels, ("a", "b"))
    assert result.notes == ("network alone scores as high here: the linear model adds nothing",)
    old = result.to_dict()
    old["baselines"] = {"bag of words": {"accuracy": 0.5, "macro_f1": 0.5}}
    del old["scores"]["ece"]
    assert str(LabelEvaluation.from_dict(old)).startswith(
        "                      network  bag of words\naccuracy"
    )
