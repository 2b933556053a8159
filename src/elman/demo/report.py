"""The demo's result as one self-contained HTML page."""

import html
from collections.abc import Iterable, Sequence
from typing import Any, Final

from elman.cells import CELLS
from elman.engine.trace import trace

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #556070; --page: #fff; --line: #dde2e8;
        --card: #f6f8fa }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa5b1; --page: #14181d; --line: #2b323b; --card: #1c2229 }
}
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--page);
       max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.7rem; margin-bottom: 0 }
h2 { margin-top: 2.6rem; border-top: 1px solid var(--line); padding-top: 1rem }
p.lead, figcaption, .soft { color: var(--soft) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { padding: .3rem .8rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left } td.best { font-weight: 700 }
figure { margin: 1.2rem 0; color: var(--soft) }
figure div { background: var(--card); border-radius: 8px; padding: .5rem }
figure svg { width: 100%; height: auto; display: block } figcaption { font-size: .9rem; margin-top: .3rem }
pre { background: var(--card); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto; font-size: .85rem }
.note { background: var(--card); border-left: 4px solid #c8553d; padding: .5rem .9rem; border-radius: 4px }
"""

ROWS: Final = {
    "mase": ("MASE ↓", "{:.3f}"),
    "smape": ("sMAPE, % ↓", "{:.2f}"),
    "crps": ("CRPS ↓", "{:.4f}"),
    "coverage": ("in the 80 % band", "{:.1%}"),
}


def page(result: dict[str, Any], pictures: dict[str, str], titles: dict[str, str]) -> str:
    """Return the report. `pictures` holds SVG by the keys of the series, "memory" and "gradients"."""
    body = [
        "<h1>elman: recurrent networks at work</h1>",
        f"<p class=lead>elman {result['version']}, {result['cores']} cores, "
        f"{result['seconds']:.0f} seconds of wall time from start to page.</p>",
        "<p>Every network below was trained just now on this machine. Beside each score is that of a plain "
        "baseline: what you get without a recurrent network.</p>",
        *(
            part
            for key, scores in result["series"].items()
            for part in _series(scores, titles[key], pictures[key])
        ),
        *_memory(result["memory"], pictures),
        *_lesson(),
        *_own(),
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>elman demo</title><style>{STYLE}</style><body>" + "\n".join(body) + "</body></html>\n"
    )


def verdict(result: dict[str, Any]) -> str:
    """Return one honest sentence about a series."""
    errors = {name: scores["mase"] for name, scores in result["baselines"].items()}
    better = min(errors, key=lambda name: errors[name])
    least = 1 - result["scores"]["mase"] / errors[better]
    if least >= 0.05:
        return f"The forecast is {least:.0%} better than {better}, the best of the simple forecasts."
    if least > -0.05:
        return (
            f"The forecast is about as good as {better} ({least:+.1%}): the past alone holds little that a "
            "network could learn. For prices that is no surprise."
        )
    return f"The forecast is worse than {better} by {-least:.0%}: use {better} here."


def _series(result: dict[str, Any], title: str, picture: str) -> Iterable[str]:
    yield f"<h2>{html.escape(title)}</h2>"
    yield (
        f"<p class=soft>{html.escape(result['source'])}. Trained on the {result['trained on']} values before "
        f"{result['cutoff']}; scored on {result['windows']} forecasts of up to {result['horizon']} steps.</p>"
    )
    columns = {"elman": result["scores"], **result["baselines"]}
    rows = []
    for key, (name, form) in ROWS.items():
        values = [column[key] for column in columns.values()]
        best = min(values) if key != "coverage" else None
        rows.append([name, *((form.format(value), value == best) for value in values)])
    yield _table(["", *columns], rows)
    yield f"<p><b>{html.escape(verdict(result))}</b></p>"
    yield from (f"<p class=note>{html.escape(note)}</p>" for note in result["notes"])
    yield _figure(picture, "Each line is one forecast from the values before it.")


def _memory(result: dict[str, Any], pictures: dict[str, str]) -> Iterable[str]:
    yield "<h2>Memory: the <i>not … good</i> problem</h2>"
    yield (
        "<p>Was the movie good? The answer depends on one <i>not</i>, and it is asked for after a gap of "
        "other words. Clauses about a book and about music may have a <i>not</i> of their own, so a network "
        "that sees the words but not their order answers at most "
        f"{result['ceiling']:.0%} of the sentences correctly. All networks read the same "
        f"{result['trained_on']:,} generated sentences once; the table shows the accuracy on "
        f"{result['tested_on']} new ones for each gap.</p>"
    )
    lines = [f"{'good' if e['good'] else 'not good'}:  {e['text']}" for e in result["examples"]]
    yield f"<pre>{html.escape(chr(10).join(lines))}</pre>"
    gaps = list(next(iter(result["networks"].values()))["accuracy"])
    shown = [gaps[round(i * (len(gaps) - 1) / 4)] for i in range(5)]
    rows: list[list[Any]] = []
    for name, network in result["networks"].items():
        cells = [(f"{network['accuracy'][gap]:.0%}", False) for gap in shown]
        rows.append([name, *cells, (f"{network['mean']:.1%}", False), (f"{network['parameters']:,}", False)])
    yield _table(["gap", *shown, "all gaps", "parameters"], rows)
    yield _figure(pictures["memory"], "Dotted: the highest accuracy that a bag of words can reach.")
    yield (
        "<p>Why: training sends a gradient back from the end of the sentence through every hidden state. "
        "Where it has vanished, a network learns nothing. The figure shows how much of it is left.</p>"
    )
    yield _figure(
        pictures["gradients"], "Size of the gradient at earlier hidden states, before and after training."
    )
    listings = "\n\n".join(str(trace(CELLS[name])) for name in ("elman", "gru", "lstm"))
    yield (
        "<p>The three cells are these equations and nothing else. <code>x.g</code> is the input's part of "
        "gate g, <code>u.g</code> the previous hidden state's, <code>s.c</code> the state c before the step:"
        f"</p><pre>{html.escape(listings)}</pre>"
    )


def _lesson() -> Iterable[str]:
    # there is no address on the network that the report could link to
    yield "<h2>The lesson</h2>"
    yield (
        "<p>Why an Elman network forgets, and what gates do about it, step by step: "
        "<code>elman lesson</code> runs the pages <code>docs/lesson/</code> of the documentation in the "
        "terminal and writes each picture. <code>elman lesson 6</code> is about the vanishing gradient, "
        "<code>elman lesson 7</code> about gates, <code>elman lesson 8</code> about uses of such networks.</p>"
    )


def _own() -> Iterable[str]:
    commands = """elman train forecast sales.csv --horizon 12 --save runs/sales
elman predict runs/sales --plot sales.png

elman train classify reviews.csv --text review --label stars --save runs/reviews
elman predict runs/reviews "The movie was not good" """
    yield f"<h2>Your own data</h2><pre>{html.escape(commands.strip())}</pre>"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    top = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)
    lines = [
        f"<tr><td>{html.escape(name)}</td>"
        + "".join(f"<td{' class=best' if best else ''}>{text}</td>" for text, best in cells)
        + "</tr>"
        for name, *cells in rows
    ]
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _figure(svg: str, caption: str) -> str:
    return f"<figure><div>{svg}</div><figcaption>{html.escape(caption)}</figcaption></figure>"
