"""bench/quality_chat.py on a small world: a model in a folder is trained once and scored again."""

import json
from functools import partial
from pathlib import Path

import pytest

from elman.tasks.chat import chatbot, train
from elman.tasks.chat.chatbot import Chatbot
from elman.tasks.chat.judge import evaluate
from toy_language import SMALL_BOT, world

BENCH = Path(__file__).parents[2] / "bench"


def test_a_model_in_a_folder_is_scored_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    import quality_chat

    turns = [[turn["content"] for turn in conversation] for conversation in world(30)]
    file = tmp_path / "chat" / "dailydialog" / "dailydialog.jsonl"
    file.parent.mkdir(parents=True)
    splits = ["train"] * 20 + ["validation"] * 5 + ["test"] * 4
    new = {"split": "test", "turns": ["Is this one new?", "Yes, all of it."]}
    rows = [{"split": split, "turns": talk} for split, talk in zip(splits, turns, strict=False)]
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, new]))
    monkeypatch.setenv("ELMAN_DATA", str(tmp_path))
    monkeypatch.setattr(quality_chat, "PROMPTS", ("Hello!", "Thank you."))
    folder = str(tmp_path / "bot")
    monkeypatch.setattr(chatbot, "evaluate", partial(evaluate, replies=5, talks=0))
    monkeypatch.setattr(train, "VALIDATION", {"replies": 5, "talks": 0})
    first = quality_chat.dialog(folder=folder, **SMALL_BOT)
    assert first["strict dialogues"] == 2 and first["strict"]["scores"].keys() >= {"hits", "retrieved"}

    def fit(*_: object, **__: object) -> Chatbot:
        raise AssertionError("trained again")

    monkeypatch.setattr(Chatbot, "fit", fit)
    quality_chat.main("dialog", folder)
    line, *table = capsys.readouterr().out.splitlines()
    again = json.loads(line)
    assert {key: again[key] for key in ("replies", "strict")} == {
        key: first[key] for key in ("replies", "strict")
    }
    assert len(table) == 2 and table[0].startswith("| Hello! | ")
    with pytest.raises(SystemExit, match="no figure 'small_talk' of a model"):
        quality_chat.main("small_talk", folder)
