"""The ranker against brute force, and the weights of what speaks for a reply."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.tasks import Chatbot
from elman.tasks.chat.network import CONTEXT_TURNS
from elman.tasks.chat.ranker import (
    MAX_RANK_WEIGHT,
    NEIGHBOURS,
    NUMBERS,
    PRIOR_WEIGHTS,
    Ranker,
    checked_weights,
    fitted_weights,
)


@pytest.fixture
def ranker(model: Chatbot) -> Ranker:
    ranker = model._speaker.ranker
    assert ranker is not None
    return ranker


def test_the_evidence_by_brute_force(ranker: Ranker) -> None:
    turns = ["Roses?", "Hi, I am Ada.", "Hello, Ada!", "What colour has snow?"]
    replies = ["It is white.", "It is black.", "…"]
    evidence = ranker.evidence(turns, replies, [-1.0, -2.0, -3.0])
    assert evidence.shape == (3, NUMBERS) and evidence[:, 0].tolist() == [-1, -2, -3]
    words = ranker.codec.words
    with torch.no_grad():
        parts = [ranker.encoder([words(turns[-1 - k])])[0][0, k] for k in range(CONTEXT_TURNS)]
        context = torch.stack(parts).sum(0)
        products = [float(context @ ranker.encoder([words(reply)])[1][0]) for reply in replies]
    assert evidence[:, 1].tolist() == pytest.approx(products, rel=1e-4, abs=1e-4)
    assert evidence[:, 2].tolist() == pytest.approx([1, evidence[1, 2].item(), 0]) and evidence[1, 2] < 1
    weights = ranker.weights.tolist()
    by_hand = [sum(w * float(x) for w, x in zip(weights, row, strict=True)) for row in evidence]
    assert ranker.scores(evidence) == pytest.approx(by_hand)


def test_a_known_reply_counts_only_where_texts_may_be_known(ranker: Ranker) -> None:
    turns, replies = ["What colour has snow?"], ["It is white.", "It is black.", "It is pink."]
    assert ranker.retrieval is not None
    for known in (True, False):
        evidence = ranker.evidence(turns, replies, [0.0] * 3, known)
        support = ranker.retrieval.support(turns[0], replies, NEIGHBOURS, known)
        assert evidence[:, 2].tolist() == pytest.approx(support)


def test_made_up_words_are_told_by_the_training_replies(ranker: Ranker) -> None:
    assert ranker.has_words(["Hello, I am Quux."], "Hello, Quux!")
    assert not ranker.has_words(["Hello!"], "Hello, Quux!")
    assert Ranker(ranker.encoder, ranker.codec, None, ranker.weights).has_words([], "Quux")


def test_the_best_training_replies_are_retrieved(ranker: Ranker) -> None:
    turns = ["What colour has snow?"]
    best = ranker.retrieve(turns, 3)
    assert best[0] == "It is white." and len(set(best)) == len(best) <= 3
    assert ranker.retrieve(turns, 0) == []
    everything = ranker.retrieve(turns, 1000)
    assert everything[:3] == best
    assert Ranker(ranker.encoder, ranker.codec, None, ranker.weights).retrieve(turns, 3) == []


def test_without_training_replies_nothing_is_like_them(ranker: Ranker) -> None:
    bare = Ranker(ranker.encoder, ranker.codec, None, ranker.weights)
    evidence = bare.evidence(["What colour has snow?"], ["It is white."], [0.0])
    assert (
        evidence[0, 2] == 0
        and evidence[0, 1] == ranker.evidence(["What colour has snow?"], ["It is white."], [0.0])[0, 1]
    )


def test_the_number_that_tells_gets_the_weight() -> None:
    draw = torch.Generator().manual_seed(0)
    rows = [torch.randn(20, NUMBERS, generator=draw) for _ in range(200)]
    for row in rows:
        row[0, 1] = row[:, 1].max() + 0.1
    weights = fitted_weights(rows)
    assert weights[1] > 20 * weights[[0, 2]].max()


def test_few_rows_leave_the_weights_of_before() -> None:
    for rows in ([], [torch.ones(1, NUMBERS)], [torch.zeros(4, NUMBERS)] * 3):
        assert fitted_weights(rows).tolist() == pytest.approx(PRIOR_WEIGHTS)


@given(seed=st.integers(0, 99), count=st.integers(1, 6))
def test_the_weights_are_the_best(seed: int, count: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    sizes = torch.randint(1, 5, (count,), generator=draw).tolist()
    rows = [torch.randn(size, NUMBERS, generator=draw, dtype=torch.float64) for size in sizes]

    def goodness(weights: torch.Tensor) -> float:
        found = sum(float((row @ weights.double()).log_softmax(0)[0]) for row in rows)
        return found - float((weights / torch.tensor(PRIOR_WEIGHTS)).double().log().square().sum()) / 2

    weights = fitted_weights(rows)
    for _ in range(5):
        other = weights * torch.empty(NUMBERS).uniform_(0.8, 1.25, generator=draw)
        assert goodness(weights) >= goodness(other) - 1e-6


@pytest.mark.parametrize(
    "wrong", [[1.0, 1.0], [1.0, 1.0, -1.0], [1.0, 1.0, float("nan")], [1.0, 1.0, 2 * MAX_RANK_WEIGHT]]
)
def test_saved_weights_are_checked(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="rank_weights"):
        checked_weights(torch.tensor(wrong))
    assert checked_weights(torch.tensor([0.0, 1.0, 2.0])).tolist() == [0, 1, 2]
