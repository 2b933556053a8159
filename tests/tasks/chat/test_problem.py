"""The ranker's loss against a sum over pairs, and its batches."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.data.text.conversations import Conversation, Turn, read_conversations
from elman.tasks.chat.codec import Codec
from elman.tasks.chat.network import CONTEXT_TURNS, DualEncoder
from elman.tasks.chat.problem import MAX_TURNS, MatchReplies, Turns
from elman.tasks.chat.scores import candidates, hits
from elman.training.plan import Plan
from elman.training.problem import DeadEnd
from toy_language import world

PLAN = Plan(batch_size=6, seed=3)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.learned(read_conversations(world()).all, 300)


def talk(*texts: str) -> Conversation:
    return [Turn(("user", "assistant")[k % 2], text) for k, text in enumerate(texts)]


TALKS = [talk("Hi.", "Hello!", "Roses?", "Red."), talk("Grass?", "Green."), talk("Coal?", "Red!", "No.")]


def product(encoder: DualEncoder, codec: Codec, before: list[str], reply: str) -> float:
    """The logit of one reply after some turns, the last one first, worked out turn by turn."""
    contexts = [encoder([codec.words(text)])[0][0, k] for k, text in enumerate(before[:CONTEXT_TURNS])]
    return float(torch.stack(contexts).sum(0) @ encoder([codec.words(reply)])[1][0])


def exchanges(talks: list[Conversation]) -> list[tuple[list[str], str]]:
    return [
        ([turn.text for turn in reversed(turns[:k])], turns[k].text)
        for turns in talks
        for k in range(1, len(turns))
    ]


@torch.no_grad()
def test_the_loss_is_that_of_the_true_reply_among_the_batchs(codec: Codec) -> None:
    torch.manual_seed(1)
    encoder = DualEncoder(3, len(codec)).eval()
    problem = MatchReplies(Turns.of(TALKS, codec), Turns.of(TALKS, codec), PLAN)
    loss, count, state = problem.loss(encoder, [0, 2], None)
    pairs = exchanges([TALKS[0], TALKS[2]])
    assert (count, state) == (len(pairs), None) == (5, None)
    total = 0.0
    for before, reply in pairs:
        own = product(encoder, codec, before, reply)
        others = [r for _, r in pairs if r.lower().strip(".!") != reply.lower().strip(".!")]  # Red. and Red!
        logits = [own, *(product(encoder, codec, before, other) for other in others)]
        total += math.log(sum(math.exp(logit - own) for logit in logits))
    assert float(loss) == pytest.approx(total, rel=1e-4)


@torch.no_grad()
def test_validation_is_hits_of_the_true_reply(codec: Codec) -> None:
    torch.manual_seed(1)
    encoder = DualEncoder(3, len(codec)).eval()
    problem = MatchReplies(Turns.of(TALKS, codec), Turns.of(TALKS, codec), PLAN)
    pairs = exchanges(TALKS)
    replies = [reply for _, reply in pairs]
    ranks = [
        [product(encoder, codec, before, replies[k]) for k in row]
        for (before, _), row in zip(pairs, candidates(replies), strict=True)
    ]
    assert problem.validate(encoder) == {"hits": pytest.approx(hits(ranks))}


@given(
    sizes=st.lists(st.integers(2, 7), min_size=1, max_size=30),
    batch=st.integers(1, 12),
    epoch=st.integers(0, 3),
)
def test_batches_hold_different_conversations(codec: Codec, sizes: list[int], batch: int, epoch: int) -> None:
    turns = Turns.of([talk(*["Red."] * size) for size in sizes], codec)
    problem = MatchReplies(turns, Turns.of(TALKS, codec), Plan(batch_size=batch))
    batches = problem.batches(epoch, 0, 1)
    places = [c for one in batches for c in one]
    assert len(set(places)) == len(places) and batches == problem.batches(epoch, 0, 1)
    assert len({len(one) for one in batches}) == 1 and len(sizes) - len(places) < len(batches[0])


def test_long_conversations_are_cut(codec: Codec) -> None:
    sizes = [2, MAX_TURNS + 1, MAX_TURNS + 2, 3 * MAX_TURNS]
    turns = Turns.of([talk(*["Red."] * size) for size in sizes], codec)
    replies, before = turns.replies(range(len(turns.conversations)))
    firsts = {sum(sizes[:k]) for k in range(len(sizes))}
    assert replies == [n for n in range(sum(sizes)) if n not in firsts]
    assert all(row[0] == n - 1 for n, row in zip(replies, before, strict=True))
    assert max(map(len, turns.conversations)) == MAX_TURNS + 1


def test_processes_share_a_batch(codec: Codec) -> None:
    turns = Turns.of(TALKS * 4, codec)
    problem = MatchReplies(turns, turns, PLAN)
    whole, parts = problem.batches(1, 0, 1), [problem.batches(1, rank, 2) for rank in range(2)]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert sorted(first + second) == sorted(batch)
    with pytest.raises(DeadEnd, match="can't share"):
        MatchReplies(Turns.of(TALKS, codec), turns, PLAN).batches(0, 0, 9)
