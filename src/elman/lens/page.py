"""Self-contained HTML pages: light and dark, narrow and wide, without a request to anywhere."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

# The least size of a picture on a page: where that is wider, the picture scrolls.
MIN_PIXELS_PER_POINT: Final = 0.93  # letters of 9 points are still read
MIN_DRAWING_PIXELS: Final = 448  # of a drawing without a size of its own
STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #556070; --page: #fff; --line: #dde2e8;
        --card: #f6f8fa; --for: 33, 102, 172; --against: 178, 24, 43 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #a3adb8; --page: #14181d; --line: #2b323b; --card: #1c2229;
          --for: 88, 160, 235; --against: 235, 105, 115 }
}
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--page);
       max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.7rem; margin-bottom: 0; overflow-wrap: anywhere }
h2 { margin-top: 2.6rem; border-top: 1px solid var(--line); padding-top: 1rem }
a { color: inherit } p, li, td { overflow-wrap: anywhere }
p.lead, figcaption, .soft { color: var(--soft) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { padding: .3rem .8rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left } td.best { font-weight: 700 }
figure { margin: 1.2rem 0; color: var(--soft) }
figure div { background: var(--card); border-radius: 8px; padding: .5rem; overflow-x: auto }
figure svg { width: 100%; height: auto; display: block }
figcaption { font-size: .9rem; margin-top: .3rem }
pre { background: var(--card); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto; font-size: .85rem }
.note { background: var(--card); border-left: 4px solid #c8553d; padding: .5rem .9rem; border-radius: 4px }
.words { background: var(--card); border-radius: 8px; padding: .8rem 1rem; line-height: 2.1 }
.words span { padding: .15rem .2rem; border-radius: 3px; margin-right: .15rem; white-space: pre-wrap }
:focus-visible { outline: 2px solid currentColor; outline-offset: 2px }
"""


def document(title: str, body: Iterable[str]) -> str:
    """Return a page with this title, of parts of HTML."""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><body><main>" + "\n".join(body)
        + "</main></body></html>\n"
    )  # fmt: skip


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table. A row is its name and cells: each a text, or a pair of a text and whether it is the
    best."""
    top = "".join(f"<th scope=col>{escape(str(cell))}</th>" for cell in head)
    lines = []
    for name, *cells in rows:
        pairs = [cell if isinstance(cell, tuple) else (cell, False) for cell in cells]
        texts = "".join(f"<td{' class=best' * best}>{escape(str(text))}</td>" for text, best in pairs)
        lines.append(f"<tr><td>{escape(str(name))}</td>{texts}</tr>")
    return f"<table tabindex=0><tr>{top}</tr>{''.join(lines)}</table>"


def figure(svg: str, caption: str) -> str:
    """Return a picture with a caption, which also names it to those who can't see it."""
    width = re.match(r'<svg[^>]* width="([\d.]+)pt"', svg)
    least = MIN_PIXELS_PER_POINT * float(width[1]) if width else MIN_DRAWING_PIXELS
    svg = svg.replace("<svg", f'<svg style="min-width:{least:.0f}px"', 1)
    picture = f'<div role=img aria-label="{escape(caption)}" tabindex=0>{svg}</div>'
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def coloured(words: Sequence[str], values: Sequence[float], unit: str) -> str:
    """Return words on a ground as strong as their values are: of one colour above 0, of another below."""
    largest = max((abs(value) for value in values), default=0.0) or 1.0
    spans = []
    for word, value in zip(words, values, strict=True):
        spans.append(shaded(word, value / largest, f"{word} {value:+.3g} ({unit})"))
    return f"<p class=words>{' '.join(spans)}</p>"


def shaded(word: str, share: float, title: str) -> str:
    """Return a word on a ground as strong as a share, from -1 to 1, of the strongest."""
    colour = "for" if share >= 0 else "against"
    ground = f"rgba(var(--{colour}), {0.75 * min(abs(share), 1.0):.2f})"
    return f'<span style="background: {ground}" title="{escape(title)}">{escape(word)}</span>'
