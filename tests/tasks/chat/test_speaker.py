"""Positions and the log-probabilities of replies, alone and together."""

import pytest
import torch

from elman.data.text.conversations import Turn
from elman.tasks import Chatbot
from elman.tasks.chat.speaker import Position


def test_reading_in_pieces_or_together_is_the_same(model: Chatbot) -> None:
    speaker = model._speaker
    ids = [speaker.codec.turn(Turn("user", text)) for text in ("Hi, I am Ada.", "Do you like it?")]
    positions = [speaker.read(speaker.start(), turn) for turn in ids]
    both = Position.concatenate(positions)
    assert both.last.tolist() == [turn[-1] for turn in ids]
    step = speaker.read(speaker.read(speaker.start(), ids[0][:3]), ids[0][3:])
    assert step.state is not None and both.state is not None
    torch.testing.assert_close(step.state[0][0], both.state[0][0][:, :1], atol=1e-6, rtol=1e-5)
    words = [speaker.codec.words("Yes, red is nice."), speaker.codec.words("It is red.")]
    together = speaker.log_probs_given(both, words)
    alone = [speaker.log_probs_given(one, [ids])[0] for one, ids in zip(positions, words, strict=True)]
    assert together == pytest.approx(alone, rel=1e-4)
    assert both.repeat(2).last.tolist() == [ids[0][-1]] * 2 + [ids[1][-1]] * 2
    assert both.select(torch.tensor([1, 0, 1])).last.tolist() == [ids[k][-1] for k in (1, 0, 1)]


def test_log_probs_given_are_the_searchs_scores(model: Chatbot) -> None:
    speaker = model._speaker
    ids = [*speaker.codec.turn(Turn("user", "Hi, I am Ada.")), speaker.codec.speaker("assistant")]
    position = speaker.read(speaker.start(), ids)
    (replies,) = speaker.replies(position, [["Hi, I am Ada."]], torch.Generator().manual_seed(0))
    totals = speaker.log_probs_given(position.repeat(len(replies)), [list(reply.ids) for reply in replies])
    for reply, total in zip(replies, totals, strict=True):
        assert reply.score == pytest.approx(total / (len(reply.ids) + 1), rel=1e-3, abs=1e-4)


def test_the_prior_is_of_an_empty_turn_of_the_user(model: Chatbot) -> None:
    speaker = model._speaker
    ids = [speaker.codec.words("It is red."), speaker.codec.words("Hello, Ada!")]
    position = speaker.read(speaker.start(), [speaker.codec.speaker("user")])
    alone = [speaker.log_probs_given(position, [reply])[0] for reply in ids]
    assert speaker.log_prior(ids) == pytest.approx(alone, rel=1e-4)


def test_repeated_turns_rank_last(model: Chatbot) -> None:
    speaker = model._speaker
    ids = [*speaker.codec.turn(Turn("user", "Hi, I am Ada.")), speaker.codec.speaker("assistant")]
    position = speaker.read(speaker.start(), ids)
    (replies,) = speaker.replies(position, [["hello ada"]], torch.Generator().manual_seed(0))
    again = [reply.again for reply in replies]
    assert again == sorted(again)
    assert all(reply.again == (reply.text == "Hello, Ada!") for reply in replies[:1])


def test_made_up_words_rank_behind_others(model: Chatbot, monkeypatch: pytest.MonkeyPatch) -> None:
    speaker = model._speaker
    position = speaker.read(speaker.start(), speaker.codec.turn(Turn("user", "What colour has snow?")))
    position = speaker.read(position, [speaker.codec.speaker("assistant")])

    def replies() -> list[str]:
        generator = torch.Generator().manual_seed(0)
        return [reply.text for reply in speaker.replies(position, [["What colour has snow?"]], generator)[0]]

    best, *others = replies()
    assert others
    monkeypatch.setattr(speaker.ranker, "has_words", lambda _, reply: reply != best)
    later = replies()
    assert later[0] == others[0] and best in later
