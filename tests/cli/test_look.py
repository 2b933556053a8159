"""`elman look`: a report for every kind of model, and a sentence for what can't be looked at."""

import json
from pathlib import Path

import pytest

from command_line import Call
from saved_models import SAVED


@pytest.mark.parametrize(
    ("task", "data"),
    [
        ("classify", "the film was not good"),
        ("generate", "I love"),
        ("chat", "Hi, I am Ada."),
        ("forecast", ""),
    ],
)
def test_a_report(call: Call, tmp_path: Path, task: str, data: str) -> None:
    code, out, err = call("look", str(SAVED / task), *filter(None, [data]), "-o", "page.html")
    assert code == 0, err
    assert "How far back does it remember?" in out and out.endswith("pictures: page.html\n")
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_pictures_and_json(call: Call, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("the film was not good\nthe end was awful\n")
    options = ("texts.txt", "--sequence", "1", "--pictures", "drawn", "--json")
    code, out, err = call("look", str(SAVED / "classify"), *options)
    assert code == 0, err
    assert json.loads(out)["title"].endswith("(classify)")
    assert (tmp_path / "drawn" / "memory.png").exists() and (tmp_path / "elman-look.html").exists()


def test_standard_input(call: Call) -> None:
    page = ("-o", "page.html", "--json")
    given = call("look", str(SAVED / "generate"), "-", *page, stdin="I love")
    named = call("look", str(SAVED / "generate"), "I love", *page)
    assert given[0] == 0 and json.loads(given[1])["attribution"] == json.loads(named[1])["attribution"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["classify"], "needs input"),
        (["classify", "good", "-o", "look.png"], "--pictures writes pictures"),
        (["classify", "good", "-o", "missing/look.html"], "missing"),
        (["classify", "good", "--sequence", "4"], "sequence must be"),
        (["translate", "  "], "nothing to look at"),
        (["transcribe", "missing.wav"], "missing.wav"),
        (["forecast", "missing.csv"], "missing.csv"),
        (["classify", "missing.csv"], "missing.csv does not exist"),
        (["classify", "good", "--pictures", "taken"], "taken can't be written"),
    ],
)
def test_mistakes_are_sentences(call: Call, tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "taken").touch()
    code, _, err = call("look", str(SAVED / arguments[0]), *arguments[1:])
    assert code != 0 and words in err and "Traceback" not in err
    assert not list(tmp_path.glob("*.html"))
