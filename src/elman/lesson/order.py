"""A recurrent network beside a feed-forward one, on sentences whose order decides.

T words, B sentences.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from matplotlib.figure import Figure

from elman.demo.memory import BAG, BagOfWords, Budget, RecurrentNet, accuracies, held_out, train
from elman.demo.sentences import bag_ceiling
from elman.lens import order
from elman.lesson.networks import CELLS
from elman.lesson.pictures import COLOURS, finished, panels

BUDGET: Final = Budget(max_gap=5, epochs=4, steps=40, hidden=24, learning_rate=1e-2)


@dataclass(frozen=True)
class Ordered:
    """Accuracies of a recurrent and a feed-forward network on sentences more and more shuffled.

    Attributes:
        cell: of the recurrent network.
        within: how many neighbouring words are shuffled among themselves; 1: none, 0: all.
        recurrent, feed_forward: accuracies.
        ceiling: the highest accuracy that the counts of words allow.
    """

    cell: str
    within: tuple[int, ...]
    recurrent: tuple[float, ...]
    feed_forward: tuple[float, ...]
    ceiling: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return asdict(self)

    def __str__(self) -> str:
        """Return a table."""
        head = f"{'words shuffled among':22}" + "".join(f"{_name(n):>10}" for n in self.within)
        rows = ((self.cell, self.recurrent), (BAG, self.feed_forward))
        return "\n".join([head, *(f"{name:22}" + "".join(f"{x:10.1%}" for x in each) for name, each in rows)])

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw both accuracies over the shuffling, as .png or .svg if there is a path."""
        figure, (axis,) = panels(1)
        for name, each in ((self.cell, self.recurrent), (BAG, self.feed_forward)):
            axis.plot([100 * x for x in each], color=COLOURS[name], marker="o", markersize=4, label=name)
        style: dict[str, Any] = {"color": "#888888", "linewidth": 0.8, "linestyle": "--"}
        axis.axhline(100 * self.ceiling, **style, label="best of any bag")
        axis.set_xticks(range(len(self.within)), [_name(n) for n in self.within])
        axis.set(xlabel="words shuffled among", ylabel="accuracy, %", ylim=(45, 103))
        axis.legend(frameon=False, fontsize="small")
        return finished(figure, path)


def beside(cell: str = "GRU", budget: Budget = BUDGET) -> Ordered:
    """Train both networks on the sentences of `elman.demo.sentences`, and test them on shuffled ones."""
    torch.manual_seed(budget.seed)
    networks = RecurrentNet(CELLS[cell], budget.hidden), BagOfWords(budget.hidden)
    for network in networks:
        train(network, budget, cell, progress=False)
    words, good = held_out(budget, budget.seed + 2)[-1]

    def score(sequences: Sequence[Sequence[int]]) -> tuple[float, float]:
        tested = torch.tensor(sequences).T, good
        recurrent, plain = (accuracies(network, [tested])[0] for network in networks)
        return recurrent, plain

    rows = order(score, words.T.tolist(), within=(1, 2, 4, 8, 0))
    scores = [(row.within, row.score, row.baseline or 0.0) for row in rows]
    within, recurrent, plain = zip(*scores, strict=True)
    return Ordered(cell, within, recurrent, plain, bag_ceiling())


def _name(within: int) -> str:
    return {1: "none", 0: "all"}.get(within, str(within))
