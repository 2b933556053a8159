"""Scores of chatbots against values worked out by hand."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from elman.errors import UsageError
from elman.tasks.chat.scores import ChatEvaluation, candidates, distinct, hits, loop_rate

# ---- variety and loops


@pytest.mark.parametrize(
    ("replies", "n", "expected"),
    [
        (["I see.", "I don't know!", "i SEE"], 1, 5 / 8),  # i see don t know; of 2 + 4 + 2
        (["I see.", "I don't know!", "i SEE"], 2, 4 / 5),  # pairs do not reach from reply to reply
        (["no no no"], 1, 1 / 3),
        (["no no no"], 2, 1 / 2),
        (["one", "two"], 2, 0),
        (["…"], 1, 0),
        ([], 1, 0),
    ],
)
def test_distinct(replies: list[str], n: int, expected: float) -> None:
    assert distinct(replies, n) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        (["hi", "hello", "how are you", "fine"], 0),
        (["hi", "hello", "Hi!", "fine"], 1 / 2),  # the same speaker
        (["hi", "hello", "fine", "HI"], 1 / 2),  # the other
        (["hi", "hi"], 0),  # to greet back is no loop
        (["hi", "hi", "hi"], 1),
        (["a", "b", "b a", "A, b."], 0),  # other words, or another order
        (["a", "b", "it is what it is what it is"], 1),
        (["a", "b", "it is what it is what"], 0),  # a run of 3 twice
        (["a", "b", "no no no no no", "no no no no"], 1 / 2),  # runs may overlap
        (["it is so it is so it is so", "b", "c"], 0),  # the first two are not looked at
        (["a", "…", "b", "?"], 1 / 2),
        ([], 0),
    ],
)
def test_loop_rate(conversation: list[str], expected: float) -> None:
    assert loop_rate(conversation) == pytest.approx(expected)


# ---- candidates and hits


def test_candidates() -> None:
    replies = ["Yes.", "no", "yes!", "maybe", "I see", "NO", "?", "!", " ? "]
    different = [0, 1, 3, 4, 6, 7]
    same = {0: 0, 1: 1, 2: 0, 3: 3, 4: 4, 5: 1, 6: 6, 7: 7, 8: 6}
    for count in (1, 3, 6, 20):
        rows = candidates(replies, count, seed=3)
        assert [row[0] for row in rows] == list(range(9))
        for row in rows:
            assert len(row) == min(count, len(different))
            assert set(row[1:]) <= set(different)
            assert len({same[place] for place in row}) == len(row)
    assert candidates(replies, 3) == candidates(replies, 3) != candidates(replies, 3, seed=1)
    assert candidates(["yes", "Yes"]) == [[0], [1]]
    assert candidates([]) == []


def test_every_other_text_is_as_likely() -> None:
    replies = ["a"] * 2000 + list("bcdef")
    drawn = Counter(place for row in candidates(replies, 3)[:2000] for place in row[1:])
    assert set(drawn) == set(range(2000, 2005))
    assert all(abs(times - 800) < 5 * 22 for times in drawn.values())  # 5 standard deviations


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([[3, 1, 2]], 1),
        ([[2, 3, 1]], 0),
        ([[3, 1], [1, 3], [2, 2], [0, 0, 0, 0]], (1 + 0 + 1 / 2 + 1 / 4) / 4),
        ([[1, 2, 2]], 0),
        ([[-5.0]], 1),
        ([np.array([2.0, 1.0]), np.array([1.0, 2.0])], 1 / 2),
    ],
)
def test_hits(scores: list[list[float]], expected: float) -> None:
    assert hits(scores) == pytest.approx(expected)


@pytest.mark.parametrize("scores", [[], [[1.0], []]])
def test_hits_of_nothing(scores: list[list[float]]) -> None:
    with pytest.raises(UsageError, match="hits need at least one row"):
        hits(scores)


# ---- evaluation

NAMES = ("perplexity", "distinct1", "distinct2", "loops", "hits")
OURS = dict(zip(NAMES, (31.25, 0.1, 0.4, 0.05, 0.3), strict=True))
PLAIN = dict(zip(NAMES, (None, 0.2, 0.6, None, 0.125), strict=True))


def evaluation(**changes: Any) -> ChatEvaluation:
    full = {"scores": OURS, "baselines": {"retrieval": PLAIN}, "replies": 100, "notes": ("a note",)}
    return ChatEvaluation(**(full | changes))


def test_an_evaluation_prints_and_comes_back() -> None:
    full = evaluation()
    assert str(full).splitlines() == [
        "                      network  retrieval",
        "perplexity              31.25",
        "different words           0.1        0.2",
        "different pairs           0.4        0.6",
        "turns in a loop          0.05",
        "first of 20               0.3      0.125",
        "",
        "100 replies",
        "Note: a note",
    ]
    assert ChatEvaluation.from_dict(full.to_dict()) == full
    bare = evaluation(scores=OURS | {"loops": None}, baselines={}, notes=())
    assert "retrieval" not in str(bare) and "loop" not in str(bare) and "Note" not in str(bare)
    assert ChatEvaluation.from_dict(bare.to_dict()) == bare


def test_an_evaluation_of_0_1_0() -> None:
    saved = {key: value for key, value in evaluation().to_dict().items() if key != "baselines"}
    assert ChatEvaluation.from_dict(saved | {"baseline": PLAIN}) == evaluation()
    assert ChatEvaluation.from_dict(saved | {"baseline": None}) == evaluation(baselines={})
