"""How far apart the steps of data depend on each other: mutual information over lags.

N steps of all sequences, K symbols.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import UsageError
from elman.lens.figures import finished, lines
from elman.lens.notebook import InNotebook

Codes = NDArray[np.int64]

MAX_LAG: Final = 128  # tested by default
MAX_STEPS: Final = 200_000  # counted, the first ones
MAX_SYMBOLS, MAX_BINS = 256, 12  # told apart, of tokens and of numbers
PAIRS_PER_CELL: Final = 5  # of the table of pairs of symbols
MIN_PAIRS: Final = 20
RESAMPLES: Final = 100
BLOCK: Final = 2.0  # times the cube root of the number of steps, the usual order of a block's length
STEP: Final = 1.1  # between numbers of pairs for which chance is worked out
ERROR: Final = 0.01  # chance that independent data seem to depend on each other at any lag
MISSING: Final = -1


@dataclass(frozen=True, eq=False)
class Dependency(InNotebook):
    """How much steps tell of each other; made by `dependency`.

    Attributes:
        lags: in steps, ascending.
        information: mutual information of two steps so far apart, in bits, less what chance gives (K² cells
            filled with so few pairs); may be a little below 0.
        level: what independent steps exceed at any of the lags with a chance of 1 %, in bits.
        unit: of a step, for people.
    """

    lags: tuple[int, ...]
    information: tuple[float, ...]
    level: tuple[float, ...]
    unit: str = "steps"

    @property
    def length(self) -> int:
        """The largest lag at which steps depend on each other; 0 if there is none."""
        rows = zip(self.lags, self.information, self.level, strict=True)
        return max((lag for lag, bits, level in rows if bits > level), default=0)

    @property
    def is_longer(self) -> bool:
        """Whether steps still depend on each other at the largest lag that was tested."""
        return self.length == self.lags[-1]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "unit": self.unit,
            "length": self.length,
            "is_longer": self.is_longer,
            "lags": list(self.lags),
            "information": list(self.information),
            "level": list(self.level),
        }

    def __str__(self) -> str:
        tested = f"by mutual information at lags to {self.lags[-1]}"
        if not self.length:
            return f"No {self.unit} depend on each other, {tested}."
        at_least = "at least " if self.is_longer else ""
        return f"The data depend on what was {at_least}{self.length} {self.unit} before, {tested}."

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the information over the lags, as .png or .svg if there is a path."""
        across = f"{self.unit} apart"
        curves = [("data", self.information), ("chance (1 %)", self.level)]
        figure, axis = lines(curves, across, "mutual information, bits", at=self.lags)
        axis.lines[0].set_marker(".")
        if self.length:
            axis.axvline(self.length, color="#888888", linewidth=0.8, linestyle="--")
            top = ("data", "axes fraction")
            axis.annotate(f"{self.length}", (self.length, 1), xycoords=top, va="bottom", ha="center")
        return finished(figure, path)


def dependency(
    sequences: Sequence[Any], lags: Iterable[int] | None = None, *, unit: str = "steps", seed: int = 0
) -> Dependency:
    """Return how far apart the steps of sequences depend on each other, whatever a model makes of it.

    The mutual information of two steps so many apart is estimated from counts of pairs. That is biased, for
    chance fills the table unevenly: what the same counts give for steps from elsewhere in the data is
    subtracted. These come in blocks of random length, as in the stationary bootstrap (Politis, Romano, JASA
    89, 1994), so that slow changes of the data alone don't seem to be dependence at every lag.

    The most frequent tokens are told apart, as many as there are pairs to count them, and the rest count as
    one; numbers are put into bins that are equally full. At most 200,000 steps are read.

    Args:
        sequences: of tokens (words, numbers of words, characters) or of numbers with a fraction, (T,) each;
            NaN is a missing step.
        lags: in steps; None: all to 128, or to the length of the longest sequence.
        unit: of a step, for people.
        seed: of the blocks.

    Raises:
        UsageError: sequences are none, too short, or texts that are not split; a lag is below 1.
    """
    each = _sequences(sequences)
    lengths = [len(one) for one in each]
    given = range(1, min(MAX_LAG, max(lengths) - 1) + 1) if lags is None else lags
    tested = list(given) if isinstance(given, Iterable) else [given]
    if any(not isinstance(lag, int | np.integer) or lag < 1 for lag in tested):
        raise UsageError(f"lags must be whole numbers from 1, not {tested}")
    counts = {int(lag): sum(max(length - lag, 0) for length in lengths) for lag in sorted(set(tested))}
    usable = [lag for lag, count in counts.items() if count >= MIN_PAIRS]
    if not usable:
        raise UsageError(f"sequences are too short: there are not {MIN_PAIRS} pairs of steps so far apart")
    try:
        codes, symbols = _codes(each, min(counts[lag] for lag in usable))
    except UsageError:
        raise
    except (TypeError, ValueError):
        raise UsageError("steps must be tokens, such as words, or numbers, all of one kind") from None
    usable = [lag for lag in usable if len(_pairs(codes, lag)[0]) >= MIN_PAIRS]  # without missing steps
    if not usable:
        raise UsageError(f"too many steps are missing: no lag has {MIN_PAIRS} pairs without one")
    whole = np.concatenate(codes)
    elsewhere = Elsewhere(whole[whole != MISSING], symbols, max(usable), ERROR / len(usable), seed)
    information, level = [], []
    for lag in usable:
        first, second = _pairs(codes, lag)
        mean, limit = elsewhere.chance(len(first))
        information.append(mutual_information(first, second, symbols) - mean)
        level.append(limit - mean)
    return Dependency(tuple(usable), tuple(information), tuple(level), unit)


