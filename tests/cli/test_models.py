"""`elman models`: the list, a card, and what other commands make of the names in it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import Run
from elman import pretrained

MODELS = pretrained.all_models()


def test_the_table_and_its_json_hold_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    table, listed = run("models"), json.loads(run("models --json").out)
    assert table.code == 0
    assert [one["name"] for one in listed] == [model.name for model in MODELS]
    for model, record in zip(MODELS, listed, strict=True):
        (row,) = [line for line in table.out.splitlines() if line.strip().startswith(model.name)]
        size = f"{record['bytes'] / 1e6:.2f} MB"
        assert all(text in row for text in (record["about"], str(model.score), size, record["licence"]))
        assert record["score"]["value"] == model.score.value


def test_a_narrow_terminal_keeps_names_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = run("models").out.splitlines()
    assert all(any(model.name in line for line in lines) for model in MODELS)


@pytest.mark.parametrize("name", ["sentiment", "elman:sentiment"])
def test_a_card(run: Run, name: str) -> None:
    card = run(f"models {name}").out
    assert card.startswith("# elman:sentiment\n")
    assert "C.J. Hutto" in card
    record = json.loads(run(f"models {name} --json").out)
    assert (record["card"].strip(), record["name"]) == (card.strip(), "elman:sentiment")


def test_a_wrong_name(run: Run) -> None:
    done = run("models sentence")
    assert (done.code, done.out) == (2, "")
    assert "there is no model 'elman:sentence': there are elman:sentiment, " in done.err


def test_no_package(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "SOURCE", tmp_path)
    monkeypatch.setattr(pretrained, "PACKAGE", "elman_models_of_nobody")
    for call in ("models", "models sentiment", "predict elman:sentiment good"):
        done = run(call)
        assert (done.code, done.out) == (2, "")
        assert "run pip install ./models in a clone of elman" in done.err


def test_other_commands_take_the_names(run: Run, tmp_path: Path) -> None:
    assert run("predict elman:sentiment 'The movie was not good'").out.startswith("negative")
    (tmp_path / "test.csv").write_text("text,label\nI love it,positive\nI hate it,negative\n")
    assert json.loads(run("evaluate elman:sentiment test.csv --json").out)["scores"]["accuracy"] == 1.0
    assert run("look elman:sentiment 'not good' -o look.html").code == 0
    assert run("export elman:sentiment -o model.onnx").code == 0


@pytest.mark.parametrize(
    "line",
    [
        "train classify test.csv --save elman:mine",
        "tune classify test.csv --minutes 1 --save elman:mine",
        "predict elman:sentiment good -o elman:mine",
        "evaluate elman:sentiment test.csv -o elman:mine.csv",
        "export elman:sentiment -o elman:mine.onnx",
        "look elman:sentiment good -o elman:mine.html",
        "look elman:sentiment good --pictures elman:mine",
    ],
)
def test_nothing_is_written_to_a_name(refused: Callable[..., None], tmp_path: Path, line: str) -> None:
    (tmp_path / "test.csv").write_text("text,label\n" + "good,a\nbad,b\n" * 10)
    refused(line, "can't be written: elman: begins the names of models that come with elman; name a f")


def test_nothing_is_written_into_the_folder_of_one(refused: Callable[..., None]) -> None:
    inside = MODELS[0].folder / "answers.txt"
    refused(f"predict {MODELS[0].name} good -o '{inside}'", "lies in the folder of the model")
    assert not inside.exists()
