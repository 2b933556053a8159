"""A chatbot of a small world, where a reply may depend on a turn before the last."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import elman
import mutants
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks import Chatbot
from toy_language import SMALL_BOT, world

pytestmark = pytest.mark.usefixtures("short_talks")


def test_a_trained_chatbot_beats_retrieval(model: Chatbot) -> None:
    ours, plain = model.validation.scores, model.validation.baseline
    assert plain is not None and model.validation.baselines["retrieval"] == plain
    assert ours["hits"] is not None and plain["hits"] is not None
    assert ours["hits"] > 0.9 and ours["hits"] > plain["hits"]
    assert ours["perplexity"] is not None and ours["perplexity"] < 1.5 and plain["perplexity"] is None


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
    ("data", "count", "message"),
    [
        (["a", 3], 1, "text 1 must be a string"),
        ("a", 0, "count"),
        ("  ", 1, "empty"),
        ("\ud800", 1, "surrogate"),
        ([{"role": "user"}], 1, "content"),
        ([{"role": "User", "content": "a"}], 1, "role"),
        ([{"role": "assistant", "content": "a"}], 1, "last turn"),
        (5, 1, "not int"),
        ({"role": "user"}, 1, "content"),
    ],
)
def test_wrong_predictions(model: Chatbot, data: Any, count: int, message: str) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        model.predict(data, count)


@pytest.mark.parametrize("text", ["東京🙂", "x" * 5000, "a\0b", "hello " * 500, "<unk>"])
def test_odd_texts_get_a_reply(model: Chatbot, text: str) -> None:
    assert isinstance(model.predict(text), str)


def test_every_line_has_an_answer(model: Chatbot, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("Hi, I am Ada.\n\nHi, I am Bert.\n")
    lines = [str(answer) for answer in model.answers(tmp_path / "t")]
    assert lines == [model.predict("Hi, I am Ada."), "", model.predict("Hi, I am Bert.")]
    replies = [answer.to_dict()["replies"] for answer in model.answers(tmp_path / "t", count=2)]
    assert replies[1] == [] and 1 <= len(replies[0]) <= 2
    with pytest.raises(UsageError, match="model needs input"):
        next(model.answers(None))


def test_saved_model_replies_the_same(model: Chatbot, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert isinstance(again, Chatbot)
    assert again.predict("Hi, I am Ada.", 3) == model.predict("Hi, I am Ada.", 3)
    assert again.validation == model.validation
    card = (tmp_path / "m" / "README.md").read_text()
    assert str(model.validation) in card and f"nearest of {len(model.pairs[0])} training texts" in card
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["elman"]["settings"]["hidden"] = 50
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match="don't fit"):
        elman.load(tmp_path / "m")


def hostile(model: Chatbot, folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    model.save(folder)
    files = mutants.read(folder)
    tensors = safetensors.torch.load(files["model.safetensors"])
    change(tensors)
    mutants.write(files | {"model.safetensors": safetensors.torch.save(tensors)}, folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank_weights", torch.ones(2)),
        ("rank_weights", torch.ones(3, dtype=torch.int64)),
        ("rank_weights", torch.tensor([1.0, float("nan"), 1.0])),
        ("ranker.scale", torch.tensor([float("inf")])),
        ("ranker.reply.bias", torch.zeros(3)),
        ("ranker.another", torch.zeros(3)),
        ("ranker.reply.bias", None),
        ("rank_weights", None),
    ],
)
def test_a_hostile_ranker_is_refused(
    model: Chatbot, tmp_path: Path, name: str, value: torch.Tensor | None
) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value

    hostile(model, tmp_path / "m", change)
    with pytest.raises(ArtifactError, match="rank"):
        elman.load(tmp_path / "m")


def test_wild_weights_of_a_ranker_still_reply(model: Chatbot, tmp_path: Path) -> None:
    hostile(model, tmp_path / "m", lambda tensors: tensors["ranker.scale"].fill_(1e11))
    assert isinstance(elman.load(tmp_path / "m").predict("Hi, I am Ada."), str)


def test_a_model_without_a_ranker_chooses_by_the_language_model(model: Chatbot, tmp_path: Path) -> None:
    bare = replace(model, encoder=None, rank_weights=None, settings=replace(model.settings, ranker_units=0))
    assert bare._speaker.ranker is None and "ranker" not in bare.card().network
    bare.save(tmp_path / "m")
    assert elman.load(tmp_path / "m").predict("Hi, I am Ada.", 3) == bare.predict("Hi, I am Ada.", 3)
    evaluation = bare.evaluate(world(2, seed=4))
    assert list(evaluation.baselines) == ["retrieval"] and evaluation.scores["retrieved"] is None


def test_without_the_pairs_there_is_no_baseline() -> None:
    model = Chatbot.fit(world(12), keep_baseline=False, **SMALL_BOT)
    assert model.pairs == ([], []) and model.baseline is None
    assert model.validation.baseline is not None
    assert model.evaluate(world(2, seed=4)).baseline is None
    with pytest.raises(UsageError, match="without pairs"):
        model.stream(fallback=3.0)


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (world(1), {}, "1 conversation"),
        (world(3), {"top_p": 0}, "top_p"),
        (world(3), {"num_samples": 0}, "num_samples"),
        (world(3), {"repetition_penalty": -1}, "repetition_penalty"),
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
def test_wrong_data_and_settings(data: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        Chatbot.fit(data, progress=False, **settings)


def test_conversations_without_a_reply_have_no_score(model: Chatbot) -> None:
    with pytest.raises(DataError, match="no turn of the assistant"):
        model.evaluate([[{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]])
