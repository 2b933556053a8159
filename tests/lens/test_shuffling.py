"""Shuffles keep the items and move them no further than they may; scores are means over them."""

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman import UsageError
from elman.lens.shuffling import order, shuffled


@given(st.lists(st.integers(), max_size=40), st.integers(0, 50))
def test_items_stay_and_move_within_their_block(items: list[int], within: int) -> None:
    numbered = list(enumerate(items))
    result = shuffled(numbered, within, random.Random(0))
    assert sorted(result) == sorted(numbered)
    if within:
        assert all(k // within == number // within for k, (number, _) in enumerate(result))
    if within == 1:
        assert result == numbered


def test_a_score_that_sees_order_falls_and_one_that_does_not_stays() -> None:
    sequences = [list(range(n)) for n in range(20, 60)]

    def score(each: Sequence[Sequence[int]]) -> tuple[float, float | None]:
        ordered = [a < b for one in each for a, b in itertools.pairwise(one)]
        return sum(ordered) / len(ordered), sum(map(sum, each))

    rows = order(score, sequences)
    assert [row.within for row in rows] == [1, 2, 4, 8, 0] and rows[0].score == 1.0
    scores = [row.score for row in rows]
    assert scores == sorted(scores, reverse=True) and scores[-1] == pytest.approx(0.5, abs=0.05)
    assert len({row.baseline for row in rows}) == 1
    assert rows.to_dict()["all"]["score"] == scores[-1]
    assert str(rows).startswith("shuffled among 1: 1, the baseline")
    assert [text.get_text() for text in rows.plot().axes[0].get_xticklabels()] == ["1", "2", "4", "8", "all"]
    assert "<svg" in rows._repr_html_()


def test_wrong_arguments() -> None:
    with pytest.raises(UsageError, match="no sequences to shuffle"):
        order(lambda each: (0.0, None), [])
    with pytest.raises(UsageError, match="repeats must be 1 or more"):
        order(lambda each: (0.0, None), [[1]], repeats=0)
