"""The views that a report shows."""

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
