"""The demo's page: text of the data is text, not HTML."""

from elman.demo.part import Part, Table, Word
from elman.demo.report import page


def test_everything_of_a_part_is_on_the_page_and_escaped() -> None:
    part = Part(
        title="A <title>",
        about="About <it>.",
        table=Table(["", "elman"], [["error", ("1.0", True)]]),
        verdict="So & so.",
        scores={},
        examples=Table(["in"], [["<b>text"]]),
        read=[[Word("<i>word", 0.9)]],
        notes=["a <note>"],
        figures=[("<svg></svg>", "a <caption>")],
        more=["<p>more</p>"],
    )
    result = {"version": "1", "cores": 2, "seconds": 3.0, "parts": {"key": {"seconds": 1.0}}}
    written = page(result, {"key": part})
    for text in ("title", "it", "b", "i", "note", "caption"):
        assert f"&lt;{text}&gt;" in written
    assert "So &amp; so." in written and "></svg>" in written and "<p>more</p>" in written
    assert 'href="#key"' in written and "id=key" in written
