"""What order is worth: how a score falls as the steps of sequences are shuffled."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final, TypeVar

from matplotlib.figure import Figure

from elman.errors import UsageError
from elman.lens.figures import finished, points
from elman.lens.notebook import InNotebook
from elman.settings import is_whole

T = TypeVar("T")
REPEATS: Final = 3


@dataclass(frozen=True)
class Shuffled:
    """Scores of sequences whose neighbours have changed places.

    Attributes:
        within: how many neighbours are shuffled among themselves: 1, none; 0, all.
        score: the mean over repeats.
        baseline: the plain baseline's likewise, which can't see order; None if there is none.
    """

    within: int
    score: float
    baseline: float | None

    @property
    def name(self) -> str:
        return str(self.within or "all")

    def __str__(self) -> str:
        beside = "" if self.baseline is None else f", the baseline {self.baseline:.4g}"
        return f"shuffled among {self.name}: {self.score:.4g}{beside}"


class Order(tuple[Shuffled, ...], InNotebook):
    """How a score falls as order is lost; made by `order`. As text, a line for each shuffling."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers by how many neighbours are shuffled, "1" to "all"."""
        return {row.name: {"score": row.score, "baseline": row.baseline} for row in self}

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    __repr__ = __str__

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the scores over the shuffling, as .png or .svg if there is a path."""
        curves = [("network", [row.score for row in self])]
        if all(row.baseline is not None for row in self):
            curves.append(("baseline", [float(row.baseline or 0.0) for row in self]))
        return finished(points(curves, [row.name for row in self], "neighbours shuffled", "score"), path)


def shuffled(sequence: Sequence[T], within: int, rng: random.Random) -> list[T]:
    """Return a sequence with its items shuffled within blocks of so many neighbours; 0: as a whole."""
    items = list(sequence)
    size = within or max(len(items), 1)
    result: list[T] = []
    for start in range(0, len(items), size):
        block = items[start : start + size]
        rng.shuffle(block)
        result += block
    return result


Score = Callable[[list[list[T]]], tuple[float, float | None]]


def order(
    score: Score[T] | Any,
    sequences: Any,
    *,
    within: Sequence[int] = (1, 2, 4, 8, 0),
    repeats: int = REPEATS,
    seed: int = 0,
) -> Order:
    """Return how a score changes as the order of sequences is lost.

    Args:
        score: from sequences to the model's score and the plain baseline's, or None; or a `Classifier` or
            `LanguageModel`.
        sequences: of words, tokens or steps; of a classifier, data as for its `evaluate`: the score is its
            network's accuracy; of a language model, a text: the mean log-probability of next tokens, each
            after the shuffled ones before it. Of many, the first 1,000 count.
        within: how many neighbours change places; 1 leaves all as it is, 0 shuffles whole sequences.
        repeats: shuffles over which scores are averaged.
        seed: of the shuffles.

    Raises:
        UsageError: there are no sequences, or a number of neighbours or repeats that makes no sense.
    """
    if not callable(score):
        if not hasattr(score, "order_scores"):
            raise UsageError(
                f"order needs a score, a Classifier or a LanguageModel, not {type(score).__name__}"
            )
        score, sequences = score.order_scores(sequences)
    if not sequences:
        raise UsageError("there are no sequences to shuffle")
    numbers = isinstance(within, list | tuple) and all(is_whole(n) and n >= 0 for n in within)
    if not is_whole(repeats) or repeats < 1 or not within or not numbers:
        raise UsageError("repeats must be 1 or more, and within a list of numbers from 0")
    results = []
    for number in within:
        rng = random.Random(seed)
        pairs = [
            score([shuffled(one, number, rng) for one in sequences])
            for _ in range(1 if number == 1 else repeats)
        ]
        plain = [base for _, base in pairs if base is not None]
        results.append(Shuffled(number, fmean(s for s, _ in pairs), fmean(plain) if plain else None))
    return Order(results)
