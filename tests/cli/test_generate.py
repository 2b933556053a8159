"""Language models from the command line."""

import json
import sys
from pathlib import Path

import pytest

from command_line import Call
from elman import cli

TEXT = "they love deep learning.\n" * 100
TRAIN = "train generate text.txt --save m --tokens character --hidden 16 --epochs 1 --json"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts, and a model of one."""
    folder = tmp_path_factory.mktemp("language")
    (folder / "text.txt").write_text(TEXT)
    (folder / "other.txt").write_text(TEXT[:500])
    (folder / "latin.txt").write_bytes("café ".encode("latin-1") * 100)
    (folder / "empty.txt").write_text(" \n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["elman", *TRAIN.split(), "--set", "steps=16", "--set", "embedding=8"])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert not end.value.code
    return folder


@pytest.fixture
def run(call: Call, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`elman ...` in the folder of the texts and the model."""
    monkeypatch.chdir(trained)
    return call


def test_text_as_it_comes(run: Call) -> None:
    code, out, _ = run("generate", "m", "they", "--length", "40", "--seed", "1")
    assert code == 0 and 1 < len(out) <= 41
    piped = run("generate", "m", "-", "--length", "40", "--seed", "1", stdin=b"they")
    assert piped == (0, out, "")
    broken = run("generate", "m", "-", "--length", "5", stdin=b"\xff\xfe\x00")
    assert broken[0] == 0


def test_next_words_of_lines(run: Call) -> None:
    code, out, _ = run("predict", "m", "-", "--json", stdin="they love\n\ncaf\xe9 \U0001f600\n")
    rows = [json.loads(line)["next"] for line in out.splitlines()]
    assert code == 0 and len(rows) == 3
    assert all(0 <= word["probability"] <= 1 for row in rows for word in row)
    assert run("predict", "m", "love " * 100)[0] == 0  # longer than a file's name may be
    code, out, _ = run("predict", "m", "other.txt")
    assert code == 0 and len(out.splitlines()) == 20


def test_scores_of_another_text(run: Call) -> None:
    for options in ([], ["--adapt"]):
        code, out, _ = run("evaluate", "m", "other.txt", *options)
        assert code == 0 and "7-gram" in out and "bits per character" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("train generate nope.txt", "nope.txt does not exist"),
        ("train generate latin.txt", "is not UTF-8"),
        ("train generate empty.txt", "empty.txt is empty"),
        ("train generate other.txt --tokens letters", "tokens"),
        ("train generate other.txt --set temperature=1", "temperature"),
        ("train generate other.txt --save m", "already holds a model"),
        ("generate m --temperature -1", "temperature"),
        ("generate m --top-p 0", "top_p"),
        ("generate m --length -1", "length"),
        ("generate m --seed 99999999999999999999", "seed"),
        ("generate nope", "there is no model at"),
        ("evaluate m latin.txt", "is not UTF-8"),
        ("evaluate m other.txt --label x", "--label is of no use to a model for 'generate'"),
        ("evaluate m other.txt --backtest 2", "--backtest is for forecasts"),
        ("predict m", "needs a text"),
        ("predict m text --plot x.png", "plot"),
    ],
)
def test_wrong_calls(run: Call, arguments: str, sentence: str) -> None:
    code, out, err = run(*arguments.split())
    assert code in (1, 2) and out == "", err
    assert sentence in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
