"""The memory test as a part of the demo: which cell still knows, many words later, of a "not"."""

import html
import math
from typing import Any, Final

from elman.cells import CELLS
from elman.demo import pictures
from elman.demo.memory import Budget, compare
from elman.demo.part import Cell, Part, Table
from elman.engine.trace import trace

COLUMNS: Final = 5  # gaps in the table
QUICK: Final = Budget(max_gap=10, epochs=1, steps=2, test_blocks=2, seeds=2)


def run(progress: bool, quick: bool) -> Part:
    """Train every network from several seeds; show accuracies and gradients."""
    result = compare(QUICK if quick else Budget(), progress)
    return Part(
        title="Memory: the “not … good” problem",
        about=(
            "Was the movie good? The answer depends on one “not”, and it is asked for after a gap of "
            "other words. Clauses about a book and about music may have a “not” of their own: a network that "
            f"sees words but not their order is right on at most {result['ceiling']:.0%} of the sentences. "
            f"Each is trained {result['seeds']} times, from other random weights and on other sentences, "
            f"{result['trained_on']:,} generated ones each time. The table shows the mean accuracy on "
            f"{result['tested_on']} new sentences for each gap, in %, and in brackets that of the worst and "
            "the best training."
        ),
        table=_table(result),
        verdict=verdict(result),
        scores=result,
        notes=[explanation(result)],
        figures=[
            (
                pictures.memory(result),
                "Mean accuracy; the shade reaches from the worst to the best training. Dotted: the most that "
                "a bag of words can reach.",
            ),
            (
                pictures.gradients(result),
                "Training sends a gradient back from the end of the sentence through every hidden state. "
                "Where it has vanished, a network learns nothing. This is how much of it is left, before "
                "and after training.",
            ),
        ],
        more=_more(result),
    )


def verdict(result: dict[str, Any]) -> str:
    """Return who remembers, over all gaps."""
    means = [f"{name} {network['mean']:.0%}" for name, network in result["networks"].items()]
    return f"Over all gaps: {', '.join(means)}."


def explanation(result: dict[str, Any]) -> str:
    """Return why an accuracy may rise with the gap."""
    elman = result["networks"]["Elman"]
    spread = max(elman["highest"][gap] - elman["lowest"][gap] for gap in elman["accuracy"])
    chance = 2 * math.sqrt(elman["mean"] * (1 - elman["mean"]) / result["tested_on"])
    return (
        "Why does the Elman network's accuracy not fall steadily with the gap? Its trainings end in "
        f"different places: at one gap they lie up to {100 * spread:.0f} points apart. And with "
        f"{result['tested_on']} test sentences, chance alone moves the accuracy of one training by up to "
        f"{100 * chance:.0f} points (two standard errors). A rise or fall smaller than these means nothing."
    )


def _table(result: dict[str, Any]) -> Table:
    gaps = list(next(iter(result["networks"].values()))["accuracy"])
    last = min(COLUMNS, len(gaps)) - 1
    shown = [gaps[round(k * (len(gaps) - 1) / last)] for k in range(last + 1)]
    rows: list[list[Cell]] = []
    for name, network in result["networks"].items():
        parts = [[100 * network[key][gap] for key in ("accuracy", "lowest", "highest")] for gap in shown]
        cells = [f"{mean:.0f} ({low:.0f}–{high:.0f})" for mean, low, high in parts]
        rows.append([name, *cells])
    return Table(["words between", *shown], rows)


def _more(result: dict[str, Any]) -> list[str]:
    lines = [f"{'good' if e['good'] else 'not good'}:  {e['text']}" for e in result["examples"]]
    listings = "\n\n".join(str(trace(CELLS[name])) for name in ("elman", "gru", "lstm"))
    return [
        f"<p>Two of the sentences:</p><pre>{html.escape(chr(10).join(lines))}</pre>",
        "<p>The three cells are these equations and nothing else. <code>x.g</code> is the input's part of "
        "gate g, <code>u.g</code> the previous hidden state's, <code>s.c</code> the state c before the step:"
        f"</p><pre>{html.escape(listings)}</pre>",
    ]
