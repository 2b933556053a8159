"""Conversations with a chatbot: what it remembers, why it replied, saved and continued."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.text.conversations import Turn
from elman.errors import ArtifactError, DataError, NotFinite, UsageError
from elman.tasks import Chatbot
from elman.tasks.chat.speaker import SILENCE
from pooling import check_pool, events
from toy_language import COLOURS, SMALL_BOT, world


def talk(model: Chatbot, *texts: str, **options: Any) -> list[str]:
    stream = model.stream(**options)
    replies = []
    for text in texts:
        stream.push(text)
        replies.append(stream.result())
    return replies


def test_replies_remember_the_colour(model: Chatbot) -> None:
    assert talk(model, "Hi, I am Cleo.", "What colour has coal?", "Do you like it?") == [
        "Hello, Cleo!",
        "It is black.",
        "Yes, black is nice.",
    ]


def test_why_points_at_the_colour(model: Chatbot) -> None:
    stream = model.stream()
    with pytest.raises(UsageError, match="no reply"):
        stream.why()
    for text in ("Hi, I am Cleo.", "What colour has coal?", "Do you like it?"):
        stream.push(text)
        stream.result()
    weights = stream.why()
    words = " ".join(word for word, _ in weights)
    assert words.startswith("Hi, I am Cleo. Hello, Cleo!") and words.endswith("like it?")
    assert all(weight >= 0 for _, weight in weights) and sum(w for _, w in weights) <= 1 + 1e-6
    top = [word for word, _ in sorted(weights, key=lambda item: -item[1])[:6]]
    assert {"black.", "coal?"} & set(top)
    before = stream.turns
    assert stream.why() == weights and stream.turns == before


def test_a_saved_conversation_continues(model: Chatbot, tmp_path: Path) -> None:
    stream = model.stream()
    stream.push("Hi, I am Bert.")
    stream.result()
    stream.save(tmp_path / "talk.jsonl")
    again = model.stream()
    again.load(tmp_path / "talk.jsonl")
    assert again.turns == stream.turns == [Turn("user", "Hi, I am Bert."), Turn("assistant", "Hello, Bert!")]
    again.push("What colour has grass?")
    assert again.result() == "It is green."
    again.reset()
    assert again.turns == []
    again.save(tmp_path / "none.jsonl")
    again.load(tmp_path / "none.jsonl")
    assert again.turns == []
    (tmp_path / "bad.jsonl").write_text("{")
    for name in ("bad.jsonl", "missing.jsonl"):
        with pytest.raises(ArtifactError, match=name):
            again.load(tmp_path / name)


def test_any_saved_conversation_loads_and_continues_alike(model: Chatbot, tmp_path: Path) -> None:
    stream, file = model.stream(seed=5), tmp_path / "s.jsonl"
    for text in ("Hi,", "I am Ada.", "東京 \x07 a\tb", "x"):
        stream.push(text)
        if text != "Hi,":  # two turns of one speaker become one
            stream.result()
        stream.save(file)
        again = model.stream(seed=5)
        again.load(file)
        assert again.turns == stream.turns
    again.push("Do you like it?")
    stream.push("Do you like it?")
    assert again.candidates() == stream.candidates() == stream.candidates()
    (tmp_path / "new.jsonl").write_text("")
    again.load(tmp_path / "new.jsonl")
    assert again.turns == []
    (tmp_path / "more.jsonl").write_text('{"messages": [], "title": "mine"}')
    with pytest.raises(ArtifactError, match="no conversation"):
        again.load(tmp_path / "more.jsonl")


def test_a_reply_is_no_silence_and_no_line_end() -> None:
    stream = Chatbot.fit(world(12), **SMALL_BOT).stream()
    for _ in range(6):
        stream.push("Hi.")
        reply = stream.result()
        assert reply.strip() and (reply == SILENCE or all(ord(c) >= 32 for c in reply))


def test_the_state_does_not_grow(model: Chatbot) -> None:
    stream = model.stream()
    for _ in range(20):
        stream.push("Do you like it?")
        stream.result()
    assert stream._position.state is not None
    sizes = [sum(part.size for part in layer) for layer in stream._position.state]
    assert sizes == [2 * 64] and len(stream._recent) <= 8


def test_falls_back_on_training_replies(model: Chatbot) -> None:
    text = "What colour has snow on coal?"
    assert talk(model, text, fallback=1.0 + 1e-9)[0] in [f"It is {c}." for c in COLOURS.values()]
    assert talk(model, text, fallback=1e9) == talk(model, text)
    for wrong in (0, -1.0, "x"):
        with pytest.raises(UsageError, match="fallback"):
            model.stream(fallback=wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="seed"):
        model.stream(seed=-1)


def test_only_texts_are_pushed(model: Chatbot) -> None:
    with pytest.raises(UsageError, match="not bytes"):
        model.stream().push(b"Hi.")  # type: ignore[arg-type]


# ---- many at once

TEXTS = st.sampled_from(["Hi, I am Cleo.", "What colour has coal?", "Do you like it?", "", "zz zz"])


@settings(max_examples=6, deadline=None)
@given(drawn=events(TEXTS, 3, ("result",)))
def test_conversations_in_a_pool_are_conversations(model: Chatbot, drawn: list[Any]) -> None:
    check_pool(model.pool(3), model.stream, [{}, {"seed": 1}, {"fallback": 1.5}], drawn)


def test_a_saved_conversation_continues_in_a_pool(model: Chatbot, tmp_path: Path) -> None:
    pool, alone = model.pool(2), model.stream()
    one, other = pool.open(), pool.open()
    pool.push({one: "Hi, I am Bert."})
    pool.result([one])
    one.save(tmp_path / "talk.jsonl")
    for stream in (other, alone):
        stream.load(tmp_path / "talk.jsonl")
    pool.push({other: "What colour has grass?"})
    alone.push("What colour has grass?")
    assert pool.result([other, one]).done[other] == alone.result() == "It is green."


def test_a_conversation_whose_state_becomes_nan_begins_anew_alone(model: Chatbot) -> None:
    network = copy.deepcopy(model.network)
    bad = {*model.codec.words("coal")} - {*model.codec.words("snow")}
    with torch.no_grad():
        network.embedding.weight[[*bad]] = torch.nan
    pool = dataclasses.replace(model, network=network).pool(2)
    one, other = pool.open(), pool.open()
    answers = pool.push({one: "coal coal", other: "snow snow"})  # a turn's last token is read later
    assert answers.done == {other: None} and isinstance(answers.failed[one], NotFinite)
    assert one.turns == [] and len(other.turns) == 1


def test_turns_of_several_conversations_are_read_together(model: Chatbot) -> None:
    turns = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Good day."}]
    pool, alone = model.pool(3), model.stream()
    a, b, c = pool.open(), pool.open(), pool.open()
    alone.tell([*turns, turns[0]])
    answers = pool.tell({a: [*turns, turns[0]], b: turns, c: [3]})
    assert set(answers.done) == {a, b} and isinstance(answers.failed[c], DataError)
    assert pool.result([a]).done[a] == alone.result() and a.turns == alone.turns
    assert b.num_tokens("Hello! Good day.") == b.num_tokens("Hello!") + b.num_tokens("Good day.")
