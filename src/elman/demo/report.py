"""The demo's result as one self-contained HTML page."""

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from elman.demo.part import Part, Table
from elman.lens.page import document, figure, shaded, table

OWN: Final = """elman train forecast sales.csv --horizon 12 --save runs/sales
elman predict runs/sales --plot sales.png

elman train classify reviews.csv --text review --label stars --save runs/reviews
elman predict runs/reviews "The movie was not good" """

# Beside the style of all pages: examples in two columns, and names of scores that break on a narrow screen.
STYLE: Final = """
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem; margin: .9rem 0 }
dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
td:first-child { white-space: normal; min-width: 6rem }
"""


def page(result: Mapping[str, Any], parts: Mapping[str, Part]) -> str:
    """Return the report of the parts, by their keys. `result` has the version, cores and seconds."""
    listed = ", ".join(f'<a href="#{key}">{html.escape(part.title)}</a>' for key, part in parts.items())
    body = [
        f"<style>{STYLE}</style>",
        "<h1>elman: recurrent networks at work</h1>",
        f"<p class=lead>elman {result['version']}, {result['cores']} cores, "
        f"{result['seconds']:.0f} seconds of wall time from start to page.</p>",
        "<p>Every network below was trained just now on this machine, in seconds and on little data. Beside "
        "each score is that of a plain baseline: what you get without a recurrent network. The best score "
        "of a row is bold; where there is a ↓, lower is better.</p>",
        f"<p>{listed}</p>",
        *(
            line
            for key, part in parts.items()
            for line in _section(key, part, result["parts"][key]["seconds"])
        ),
        *_lesson(),
        f"<h2>Your own data</h2><pre>{html.escape(OWN.strip())}</pre>",
    ]
    return document("elman demo", body)


def _section(key: str, part: Part, seconds: float) -> Iterator[str]:
    yield f"<h2 id={key}>{html.escape(part.title)}</h2>"
    yield f"<p class=soft>{html.escape(part.about)} {seconds:.0f} seconds.</p>"
    for words in part.read:
        spans = (shaded(word, 2 * good - 1, f"{good:.0%} good") for word, good in words)
        yield f"<p class=words>{' '.join(spans)}</p>"
    if part.read:
        yield (
            "<p class=soft>The colour of a word is the answer after reading up to it: blue for good, red for "
            "bad, stronger where the network is surer. The colour of the last word is the answer.</p>"
        )
    if part.examples is not None:
        yield _texts(part.examples)
    yield table(part.table.head, part.table.rows)
    yield f"<p><b>{html.escape(part.verdict)}</b></p>"
    yield from (f"<p class=note>{html.escape(note)}</p>" for note in part.notes)
    yield from (figure(*each) for each in part.figures)
    yield from part.more


def _texts(examples: Table) -> str:
    """Return texts that may be long: below each other on a narrow screen, rather than in a table."""
    lines = []
    for row in examples.rows:
        pairs = zip(examples.head, (cell if isinstance(cell, str) else cell[0] for cell in row), strict=True)
        items = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in pairs)
        lines.append(f"<dl>{items}</dl>")
    return f"<div class=examples>{''.join(lines)}</div>"


def _lesson() -> Iterable[str]:
    # there is no address on the network that the report could link to
    yield "<h2>The lesson</h2>"
    yield (
        "<p>Why an Elman network forgets, and what gates do about it, step by step: "
        "<code>elman lesson</code> runs the pages <code>docs/lesson/</code> of the documentation in the "
        "terminal and writes each picture. <code>elman lesson 6</code> is about the vanishing gradient, "
        "<code>elman lesson 7</code> about gates, <code>elman lesson 8</code> about their uses.</p>"
    )
