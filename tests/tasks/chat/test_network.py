"""The ranker's network: vectors that don't depend on the company a turn is in."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.tasks.chat.network import BLOCK_TURNS, CONTEXT_TURNS, MAX_TURN_TOKENS, DualEncoder, joined

UNITS, TOKENS = 3, 20
TURNS = st.lists(st.lists(st.integers(0, TOKENS - 1), max_size=MAX_TURN_TOKENS + 5), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def encoder() -> DualEncoder:
    torch.manual_seed(0)
    return DualEncoder(UNITS, TOKENS, dropout=0.5).eval()


@given(turns=TURNS)
def test_a_turn_has_the_same_vectors_alone_and_among_others(
    encoder: DualEncoder, turns: list[list[int]]
) -> None:
    with torch.no_grad():
        contexts, replies = encoder(turns)
        alone = [encoder([turn]) for turn in turns]
    assert contexts.shape == (len(turns), CONTEXT_TURNS, 2 * UNITS) and replies.shape == (
        len(turns),
        2 * UNITS,
    )
    torch.testing.assert_close(contexts, torch.cat([context for context, _ in alone]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(replies, torch.cat([reply for _, reply in alone]), atol=1e-5, rtol=1e-4)


def test_blocks_of_turns_come_back_in_order(encoder: DualEncoder) -> None:
    turns = [[k % TOKENS] * (1 + k % 7) for k in range(2 * BLOCK_TURNS + 3)]
    with torch.no_grad():
        _, together = encoder(turns)
        for k in (0, 5, BLOCK_TURNS, len(turns) - 1):
            torch.testing.assert_close(together[k], encoder([turns[k]])[1][0], atol=1e-5, rtol=1e-4)


def test_the_end_of_a_long_turn_counts(encoder: DualEncoder) -> None:
    end = [k % TOKENS for k in range(MAX_TURN_TOKENS)]
    with torch.no_grad():
        torch.testing.assert_close(encoder([[3] * 100 + end])[1], encoder([end])[1])


@given(data=st.data(), turns=st.integers(1, 6), replies=st.integers(0, 5))
def test_contexts_join_by_recency(data: st.DataObject, turns: int, replies: int) -> None:
    contexts = torch.randn(turns, CONTEXT_TURNS, 4, generator=torch.Generator().manual_seed(turns))
    place = st.integers(-1, turns - 1)
    rows = [[data.draw(place) for _ in range(CONTEXT_TURNS)] for _ in range(replies)]
    vectors = joined(contexts, torch.tensor(rows, dtype=torch.int64).view(-1, CONTEXT_TURNS))
    assert vectors.shape == (replies, 4)
    for vector, row in zip(vectors, rows, strict=True):
        by_hand = sum((contexts[n, k] for k, n in enumerate(row) if n >= 0), torch.zeros(4))
        torch.testing.assert_close(vector, by_hand)


def test_dropout_is_for_training_alone() -> None:
    torch.manual_seed(0)
    encoder = DualEncoder(UNITS, TOKENS, dropout=0.5)
    assert not torch.equal(encoder([[1, 2, 3]])[1], encoder([[1, 2, 3]])[1])
    encoder.eval()
    assert torch.equal(encoder([[1, 2, 3]])[1], encoder([[1, 2, 3]])[1])
