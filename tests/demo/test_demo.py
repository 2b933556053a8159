"""A quick run of the demo, to the page."""

import json
import re
from pathlib import Path

import pytest

from elman import demo
from elman.errors import UsageError


def test_a_quick_run_writes_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    place.write_text("old")
    result = demo.run(place, progress=False, quick=True)
    page = place.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    outside = re.findall(r'(?:src|href)\s*=\s*"?(?!#)[^"\s>]+|url\((?!#)[^)]+\)|@import|<script', page)
    assert not [found for found in outside if not found.startswith(("xlink:href", 'href="#'))]
    assert page.count("<svg") == 5
    for found in result["series"].values():
        assert f"{found['scores']['mase']:.3f}" in page
        assert f"{found['baselines']['seasonal naive']['mase']:.3f}" in page
    for network in result["memory"]["networks"].values():
        assert f"{network['mean']:.1%}" in page
    assert json.loads(json.dumps(result)) == result
    summary = demo.summary(result)
    assert all(
        name in summary for name in ("stocks", "weather", "sales", "Elman", "GRU", "LSTM", "bag of words")
    )


def test_a_page_that_cannot_be_written_is_said_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a file in a folder that exists"):
        demo.run(tmp_path / "none" / "page.html")
    with pytest.raises(UsageError, match=r"can't be written \(Is a directory\): name a file"):
        demo.run(tmp_path)
    assert list(tmp_path.iterdir()) == []
