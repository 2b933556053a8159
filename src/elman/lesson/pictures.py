"""The lesson's own pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from elman.lens.figures import WIDTH, finished
from elman.lens.plot import Picture

__all__ = ["COLOURS", "beside", "finished", "gates", "panels"]

COLOURS: Final = {"Elman": "#d2604a", "GRU": "#2a9d8f", "LSTM": "#1f78c8", "bag of words": "#8a8f98"}


def panels(count: int, height: float = 3.4) -> tuple[Figure, Sequence[Axes]]:
    """Return an empty figure with axes side by side."""
    figure = Picture(figsize=(WIDTH, height), layout="constrained")
    axes: Any = figure.subplots(1, count, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def beside(
    counts: Mapping[str, Mapping[str, int]], states: Mapping[str, Tensor], path: str | Path | None = None
) -> Figure:
    """Draw what a feed-forward network is given of each sentence, the counts of its words, beside the hidden
    state (H,) that a recurrent network ends in, as .png or .svg if there is a path."""
    figure, (left, right) = panels(2)
    words = sorted({word for each in counts.values() for word in each})
    for k, (sentence, each) in enumerate(counts.items()):
        places = [place + 0.4 * k - 0.2 for place in range(len(words))]
        left.bar(places, [each.get(word, 0) for word in words], 0.4, label=f"“{sentence}”")
    for k, state in enumerate(states.values()):
        places = [place + 0.4 * k - 0.2 for place in range(len(state))]
        right.bar(places, state.tolist(), 0.4)
    left.set_xticks(range(len(words)), words)
    left.set(ylabel="how often the word occurs", title="a bag of words sees no difference")
    left.set_yticks((0, 1))
    right.axhline(0, color="#888888", linewidth=0.8)
    right.set(xlabel="hidden unit", ylabel="value after the last word", title="a recurrent network sees one")
    figure.legend(*left.get_legend_handles_labels(), ncols=2, loc="outside upper center")
    return finished(figure, path)


def gates(values: Mapping[str, Tensor], words: Sequence[str], path: str | Path | None = None) -> Figure:
    """Draw gates (T, H) over the words of a sentence, from 0 to 1, as .png or .svg if there is a path."""
    figure = Picture(figsize=(WIDTH, 0.9 + 1.3 * len(values)), layout="constrained")
    axes: Any = figure.subplots(len(values), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (name, gate) in zip(axes, values.items(), strict=True):
        image = axis.imshow(gate.T.numpy(), aspect="auto", cmap="viridis", vmin=0, vmax=1)
        axis.set_ylabel(f"{name}\nunit", fontsize=8)
    axes[-1].set_xticks(range(len(words)), words, rotation=60, ha="right")
    figure.colorbar(image, ax=list(axes), shrink=0.6, label="how far the gate is open")
    return finished(figure, path)
