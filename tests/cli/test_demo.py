"""`elman demo`: where it writes, and what it prints."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from command_line import Run
from elman import demo
from elman.demo.part import Part, Table, Word

PART = Part(
    title="Sentiment",
    about="Good or bad?",
    table=Table(["", "elman", "TF-IDF"], [["accuracy", ("90%", True), ("80%", False)]]),
    verdict="Better.",
    scores={},
    examples=Table(["sentence", "answer"], [["not [bold]good", "bad"]]),
    read=[[Word("not", 0.5), Word("good", 0.25)]],
    notes=["Few texts."],
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Sequence[str], bool]]:
    """A demo that takes no time, and what it was called with."""
    calls: list[tuple[Path, Sequence[str], bool]] = []

    def work(output: Path, *, only: Sequence[str], progress: bool, show: Any) -> dict[str, Any]:
        calls.append((output, only, progress))
        if show is not None:
            show(PART, 2.0)
        return {"seconds": 1.5}

    monkeypatch.setattr(demo, "run", work)
    return calls


def test_the_report_lies_here_if_not_elsewhere(run: Run, calls: list[Any]) -> None:
    assert run("demo").out.endswith("2 seconds. The report with pictures: elman-demo.html\n")
    assert "The report with pictures: a/b.html" in run("demo -o a/b.html --only talk --only sales").out
    assert calls == [(Path("elman-demo.html"), (), True), (Path("a/b.html"), ["talk", "sales"], True)]


def test_a_part_is_shown_with_its_scores_words_and_examples(run: Run, calls: list[Any]) -> None:
    out = run("demo").out
    lines = [line.strip() for line in out.splitlines()]
    assert lines[1].startswith("Sentiment (2 s) ─")
    assert "not 50% good 25%" in lines
    assert "accuracy   90%     80%" in lines
    assert "not [bold]good   bad" in lines
    assert "Better." in lines and "Few texts." in lines
    assert max(map(len, out.splitlines())) <= 80


def test_json_shows_no_progress(run: Run, calls: list[Any]) -> None:
    assert json.loads(run("demo --json").out) == {"seconds": 1.5}
    assert calls == [(Path("elman-demo.html"), (), False)]


def test_a_place_that_cannot_be_written(refused: Callable[..., None]) -> None:
    refused("demo --output nowhere/page.html", "can't be written")


def test_a_part_that_there_is_not(refused: Callable[..., None]) -> None:
    refused("demo --only talks", "did you mean 'talk'")
