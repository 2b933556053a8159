"""The gap task: name one word after `gap` others have gone by.

The first word of a sentence is one of four. Then come words that mean nothing, and then a question mark,
after which a network says which of the four it was; by chance it is right in a quarter of the sentences.

T words, B sentences.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

import torch
from matplotlib.figure import Figure
from torch import Tensor

from elman.lens import View, gradient_flow, memory_horizon
from elman.lesson.networks import CELLS, Reader, learn
from elman.lesson.pictures import COLOURS, finished, panels

KEYS, FILLERS = 4, 16
QUESTION: Final = KEYS + FILLERS
WORDS: Final = QUESTION + 1
CHANCE: Final = 1 / KEYS
BATCH, TESTED = 64, 256  # sentences
TINY: Final = 1e-30


@dataclass(frozen=True)
class Trial:
    """One network, trained on gaps of up to `gap` words and tested on that gap.

    Attributes:
        accuracy: on new sentences.
        horizon: how many words back the influence of a state on the answer falls to a tenth, after training;
            infinite where it does not within the sentence.
        before, after: norm of the answer's gradient for the state at the word to be named, as a share of the
            norm for the last state; before and after training, the median over sentences.
        largest: the largest singular value of U after training.
    """

    cell: str
    gap: int
    seed: int
    accuracy: float
    horizon: float
    before: float
    after: float
    largest: float


@dataclass(frozen=True)
class Gaps:
    """What `compare` has measured, trial by trial."""

    trials: tuple[Trial, ...]

    def of(self, cell: str, gap: int) -> list[Trial]:
        """Return the trials of a cell at a gap, one for each seed."""
        return [one for one in self.trials if (one.cell, one.gap) == (cell, gap)]

    @property
    def cells(self) -> list[str]:
        """The names of the cells."""
        return list(dict.fromkeys(one.cell for one in self.trials))

    @property
    def gaps(self) -> list[int]:
        """The gaps, in words."""
        return sorted({one.gap for one in self.trials})

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers; None stands for a horizon beyond the sentence."""
        rows = [asdict(one) for one in self.trials]
        for row in rows:
            row["horizon"] = row["horizon"] if math.isfinite(row["horizon"]) else None
        return {"chance": CHANCE, "trials": rows}

    def __str__(self) -> str:
        """Return a table: the accuracy with its range over seeds, and the median horizon."""
        lines = [f"{'gap':18}" + "".join(f"{gap:>16}" for gap in self.gaps)]
        for cell in self.cells:
            each = [self.of(cell, gap) for gap in self.gaps]
            lines.append(f"{cell + ' accuracy':18}" + "".join(f"{_range(some):>16}" for some in each))
            lines.append(f"{cell + ' horizon':18}" + "".join(f"{_horizon(some):>16}" for some in each))
        return "\n".join(lines)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw accuracy, and the gradient that reaches the word, over the gap; as .png or .svg if there is a
        path."""
        figure, (left, right) = panels(2)
        for cell in self.cells:
            each = [self.of(cell, gap) for gap in self.gaps]
            style: dict[str, Any] = {"color": COLOURS[cell], "marker": "o", "markersize": 3.5}
            scores = [[100 * one.accuracy for one in some] for some in each]
            # the first lines are thicker, so that equal ones are all seen
            width = 4 - 1.3 * self.cells.index(cell)
            left.plot(self.gaps, [fmean(some) for some in scores], **style, linewidth=width, label=cell)
            lowest, highest = [min(some) for some in scores], [max(some) for some in scores]
            left.fill_between(self.gaps, lowest, highest, color=COLOURS[cell], alpha=0.15, linewidth=0)
            for when, line in (("before", ":"), ("after", "-")):
                shares = [max(median(getattr(one, when) for one in some), TINY) for some in each]
                right.semilogy(self.gaps, shares, line, **style, label=f"{cell}, {when} training")
        left.axhline(100 * CHANCE, color="#888888", linewidth=0.8, linestyle="--", label="chance")
        left.set(xlabel="gap, words", ylabel="accuracy, %", ylim=(0, 105))
        right.set(xlabel="gap, words", ylabel="gradient at the word / at the end")
        figure.legend(*left.get_legend_handles_labels(), ncols=4, loc="outside upper center")
        right.plot([], [], ":", color="#888888", label="before training")
        right.plot([], [], "-", color="#888888", label="after")
        right.legend(right.get_lines()[-2:], ["before training", "after"], fontsize=8)
        return finished(figure, path)


def sentences(gap: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return word ids (T, B) and which of the four words is to be named, (B,)."""
    words = KEYS + torch.randint(FILLERS, (gap + 2, count), generator=generator)
    answers = torch.randint(KEYS, (count,), generator=generator)
    words[0], words[-1] = answers, QUESTION
    return words, answers


def compare(
    gaps: Sequence[int] = (5, 10, 20, 40),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 200,
    cells: Sequence[str] = tuple(CELLS),
    remember: bool = True,
    hear: Callable[[Trial], None] = lambda one: None,
) -> Gaps:
    """Train a network of each cell, for each gap and seed, and test what it remembers.

    Args:
        gaps: the longest gap of a training, in words, and the one that is tested.
        steps: of a training, of 64 sentences each, which have one gap from 0 to the longest.
        remember: whether gates that keep a state begin with biases that suit the gap, rather than with 0.
        hear: called after each training.
    """
    trials = []
    for seed in seeds:
        for gap in gaps:
            for cell in cells:
                trials.append(trial(cell, gap, seed, steps, remember))
                hear(trials[-1])
    return Gaps(tuple(trials))


def trial(cell: str, gap: int, seed: int, steps: int, remember: bool = True) -> Trial:
    """Train one network and test it; see `compare`."""
    torch.manual_seed(seed)
    model = Reader(CELLS[cell], WORDS, KEYS, remember=max(gap, 1) if remember else 1)
    generator = torch.Generator().manual_seed(seed)
    words, answers = sentences(gap, TESTED, torch.Generator().manual_seed(1_000_000 + seed))
    view = View(model, words, lambda logits: logits.gather(1, answers.unsqueeze(1)).squeeze(1), unit="words")
    before = _reaching(view)

    def batch() -> tuple[tuple[Tensor], Tensor]:
        length = int(torch.randint(gap + 1, (1,), generator=generator))
        drawn, right = sentences(length, BATCH, generator)
        return (drawn,), right

    learn(model, batch, steps)
    with torch.no_grad():
        accuracy = (model(words).argmax(1) == answers).double().mean().item()
        largest = torch.linalg.matrix_norm(model.layer.weight_hh_l0, 2).item()
    horizon = memory_horizon(view).layers[0].horizons[0].steps
    return Trial(cell, gap, seed, accuracy, horizon, before, _reaching(view), largest)


def _reaching(view: View) -> float:
    """Return what share of the gradient for the last states reaches those at the first word."""
    norms = gradient_flow(view).layers[0].norms
    whole = torch.stack([norm.double() for norm in norms.values()]).square().sum(0).sqrt()
    return (whole[0] / whole[-1].clamp_min(TINY)).median().item()


def _range(trials: Sequence[Trial]) -> str:
    scores = [one.accuracy for one in trials]
    return f"{fmean(scores):.0%} ({100 * min(scores):.0f}–{100 * max(scores):.0f})"


def _horizon(trials: Sequence[Trial]) -> str:
    middle = median(one.horizon for one in trials)
    return f"{middle:.1f} words" if math.isfinite(middle) else "all"