def mutual_information(first: Codes, second: Codes, symbols: int) -> float:
    """Return the mutual information of pairs of symbols (N,), from 0 to `symbols` - 1, in bits: the plug-in
    estimate, which is too large where there are few pairs."""
    table = np.bincount(first * symbols + second, minlength=symbols * symbols).reshape(symbols, symbols)
    joint = table / len(first)
    rows, columns = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    used = joint > 0
    return float((joint[used] * np.log2(joint[used] / (rows * columns)[used])).sum())


class Elsewhere:
    """The information of steps (N,) and steps from elsewhere in the data, in blocks of random length.

    Args:
        block: mean length of a block, at most.
        error: share of such information above the limit.
    """

    def __init__(self, codes: Codes, symbols: int, block: int, error: float, seed: int) -> None:
        self._codes, self._symbols, self._error, self._seed = codes, symbols, error, seed
        self._block = min(block, math.ceil(BLOCK * len(codes) ** (1 / 3)))
        self._known: dict[int, tuple[float, float]] = {}

    def chance(self, pairs: int) -> tuple[float, float]:
        """Return the mean information of so many pairs, and its limit."""
        # about 1 / pairs; worked out for a few numbers of pairs
        size = round(STEP ** math.floor(math.log(max(pairs, 1), STEP)))
        if size not in self._known:
            self._known[size] = self._work_out(size)
        mean, limit = self._known[size]
        return mean * size / pairs, limit * size / pairs

    def _work_out(self, pairs: int) -> tuple[float, float]:
        from scipy.stats import gamma

        rng, count = np.random.default_rng(self._seed), len(self._codes)
        each = np.array([self._draw(rng, count, min(pairs, count)) for _ in range(RESAMPLES)])
        mean, variance = float(each.mean()), float(each.var(ddof=1))
        if variance <= 0 or mean <= 0:
            return mean, mean
        # the information of independent symbols has nearly a gamma distribution
        limit = gamma.isf(self._error, mean * mean / variance, scale=variance / mean)
        return mean, float(limit)

    def _draw(self, rng: np.random.Generator, count: int, pairs: int) -> float:
        steps, begins = np.arange(pairs), rng.random(pairs) < 1 / self._block
        begins[0] = True
        places = np.flatnonzero(begins)
        block = begins.cumsum() - 1
        elsewhere = (rng.integers(0, count, len(places))[block] + steps - places[block]) % count
        here = (rng.integers(0, count) + steps) % count
        return mutual_information(self._codes[here], self._codes[elsewhere], self._symbols)


def _pairs(codes: Sequence[Codes], lag: int) -> tuple[Codes, Codes]:
    first = np.concatenate([one[: max(len(one) - lag, 0)] for one in codes])
    second = np.concatenate([one[lag:] for one in codes])
    here = (first != MISSING) & (second != MISSING)
    return first[here], second[here]


def _sequences(sequences: Sequence[Any]) -> list[Any]:
    """Return sequences as lists of tokens or arrays of numbers, up to `MAX_STEPS` steps in all."""
    if not isinstance(sequences, Iterable):
        raise UsageError(f"sequences must be a list of sequences, not {type(sequences).__name__}")
    if isinstance(sequences, str) or any(isinstance(one, str) for one in sequences):
        raise UsageError("a sequence must be a list of tokens or numbers, not a text: split it")
    each, count = [], 0
    for one in sequences:
        if count >= MAX_STEPS:
            break
        values = one.detach().cpu().numpy() if isinstance(one, Tensor) else one
        if np.ndim(values) == 0 or (isinstance(values, np.ndarray) and values.ndim > 1):
            shape = getattr(values, "shape", None) or type(values).__name__
            raise UsageError(f"a sequence must be a list of tokens or numbers (T,), not {shape}")
        each.append(values[: MAX_STEPS - count])
        count += len(each[-1])
    if count < 2:
        raise UsageError("there are no sequences in which steps could depend on each other")
    return each


def _codes(sequences: Sequence[Any], pairs: int) -> tuple[list[Codes], int]:
    """Return sequences of symbols from 0, and how many there are: as many as so many pairs tell apart."""
    first = next(step for one in sequences for step in one)
    if isinstance(first, float | np.floating):
        return _binned([np.asarray(one, dtype=np.float64) for one in sequences], pairs)
    counts = Counter(cast(Hashable, _plain(step)) for one in sequences for step in one)
    most = _symbols(pairs, MAX_SYMBOLS)
    frequent = counts.most_common(most if len(counts) <= most else most - 1)
    code = {token: k for k, (token, _) in enumerate(frequent)}
    rest = len(code)  # one symbol for all others
    coded = [np.array([code.get(_plain(step), rest) for step in one], dtype=np.int64) for one in sequences]
    return coded, rest + 1


def _binned(sequences: Sequence[NDArray[np.float64]], pairs: int) -> tuple[list[Codes], int]:
    values = np.concatenate(sequences)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        raise UsageError("there are no sequences in which steps could depend on each other")
    shares = np.linspace(0, 1, _symbols(pairs, MAX_BINS) + 1)[1:-1]
    edges = np.unique(np.quantile(values, shares))
    coded = [np.where(np.isfinite(one), np.searchsorted(edges, one, "right"), MISSING) for one in sequences]
    return coded, len(edges) + 1


def _symbols(pairs: int, most: int) -> int:
    """Return how many symbols so many pairs can tell apart, two at least."""
    return max(2, min(most, math.isqrt(pairs // PAIRS_PER_CELL)))


def _plain(token: Any) -> Any:
    return token.item() if isinstance(token, np.generic) else token
