"""The demo's result as one self-contained HTML page."""

import html
from collections.abc import Iterable
from typing import Any, Final

from elman.cells import CELLS
from elman.engine.trace import trace
from elman.lens.page import document, figure, table

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
    return document("elman demo", body)


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
    yield table(["", *columns], rows)
    yield f"<p><b>{html.escape(verdict(result))}</b></p>"
    yield from (f"<p class=note>{html.escape(note)}</p>" for note in result["notes"])
    yield figure(picture, "Each line is one forecast from the values before it.")


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
    yield table(["gap", *shown, "all gaps", "parameters"], rows)
    yield figure(pictures["memory"], "Dotted: the highest accuracy that a bag of words can reach.")
    yield (
        "<p>Why: training sends a gradient back from the end of the sentence through every hidden state. "
        "Where it has vanished, a network learns nothing. The figure shows how much of it is left.</p>"
    )
    yield figure(
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
        "<code>elman lesson 7</code> about gates, <code>elman lesson 8</code> about their uses.</p>"
    )


def _own() -> Iterable[str]:
    commands = """elman train forecast sales.csv --horizon 12 --save runs/sales
elman predict runs/sales --plot sales.png

elman train classify reviews.csv --text review --label stars --save runs/reviews
elman predict runs/reviews "The movie was not good" """
    yield f"<h2>Your own data</h2><pre>{html.escape(commands.strip())}</pre>"
