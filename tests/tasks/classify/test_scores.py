"""Accuracy, macro-F1 and the confusion matrix, against counting; and the table that shows them."""

from dataclasses import replace

import pytest
import torch

from elman.tasks.classify.scores import LabelEvaluation, label_scores, likeliest


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
        "             network  bag of words",
        "accuracy      0.7500        0.2500",
        "macro-F1      0.7333        0.2000",
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


def test_the_likeliest_label_is_the_first_of_the_largest() -> None:
    assert likeliest([0.2, 0.5, 0.3], "xyz") == "y"
    assert likeliest([0.4, 0.2, 0.4], "xyz") == "x"
