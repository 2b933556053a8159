"""The views that a report shows."""

import torch

from elman import lens
from small_view import small_layer, small_view


def test_every_view_has_a_place() -> None:
    report = lens.look(small_view(small_layer()))
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
    names = [picture.name for section in report.sections for picture in section.pictures]
    expected = ["attribution", "reading", "extra", "memory", "gradient", "unrolled", "states-1", "states-2"]
    assert names == expected
    assert all(picture.svg.startswith("<svg") for one in report.sections for picture in one.pictures)


def test_one_sequence_has_no_neighbours() -> None:
    report = lens.look(small_view(small_layer(), 1))
    assert "neighbours" not in [section.name for section in report.sections]


def test_steps_without_labels_are_drawn_while_they_are_read() -> None:
    attached = lens.attach(
        small_layer(), lambda result: result[0][-1].sum(1), unit="words", cut=lambda x, n: x[:n]
    )
    section = attached.look(torch.randn(5, 1, 3)).sections[1]
    assert [picture.name for picture in section.pictures] == ["attribution", "reading"]
    assert section.html == ""
