"""A quick run of the demo, to the page."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from elman import demo
from elman.demo.part import Part
from elman.errors import UsageError


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """On a busy machine, threads on tiny shapes wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_quick_run_writes_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    place.write_text("old")
    shown: list[Part] = []
    result = demo.run(place, progress=False, quick=True, show=lambda part, _: shown.append(part))
    page = place.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    outside = re.findall(
        r"(?:src|href)\s*=\s*[\"']?(?!#|data:)[^\"'\s>]+|url\((?!#)[^)]+\)|@import|<script", page
    )
    assert not [found for found in outside if not found.startswith(("xlink:href", 'href="#'))]
    assert page.count("<svg") == 5
    assert tuple(result["parts"]) == demo.KEYS
    for key, part in zip(demo.KEYS, shown, strict=True):
        values = result["parts"][key]
        assert f"id={key}>" in page and f'href="#{key}"' in page
        assert values["seconds"] >= 0 and values["verdict"] == part.verdict
        # a score never stands alone, and whose the data are is said
        assert len(part.table.head) > 2 or len(part.table.rows) > 2
        assert any(word in part.about for word in ("licence", "CC BY", "BSD", "domain", "generated", "facts"))
    assert json.loads(json.dumps(result)) == result


def test_one_part_alone(tmp_path: Path) -> None:
    result = demo.run(tmp_path / "page.html", only=["memory"], progress=False, quick=True)
    assert list(result["parts"]) == ["memory"]
    assert "id=sentiment" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_part_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no part 'sentimental'; did you mean 'sentiment'"):
        demo.run(tmp_path / "page.html", only=["sentimental"])
    with pytest.raises(UsageError, match="no part 'x'; its parts are sentiment, next-word"):
        demo.run(tmp_path / "page.html", only=["x"])
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_is_said_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a file in a folder that exists"):
        demo.run(tmp_path / "none" / "page.html")
    with pytest.raises(UsageError, match=r"can't be written \(Is a directory\): name a file"):
        demo.run(tmp_path)
    assert list(tmp_path.iterdir()) == []
