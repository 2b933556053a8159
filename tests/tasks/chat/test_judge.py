"""How a chatbot is scored: perplexity of the assistant's turns alone, and its talks with itself."""

import pytest

from elman.data.text.conversations import Turn, read_conversations
from elman.tasks import Chatbot
from elman.tasks.chat.judge import evaluate, nats, reply_positions, simulate
from toy_language import world


def test_nats_are_of_the_assistants_tokens_alone(model: Chatbot) -> None:
    speaker = model._speaker
    conversations = read_conversations(world(2, seed=3)).all
    total, count = 0.0, 0
    for turns in conversations:
        position = speaker.start()
        for turn in turns:
            if turn.role == "assistant":
                marked = speaker.read(position, [speaker.codec.speaker("assistant")])
                words = speaker.codec.words(turn.text)
                total -= speaker.log_probs_given(marked, [words])[0]
                count += len(words) + 1
            position = speaker.read(position, speaker.codec.turn(turn))
    assert nats(speaker, conversations) == pytest.approx(total / count, rel=1e-4)


def test_replies_are_the_assistants_turns_after_the_first() -> None:
    conversations = read_conversations(world(2, seed=3)).all
    assert reply_positions(conversations) == [(n, k) for n in range(2) for k in (1, 3, 5)]
    assert reply_positions([[Turn("assistant", "a"), Turn("user", "b")]]) == []


def test_the_chatbot_talks_with_itself(model: Chatbot) -> None:
    talks = simulate(model._speaker, [Turn("user", "Hi, I am Ada."), Turn("user", "Hi.")], turns=8)
    assert [len(turns) for turns in talks] == [8, 8]
    assert [turn.role for turn in talks[0]] == ["user", "assistant"] * 4


def test_some_replies_stand_for_all(model: Chatbot) -> None:
    conversations = read_conversations(world(3, seed=3)).all
    result = evaluate(model._speaker, model.baseline, conversations, ("a note",), replies=4, talks=1)
    assert result.replies == 4 and result.notes[0] == "a note"
    assert result.scores.keys() == result.baselines["retrieval"].keys() == result.metrics().keys()
    assert evaluate(model._speaker, None, conversations, replies=4, talks=0).baselines == {}
