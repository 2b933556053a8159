"""What the lens sees of a chatbot: the log-probability of its reply, given the conversation."""

from pathlib import Path

import pytest

from elman import Chatbot, DataError, lens


def test_scores_are_the_log_probabilities_of_replies(model: Chatbot) -> None:
    view = model.view("Hi, I am Ada.")
    (answer,) = view.answers
    assert answer == model.predict("Hi, I am Ada.")
    assert view.score is not None and view.last is not None
    result = view.module(*view.input)
    score, last = float(view.score(result).detach()), float(view.last(result).detach())
    stream = model.stream()
    stream.push("Hi, I am Ada.")
    ids = model.codec.words(answer)
    position = stream._speaker.read(stream._position, [model.codec.speaker("assistant")])
    expected = stream._speaker.log_probs_given(position, [ids])[0]  # the end of the reply with it
    assert expected - 1e-3 <= score <= last <= 0
    labels = view.labels_of("layers.0 l0")[0]
    assert labels[:2] == ("(start)", "user:") and len(labels) == len(view.input[0])
    assert lens.memory_horizon(view).unit == "tokens"


def test_several_turns(model: Chatbot) -> None:
    messages = [
        {"role": "user", "content": "Hi, I am Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": "What colour has snow?"},
    ]
    assert model.view(messages).labels_of("")[0].count("user:") == 2


def test_nothing_to_reply_to(model: Chatbot) -> None:
    with pytest.raises(DataError):
        model.view("")


def test_a_saved_conversation(model: Chatbot, tmp_path: Path) -> None:
    stream = model.stream()
    stream.push("Hi, I am Ada.")
    stream.result()
    stream.save(tmp_path / "talk.jsonl")
    assert model.view(tmp_path / "talk.jsonl").answers == (model.predict("Hi, I am Ada."),)
