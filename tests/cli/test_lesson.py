"""`elman lesson`: what it shows, where its pictures lie, and what it says to wrong calls."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import Run
from elman.lesson import pages

PAGE = "# Page {0}\n\nProse *here*.\n\n"
PAGE += "```python\nopen('p{0}.svg', 'w').close()\nx = {0}\nprint('[bold]', x)\n```\n\n"
PAGE += "```text\nan earlier run\n```\n\n![What it shows](p{0}.svg)\n"


@pytest.fixture(autouse=True)
def two_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lesson-pages"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"{number}-page.md").write_text(PAGE.format(number))
    monkeypatch.setattr(pages, "FOLDER", folder)


def test_pages_code_output_and_pictures(run: Run) -> None:
    done = run("lesson --output pictures")
    assert done.code == 0
    assert "Prose here." in done.out
    assert "print('[bold]', x)" in done.out
    for number in (1, 2):
        assert f" {number}. Page {number} " in done.out
        assert f"\n[bold] {number}\n" in done.out
        assert f"Picture: pictures/p{number}.svg\nWhat it shows\n" in done.out
        assert Path(f"pictures/p{number}.svg").exists()
    assert "earlier" not in done.out
    assert done.out.endswith("The pictures are in pictures\n")


def test_one_page_with_its_pictures_in_a_folder_of_their_own(run: Run) -> None:
    done = run("lesson 2")
    assert "1. Page 1" not in done.out
    folder = Path(done.out.splitlines()[-1].removeprefix("The pictures are in "))
    assert [file.name for file in folder.iterdir()] == ["p2.svg"]
    (folder / "p2.svg").unlink()
    folder.rmdir()


def test_json(run: Run) -> None:
    first, second = json.loads(run("lesson --json --output a/b").out)["pages"]
    seconds = first.pop("seconds")
    assert 0 <= seconds < 10
    assert first == {
        "page": 1,
        "name": "1-page",
        "title": "Page 1",
        "printed": ["[bold] 1\n"],
        "figures": {"x": 1},
        "pictures": ["a/b/p1.svg"],
    }
    assert second["figures"] == {"x": 2}
    before = sorted(Path().iterdir())
    assert "pictures" not in json.loads(run("lesson 1 --json").out)["pages"][0]
    assert sorted(Path().iterdir()) == before


def test_enter_goes_on_in_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pressed: list[str] = []
    monkeypatch.setattr("rich.console.Console.input", lambda self, prompt: pressed.append(prompt))
    run("lesson --output p")
    assert pressed == []  # piped

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    run("lesson --output p")
    assert len(pressed) == 2


def test_wrong_calls(refused: Callable[..., None], tmp_path: Path) -> None:
    refused("lesson 3", "the lesson has pages 1 to 2, and no page 3")
    refused("lesson one", "Invalid value for")
    Path("file").write_text("")
    refused("lesson --output file", "file can't be written")
    refused("lesson --output file/folder", "can't be written")
