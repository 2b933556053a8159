"""Pages that need nothing else, whatever stands in them."""

from elman.lens import page


def test_a_page_asks_for_nothing() -> None:
    text = page.document("<a> & b", ["<p>one</p>"])
    assert "<title>&lt;a&gt; &amp; b</title>" in text and "http" not in text and "<script" not in text


def test_tables_and_figures_are_escaped_and_named() -> None:
    text = page.table(["", "<x>"], [["a<b", ("1 & 2", True), "3"]])
    assert "<th scope=col>&lt;x&gt;</th>" in text and "a&lt;b" in text
    assert "<td class=best>1 &amp; 2</td><td>3</td>" in text
    assert 'role=img aria-label="a &quot;caption&quot;"' in page.figure("<svg/>", 'a "caption"')


def test_colours_are_as_strong_as_values() -> None:
    text = page.coloured(["not", "<b>", "good"], [-2.0, 0.0, 1.0], "nats")
    assert "rgba(var(--against), 0.75)" in text and "rgba(var(--for), 0.38)" in text
    assert 'title="not -2 (nats)"' in text and "&lt;b&gt;" in text
    assert "nan" not in page.coloured(["a"], [0.0], "nats")
