"""A chatbot of a small made-up world, where a reply may depend on what was said before the last turn."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

import elman
from elman.data.text.conversations import Turn
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks import Chatbot
from elman.tasks.chat.codec import END, Codec
from elman.tasks.chat.judge import asked, nats, simulated
from elman.tasks.chat.speaker import SILENCE, joined, repeated

COLOURS = {"roses": "red", "grass": "green", "snow": "white", "coal": "black"}
NAMES = ("Ada", "Bert", "Cleo", "Dora")


def world(count: int = 160, seed: int = 0) -> list[list[dict[str, str]]]:
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        thing, name = rng.choice(list(COLOURS)), rng.choice(NAMES)
        said = [
            f"Hi, I am {name}.",
            f"Hello, {name}!",
            f"What colour has {thing}?",
            f"It is {COLOURS[thing]}.",
            "Do you like it?",
            f"Yes, {COLOURS[thing]} is nice.",
        ]
        found.append([{"role": ("user", "assistant")[k % 2], "content": text} for k, text in enumerate(said)])
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Chatbot:
    return Chatbot.fit(
        world(),
        valid=world(12, seed=1),
        folder=tmp_path_factory.mktemp("runs") / "c",
        progress=False,
        vocabulary=500,
        hidden=64,
        embedding=32,
        steps=64,
        batch_size=8,
        dropout=0.0,
        weight_dropout=0.0,
        epochs=30,
        patience=30,
        learning_rate=5e-3,
        drawn=4,
        width=2,
        novelty=0.0,
        surprise=0.0,
        temperature=0.3,
    )


def talk(model: Chatbot, *texts: str, **options: Any) -> list[str]:
    stream = model.stream(**options)
    found = []
    for text in texts:
        stream.push(text)
        found.append(stream.result())
    return found


def test_replies_to_what_was_said_and_remembers_the_colour(model: Chatbot) -> None:
    assert talk(model, "Hi, I am Cleo.", "What colour has coal?", "Do you like it?") == [
        "Hello, Cleo!",
        "It is black.",
        "Yes, black is nice.",
    ]
    assert model.validation.scores.hits > 0.9
    assert model.validation.baseline is not None
    assert model.validation.scores.hits > model.validation.baseline.hits
    assert model.validation.scores.perplexity is not None and model.validation.scores.perplexity < 1.5


def test_predict_takes_a_text_texts_or_a_conversation(model: Chatbot) -> None:
    text = "Hi, I am Ada."
    assert model.predict(text) == "Hello, Ada!" == "".join(model.generate(text))
    assert model.predict([text, text]) == [model.predict(text)] * 2
    conversation = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi, I am Dora."},
        {"role": "assistant", "content": "Hello, Dora!"},
        {"role": "user", "content": "What colour has snow?"},
    ]
    assert model.predict(conversation) == "It is white."
    best = model.predict(text, count=3)
    assert best[0][0] == model.predict(text) and all(score <= 0 for _, score in best)


@pytest.mark.parametrize(
    ("texts", "count", "said"),
    [
        (["a", 3], 1, "text 1 to reply to"),
        ("a", 0, "count"),
        ("  ", 1, "empty"),
        ("\ud800", 1, "surrogate"),
        ([{"role": "user"}], 1, "content"),
        ([{"role": "User", "content": "a"}], 1, "role"),
        ([{"role": "assistant", "content": "a"}], 1, "last turn"),
        (5, 1, "not to int"),
        ({"role": "user"}, 1, "content"),
    ],
)
def test_what_cannot_be_replied_to_is_said(model: Chatbot, texts: Any, count: int, said: str) -> None:
    with pytest.raises((UsageError, DataError), match=said):
        model.predict(texts, count)


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
    top = [word for word, _ in sorted(weights, key=lambda one: -one[1])[:6]]
    assert {"black.", "coal?"} & set(top)
    before = stream.turns
    assert stream.why() == weights and stream.turns == before


def test_a_saved_conversation_goes_on(model: Chatbot, tmp_path: Path) -> None:
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


def test_whatever_is_saved_can_be_loaded_and_goes_on_alike(model: Chatbot, tmp_path: Path) -> None:
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
    small = {"vocabulary": 300, "hidden": 8, "embedding": 8, "epochs": 1, "longest": 8}
    model = Chatbot.fit(world(12), progress=False, **small)
    stream = model.stream()
    for _ in range(6):
        stream.push("Hi.")
        reply = stream.result()
        assert reply.strip() and (reply == SILENCE or all(ord(c) >= 32 for c in reply))


def test_the_state_does_not_grow(model: Chatbot) -> None:
    stream = model.stream()
    for _ in range(20):
        stream.push("Do you like it?")
        stream.result()
    sizes = [sum(part.numel() for part in layer) for layer in stream._place.state]
    assert sizes == [2 * 64] and len(stream._heard) <= 8


def test_reading_in_pieces_or_together_is_the_same(model: Chatbot) -> None:
    speaker = model._speaker
    ids = [speaker.codec.turn(Turn("user", text)) for text in ("Hi, I am Ada.", "Do you like it?")]
    places = [speaker.read(speaker.start(), one) for one in ids]
    both = joined(places)
    assert both.last.tolist() == [one[-1] for one in ids]
    step = speaker.read(speaker.read(speaker.start(), ids[0][:3]), ids[0][3:])
    torch.testing.assert_close(step.state[0][0], both.state[0][0][:, :1], atol=1e-6, rtol=1e-5)
    words = [speaker.codec.words("Yes, red is nice."), speaker.codec.words("It is red.")]
    together = speaker.judged(both, words)
    alone = [speaker.judged(place, [one])[0] for place, one in zip(places, words, strict=True)]
    assert together == pytest.approx(alone, rel=1e-4)
    assert repeated(both, 2).last.tolist() == [ids[0][-1]] * 2 + [ids[1][-1]] * 2


def test_judged_is_what_the_search_scores(model: Chatbot) -> None:
    speaker = model._speaker
    place = speaker.read(
        speaker.start(),
        [*speaker.codec.turn(Turn("user", "Hi, I am Ada.")), speaker.codec.speaker("assistant")],
    )
    (found,) = speaker.replies(place, [[]], torch.Generator().manual_seed(0))
    judged = speaker.judged(repeated(place, len(found)), [list(reply.ids) for reply in found])
    for reply, total in zip(found, judged, strict=True):
        assert reply.score == pytest.approx(total / (len(reply.ids) + 1), rel=1e-3, abs=1e-4)


def test_nats_are_of_the_assistants_tokens_alone(model: Chatbot) -> None:
    speaker = model._speaker
    from elman.data.text.conversations import read_conversations

    conversations = read_conversations(world(2, seed=3)).all
    total, count = 0.0, 0
    start = speaker.start()
    for turns in conversations:
        for turn in turns:
            if turn.role == "assistant":
                place = speaker.read(start, [speaker.codec.speaker("assistant")])
                words = speaker.codec.words(turn.text)
                total -= speaker.judged(place, [words])[0]
                count += len(words) + 1
            start = speaker.read(start, speaker.codec.turn(turn))
        start = speaker.start()
    assert nats(speaker, conversations) == pytest.approx(total / count, rel=1e-4)
    assert asked(conversations) == [(n, k) for n in range(2) for k in (1, 3, 5)]


def test_falls_back_on_what_was_once_replied(model: Chatbot) -> None:
    text = "What colour has snow on coal?"
    assert talk(model, text, fallback=1.0 + 1e-9)[0] in [f"It is {c}." for c in COLOURS.values()]
    assert talk(model, text, fallback=1e9) == talk(model, text)
    for wrong in (0, -1.0, "x"):
        with pytest.raises(UsageError, match="fallback"):
            model.stream(fallback=wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="seed"):
        model.stream(seed=-1)


def test_does_not_say_the_same_again_and_again(model: Chatbot) -> None:
    talks = simulated(model._speaker, [Turn("user", "Hi, I am Ada."), Turn("user", "Hi.")], turns=8)
    assert [len(one) for one in talks] == [8, 8]
    assert [turn.role for turn in talks[0]] == ["user", "assistant"] * 4


def test_saved_model_replies_the_same(model: Chatbot, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert isinstance(again, Chatbot)
    assert again.predict("Hi, I am Ada.", 3) == model.predict("Hi, I am Ada.", 3)
    assert again.validation == model.validation
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["elman"]["settings"]["hidden"] = 50
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match="don't fit"):
        elman.load(tmp_path / "m")


@pytest.mark.parametrize("text", ["東京🙂", "x" * 5000, "a\0b", "hello " * 500, "<unk>"])
def test_odd_texts_get_a_reply(model: Chatbot, text: str) -> None:
    assert isinstance(model.predict(text), str)


@pytest.mark.parametrize(
    ("data", "settings", "said"),
    [
        (world(3), {}, "3 conversations"),
        (world(3), {"top_p": 0}, "top_p"),
        (world(3), {"drawn": 0}, "drawn"),
        (world(3), {"novelty": -1}, "novelty"),
        (world(3), {"cell": "x"}, "cell"),
        (world(3), {"vocabulary": 20_000}, "from 258 to"),
        (
            world(12),
            {"valid": [[{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]]},
            "no turn of the assistant",
        ),
        (
            [[{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]] * 12,
            {"valid": world(2)},
            "no turn of the assistant",
        ),
    ],
)
def test_what_cannot_be_is_said(data: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises((UsageError, DataError), match=said):
        Chatbot.fit(data, progress=False, **settings)


def test_without_the_pairs_there_is_no_baseline() -> None:
    small = {"vocabulary": 300, "hidden": 8, "embedding": 8, "epochs": 1, "longest": 8}
    model = Chatbot.fit(world(12), progress=False, keep_baseline=False, **small)
    assert model.pairs == ([], []) and model.evaluate(world(2, seed=4)).baseline is None
    with pytest.raises(UsageError, match="without pairs"):
        model.stream(fallback=3.0)


def test_every_line_has_an_answer(model: Chatbot, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("Hi, I am Ada.\n\nHi, I am Bert.\n")
    lines = list(model.report(tmp_path / "t"))
    assert lines == [model.predict("Hi, I am Ada."), "", model.predict("Hi, I am Bert.")]
    found = [json.loads(line)["replies"] for line in model.report(tmp_path / "t", as_json=True, count=2)]
    assert found[1] == [] and 1 <= len(found[0]) <= 2


def test_codec_round_trip() -> None:
    codec = Codec.learned([[Turn("user", "hi"), Turn("assistant", "hello there")]], 300)
    ids = codec.running([[Turn("user", "hi"), Turn("assistant", "hello there")]])
    assert ids[0] == ids[-1] == END and codec.text(ids.tolist()) == "hi hello there"
    assert len(Codec.from_json(codec.to_json())) == len(codec)
    with pytest.raises(ArtifactError):
        Codec.from_json({"kind": "word", "lower": True, "words": []})
