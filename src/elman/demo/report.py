"""The demo's result as one HTML page that needs nothing else."""

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
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left } td.best { font-weight: 700 }
figure { margin: 1.2rem 0 } figure div { background: #fff; border-radius: 8px; padding: .5rem }
figure svg { width: 100%; height: auto; display: block } figcaption { font-size: .9rem; margin-top: .3rem }
pre { background: var(--card); border-radius: 8px; padding: .8rem 1rem; overflow-x: auto; font-size: .85rem }
.note { background: var(--card); border-left: 4px solid #c8553d; padding: .5rem .9rem; border-radius: 4px }
"""

ROWS: Final = {
    "mase": ("MASE (lower is better)", "{:.3f}"),
    "smape": ("sMAPE, % (lower is better)", "{:.2f}"),
    "crps": ("CRPS (lower is better)", "{:.4f}"),
    "coverage": ("inside the 80 % band", "{:.1%}"),
}


def page(result: dict[str, Any], pictures: dict[str, str], titles: dict[str, str]) -> str:
    """The report. `pictures` holds SVG by the keys of the series, "memory" and "gradients"."""
    body = [
        "<h1>elman: recurrent networks at work</h1>",
        f"<p class=lead>elman {result['version']}, {result['cores']} cores, "
        f"{result['seconds']:.0f} seconds of wall time from start to page.</p>",
        "<p>Every network below was trained just now on this machine. Beside each score stands a plain "
        "baseline: what you would get without a network.</p>",
        *(
            part
            for key, found in result["series"].items()
            for part in _series(found, titles[key], pictures[key])
        ),
        *_memory(result["memory"], pictures),
        *_own(),
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>elman demo</title><style>{STYLE}</style><body>" + "\n".join(body) + "</body></html>\n"
    )


def verdict(found: dict[str, Any]) -> str:
    """One honest sentence about a series."""
    skill, last = found["scores"]["skill_seasonal_naive"], found["scores"]["skill_naive"]
    better = "naive" if found["naive"]["mase"] < found["baseline"]["mase"] else "seasonal naive"
    least = min(skill, last)
    if least >= 0.05:
        return f"The forecast is {least:.0%} better than {better}, the better of the two naive forecasts."
    if least > -0.05:
        return (
            f"The forecast is about as good as {better} ({least:+.1%}): there is little here that a network "
            "could learn from the past alone. For prices that is no surprise, and whoever shows you more "
            "should show you this comparison too."
        )
    return f"The forecast is worse than {better} by {-least:.0%}: use {better} here."


def _series(found: dict[str, Any], title: str, picture: str) -> Iterable[str]:
    yield f"<h2>{html.escape(title)}</h2>"
    yield (
        f"<p class=soft>{html.escape(found['source'])}. Trained on the {found['trained on']} values before "
        f"{found['cutoff']}; scored on {found['windows']} forecasts of up to {found['horizon']} steps after "
        "it.</p>"
    )
    columns = {"elman": found["scores"], "seasonal naive": found["baseline"], "naive": found["naive"]}
    rows = []
    for key, (name, form) in ROWS.items():
        values = [column[key] for column in columns.values()]
        best = min(values) if key != "coverage" else None
        rows.append([name, *((form.format(value), value == best) for value in values)])
    yield _table(["", *columns], rows)
    yield f"<p><b>{html.escape(verdict(found))}</b></p>"
    yield from (f"<p class=note>{html.escape(note)}</p>" for note in found["notes"])
    yield _figure(picture, "Forecasts, each made with what was known before it, over what happened.")


def _memory(found: dict[str, Any], pictures: dict[str, str]) -> Iterable[str]:
    yield "<h2>Memory: the <i>not … good</i> problem</h2>"
    yield (
        "<p>Was the movie good? The answer hangs on one <i>not</i>, and it is asked for only after a gap of "
        "other words. Clauses about a book and a music have a <i>not</i> of their own or haven't, so that a "
        "net which sees the words but not their order can be right in "
        f"{found['ceiling']:.0%} of the sentences at best. All networks read the same "
        f"{found['trained_on']:,} generated sentences once; the numbers are the share of right answers on "
        f"{found['tested_on']} new ones a gap.</p>"
    )
    lines = [f"{'good' if e['good'] else 'not good'}:  {e['text']}" for e in found["examples"]]
    yield f"<pre>{html.escape(chr(10).join(lines))}</pre>"
    gaps = list(next(iter(found["networks"].values()))["accuracy"])
    shown = [gaps[round(i * (len(gaps) - 1) / 4)] for i in range(5)]
    rows: list[list[Any]] = []
    for name, network in found["networks"].items():
        cells = [(f"{network['accuracy'][gap]:.0%}", False) for gap in shown]
        rows.append([name, *cells, (f"{network['mean']:.1%}", False), (f"{network['parameters']:,}", False)])
    yield _table(["gap", *shown, "all gaps", "parameters"], rows)
    yield _figure(pictures["memory"], "The dotted line: the best that a bag of words can do.")
    yield (
        "<p>Why: training sends a gradient back from the end of the sentence. Where it has shrunk to "
        "nothing, nothing can be learned. The picture shows how much of it arrives, word by word.</p>"
    )
    yield _figure(
        pictures["gradients"], "Size of the gradient at each earlier state, before and after training."
    )
    listings = "\n\n".join(str(trace(CELLS[name])) for name in ("elman", "gru", "lstm"))
    yield f"<p>The three cells are these equations, and nothing else:</p><pre>{html.escape(listings)}</pre>"


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
