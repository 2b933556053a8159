"""The report: complete, self-contained, in every form."""

import json
import re
from pathlib import Path

import pytest
import torch

import elman
from elman import UsageError, lens
from elman.lens.view import View


def view(layer: elman.Recurrent, batch: int = 2) -> View:
    x = torch.randn(5, batch, 3)
    return View(
        layer,
        x,
        score=lambda result: result[0][-1].sum(1),
        answers=("yes & no",) * batch,
        labels={"": (("a", "<b>", "c", "d", "e"),) * batch},
        unit="words",
        notes=("a note",),
        extras=(("extra", "Extra?", "A picture.", lambda number: f"<svg><title>{number}</title></svg>"),),
        cut=lambda steps: x[:steps],
    )


@pytest.fixture
def layer() -> elman.Recurrent:
    torch.manual_seed(0)
    return elman.Recurrent("gru", 3, 4, 2)


def test_a_page_with_everything(layer: elman.Recurrent) -> None:
    report = lens.look(view(layer), sequence=1, title="A <title>")
    text = report.html()
    assert "<h1>A &lt;title&gt;</h1>" in text and "yes &amp; no" in text and "A note." in text
    assert "&lt;b&gt;" in text and "<title>1</title>" in text
    assert not re.findall(
        r"""(?:src|href)=["']?(?!["'#]|data:)|url\((?!#|data:)|https?://(?!www\.w3\.org)""", text
    )
    titles = [section.title for section in report.sections]
    assert titles == [
        "Is anything wrong?",
        "What moved the answer?",
        "Extra?",
        "How far back does it remember?",
        "Where does the gradient go?",
        "What does it look like over time?",
        "What do states and gates hold?",
        "Where else does it think so?",
    ]
    assert all(title in str(report) for title in titles)
    assert report._repr_html_().count("<h2>") == len(titles)


def test_values_are_json(layer: elman.Recurrent) -> None:
    values = json.loads(json.dumps(lens.look(view(layer)).to_dict(), allow_nan=False))
    assert values["answer"] == "yes & no" and values["notes"] == ["a note"]
    assert values["What moved the answer?"]["labels"][0][1] == "<b>"


def test_files(layer: elman.Recurrent, tmp_path: Path) -> None:
    report = lens.look(view(layer))
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


@pytest.mark.parametrize("sequence", [-1, 2])
def test_no_such_sequence(layer: elman.Recurrent, sequence: int) -> None:
    with pytest.raises(UsageError, match="sequence must be a number from 0 to 1"):
        lens.look(view(layer), sequence=sequence)


def test_a_module_without_answers(layer: elman.Recurrent) -> None:
    report = lens.look(layer, torch.randn(300, 1, 3))
    assert report.answer == "" and not report.sections[-1].pictures  # too many steps to draw
    report.html()
