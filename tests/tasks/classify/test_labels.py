"""One label a text or several: answers, thresholds, and what is saved."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from elman.errors import UsageError
from elman.tasks.classify.labels import (
    Labels,
    as_answers,
    best_threshold,
    check_separator,
    membership,
    shares,
    strata,
)


def test_the_likeliest_label_is_the_first_of_the_largest() -> None:
    labels = Labels(("x", "y", "z"))
    assert labels.answer([0.2, 0.5, 0.3]) == "y"
    assert labels.answer([0.4, 0.2, 0.4]) == "x"
    assert labels.answer([0.4, 0.2, 0.4], 0.4) == "x"
    assert labels.answer([0.4, 0.2, 0.4], 0.41) is None


def test_several_labels_are_those_that_are_likely() -> None:
    labels = Labels(("x", "y", "z"), several=True, thresholds={"network + linear": 0.3})
    assert labels.answer([0.4, 0.2, 0.6]) == ["z", "x"]
    assert labels.answer([0.4, 0.2, 0.6], 0.5) == ["z"]
    assert labels.answer([0.1, 0.2, 0.1]) == []
    assert Labels(("x",), several=True).answer([0.5]) == ["x"]


def test_yes_has_the_probability_of_a_sigmoid() -> None:
    logits = torch.randn(4, 3)
    torch.testing.assert_close(shares(as_answers(logits, True).softmax(-1)), logits.sigmoid())
    assert as_answers(logits, False) is logits and shares(logits) is logits


def test_membership_and_strata() -> None:
    labels = torch.tensor([1, 0, 2])
    assert membership(labels.numpy(), 3).toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert membership(labels.numpy(), 2).toarray().tolist() == [[0, 1], [1, 0], [0, 0]]
    several = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]])
    assert membership(several.numpy(), 3).toarray().tolist() == several.tolist()
    assert membership(several.numpy(), 2).toarray().tolist() == several[:, :2].tolist()
    assert strata(several) == [1, 0, -1, 2] and strata(torch.tensor([2, 0])) == [2, 0]


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]), st.booleans()), min_size=1, max_size=30)
)
def test_no_threshold_has_a_higher_f1(rows: list[tuple[float, bool]]) -> None:
    likely, labels = torch.tensor([p for p, _ in rows]), torch.tensor([int(y) for _, y in rows])
    best = best_threshold(torch.stack([1 - likely, likely], -1).unsqueeze(1), labels.unsqueeze(1))
    scores = [f1_score(labels, likely >= least, zero_division=0) for least in [best, 0.1, 0.2, 0.5, 0.7, 0.9]]
    assert scores[0] >= max(scores) - 1e-6


def test_saved_labels() -> None:
    for labels in (Labels((1, 2)), Labels(("a",), True, ";", {"TF-IDF": 0.25})):
        assert Labels.from_json(labels.to_json()) == labels
    assert Labels((1, 2)).to_json() == [1, 2]


@pytest.mark.parametrize(
    "value",
    [
        [],
        ["a", "a"],
        {"labels": ["a"]},
        {"labels": ["a"], "separator": "", "thresholds": {}},
        {"labels": ["a"], "separator": None, "thresholds": {"TF-IDF": 2.0}},
        {"labels": [], "separator": None, "thresholds": {}},
    ],
)
def test_saved_labels_that_are_none(value: object) -> None:
    with pytest.raises(ValueError, match=r"labels\.json"):
        Labels.from_json(value)


@pytest.mark.parametrize("separator", ["", 3, [";"]])
def test_a_separator_is_a_text(separator: object) -> None:
    with pytest.raises(UsageError, match="separator must be a text"):
        check_separator(separator)
