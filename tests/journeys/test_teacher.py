"""A teacher shows a class what a recurrent network does: by word, by picture, by page."""

import re
from pathlib import Path

import pytest

import elman
from command_line import Call
from elman.demo.sentences import examples


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "movies"
    model = elman.Classifier.fit(
        examples(400), epochs=2, hidden=16, networks=1, stream=True, seed=0, progress=False
    )
    model.save(folder)
    return folder


def test_word_by_word(model: Path) -> None:
    stream = elman.load(model).stream()
    seen = []
    for word in ("the", "movie", "was", "not", "good"):
        stream.push(word + " ")
        seen.append(stream.result())
    assert len(seen) == 5


def test_a_page_that_shows_the_inside(model: Path, call: Call) -> None:
    code, out, err = call("look", str(model), "the movie was not good", "-o", "inside.html")
    assert code == 0, err
    page = Path("inside.html").read_text()
    assert "not" in out and "prefers-color-scheme" in page
    assert not re.search(r"<script|https?://(?!www\.w3\.org)[^\s\"<]+\.(?:js|css)", page)


def test_the_lesson_and_the_demo_are_there(call: Call) -> None:
    code, out, _ = call("lesson", "--help")
    assert code == 0 and "vanishing" in out.lower()
    code, out, _ = call("demo", "--help")
    assert code == 0
    for part in ("sentiment", "translation", "speech", "memory"):
        assert part in out.lower()
