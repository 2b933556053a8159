"""`elman demo`: where it writes, and what it prints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command_line import Run
from elman import demo


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, bool]]:
    """A demo that takes no time, and what it was called with."""
    calls: list[tuple[Path, bool]] = []

    def work(output: Path, *, progress: bool) -> dict[str, Any]:
        calls.append((output, progress))
        return {"seconds": 1.5}

    monkeypatch.setattr(demo, "run", work)
    monkeypatch.setattr(demo, "summary", lambda result: f"{result['seconds']} seconds")
    return calls


def test_the_report_lies_here_if_not_elsewhere(run: Run, calls: list[tuple[Path, bool]]) -> None:
    done = run("demo")
    assert done.out == "1.5 seconds\n\nThe report with pictures: elman-demo.html\n"
    assert "The report with pictures: a/b.html" in run("demo --output a/b.html").out
    assert calls == [(Path("elman-demo.html"), True), (Path("a/b.html"), True)]


def test_json_shows_no_progress(run: Run, calls: list[tuple[Path, bool]]) -> None:
    assert json.loads(run("demo --json").out) == {"seconds": 1.5}
    assert calls == [(Path("elman-demo.html"), False)]


def test_a_place_that_cannot_be_written(refused: Callable[..., None]) -> None:
    refused("demo --output nowhere/page.html", "can't be written")
