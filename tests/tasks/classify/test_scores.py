"""Accuracy, macro-F1 and the confusion matrix, against counting; and the table that shows them."""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from elman.tasks.classify.labels import Labels
from elman.tasks.classify.scores import LabelEvaluation, LabelSetEvaluation, calibration_error, label_scores


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


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
@settings(deadline=None)
def test_scores_are_those_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    said, true = (list(column) for column in zip(*rows, strict=True))
    wanted = {"accuracy": accuracy_score(true, said), "macro_f1": f1_score(true, said, average="macro")}
    assert label_scores(one_hot(said, 5), torch.tensor(true)) == pytest.approx(wanted)


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
        "true \\ predicted  a label so long                b  precision     recall         F1",
        "a label so long                 1                0     0.5000     1.0000     0.6667",
        "b                               1                2     1.0000     0.6667     0.8000",
        "Note: few",
    ]
    assert result.notes == ("few",)


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


def one_hot(rows: list[int], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(rows), classes).float()


def test_a_model_below_the_most_frequent_label_says_so() -> None:
    def notes(answers: list[int]) -> tuple[str, ...]:
        return LabelEvaluation.of(one_hot(answers, 3), {}, torch.tensor([1, 1, 1, 2]), ("a", "b", "c")).notes

    assert notes([2, 2, 2, 2]) == (
        "below always answering 'b' in accuracy (0.2500 against 0.7500) and macro-F1 (0.2000 against 0.4286)",
    )
    assert notes([1, 2, 2, 2]) == ("below always answering 'b' in accuracy (0.5000 against 0.7500)",)
    assert notes([1, 1, 1, 1]) == notes([1, 1, 1, 2]) == ()


@given(st.lists(st.integers(1, 40), min_size=2, max_size=4))
@settings(deadline=None)
def test_always_answering_the_most_frequent_label_is_not_below_itself(sizes: list[int]) -> None:
    labels = torch.tensor([label for label, size in enumerate(sizes) for _ in range(size)])
    answer = one_hot([sizes.index(max(sizes))] * len(labels), len(sizes))
    assert LabelEvaluation.of(answer, {}, labels, tuple("abcd"[: len(sizes)])).notes == ()


def test_several_labels_below_the_same_answer_to_all() -> None:
    labels = torch.tensor([[1, 0], [1, 0], [0, 0], [1, 1]])
    wrong = torch.stack([labels, 1 - labels], -1).float()
    notes = LabelSetEvaluation.of(wrong, {}, labels, Labels(("a", "b"), several=True)).notes
    assert notes == (
        "below always answering 'a' in micro-F1 (0.0000 against 0.7500)",
        "below never answering a label in exact match (0.0000 against 0.2500)",
    )
    assert LabelSetEvaluation.of(wrong.flip(-1), {}, labels, Labels(("a", "b"), several=True)).notes == ()


def test_many_labels_print_the_worst_and_the_most_confused() -> None:
    true = [k for k in range(25) for _ in range(4)]
    said = [1 if k == 0 else k for k in true]
    names = tuple(f"intent {k}" for k in range(25))
    result = LabelEvaluation.of(one_hot(said, 25), {}, torch.tensor(true), names)
    lines = str(result).splitlines()
    assert "The 10 of 25 labels with the lowest F1:" in lines and "predicted" not in lines
    assert lines[lines.index("The 10 of 25 labels with the lowest F1:") + 2].split() == [
        *("intent", "0", "0.0000", "0.0000", "4")
    ]
    assert lines[-2:] == ["The most frequent mistakes, true → predicted:", "     4  intent 0 → intent 1"]
    assert result.confusions().rows() == [("intent 0", "intent 1", 4)]
    assert result.scores["top3"] == pytest.approx(0.96), "the scores of a wrong one-hot answer tie at 0"
    assert result.by("label").row(1, named=True) == {
        **{"label": "intent 1", "precision": 0.5, "recall": 1.0},
        **{"f1": pytest.approx(2 / 3), "support": 4},
    }


def test_scores_by_label_are_those_of_a_loaded_model_too() -> None:
    labels = torch.tensor([0, 1, 1])
    result = LabelEvaluation.of(one_hot([0, 1, 0], 2), {}, labels, ("a", "b"))
    again: Any = LabelEvaluation.from_dict(result.to_dict())
    assert (
        again.groups()
        == result.groups()
        == {
            "label": [
                {"label": "a", "precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 1},
                {"label": "b", "precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 2},
            ]
        }
    )
