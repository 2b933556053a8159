"""The report: complete, self-contained, in every form."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from elman import UsageError, lens
from elman.lens.report import Report
from small_view import small_layer, small_view


@pytest.fixture(scope="module")
def report() -> Report:
    """Drawn once: most of the time of these tests."""
    return lens.look(small_view(small_layer()), sequence=1, title='A <"title">')


def test_a_page_with_everything(report: Report) -> None:
    text = report.html()
    assert "<h1>A &lt;&quot;title&quot;&gt;</h1>" in text and "yes &amp; no" in text and "A note." in text
    assert "&lt;b&gt;" in text and "<title>1</title>" in text
    assert not re.findall(
        r"""(?:src|href)=["']?(?!["'#]|data:)|url\((?!#|data:)|https?://(?!www\.w3\.org)""", text
    )
    titles = [section.title for section in report.sections]
    assert all(title in str(report) for title in titles)
    assert str(report).splitlines()[:2] == ["answer: yes & no", "A note."]


def test_a_notebook_keeps_its_style(report: Report) -> None:
    frame = ElementTree.fromstring(report._repr_html_())
    assert frame.tag == "iframe" and frame.get("srcdoc", "").split() == report.html().split()


def test_values_are_json(report: Report) -> None:
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["answer"] == "yes & no" and values["notes"] == ["a note"]
    assert values["attribution"]["labels"][0][1] == "<b>"


def test_values_of_a_broken_network_are_json_too() -> None:
    layer = small_layer()
    with torch.no_grad():
        layer.weight_hh_l0[0, 0] = torch.nan
    values = json.loads(json.dumps(lens.look(small_view(layer)).to_dict(), allow_nan=False))
    assert values["diagnosis"]["findings"][0]["kind"] == "bad_step"
    assert values["attribution"]["scores"][0][0] is None


def test_files(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / "look.html")
    assert (tmp_path / "look.html").read_text() == report.html()
    names = {path.name for path in report.save_pictures(tmp_path / "pictures")}
    assert {"extra.svg", "memory.svg", "memory.png", "reading.png", "states-2.svg"} <= names
    assert "extra.png" not in names
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == names
    with pytest.raises(UsageError):
        report.save(tmp_path / "missing" / "look.html")
    with pytest.raises(UsageError):
        report.save_pictures(tmp_path / "look.html")
