"""Two ways to compute the same thing, timed in turns.

The machine's speed changes while one measures; that of one pair hardly does. So the result is the median of
the pairs' ratios, not the ratio of two medians.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

WARM_UPS: Final = 3
PAIRS: Final = 7  # at least
# Seconds for which a library's threads spin after their work. On few cores they would slow down the next
# side, which therefore makes uncounted calls for as long. Measured on two cores of an EPYC, rounded up; XLA's
# threads sleep at once, but then elman's data must come back into the caches.
SPINS: Final = {"onnxruntime": 0.06, "jax.lax.scan": 0.005}
OPENMP: Final = 0.02  # elman's and PyTorch's, which are the same threads
SAMPLE: Final = 0.002  # seconds; a shorter call is repeated for as long
TOLERANCE: Final = 1e-4  # of the largest value, for float32 sums in another order


@dataclass(frozen=True)
class Side:
    """One of the two: a call that returns the values to compare."""

    name: str
    call: Callable[[], Any]


@dataclass(frozen=True)
class Pairing:
    """The result: milliseconds per call, and the pairs' ratio peer/ours with its quartiles."""

    ours_ms: float
    peer_ms: float
    ratio: float
    low: float
    high: float
    pairs: int


def compare(ours: Side, peer: Side, seconds: float, *, weight: float = 1.0, same: bool = True) -> Pairing:
    """Time both in turns for `seconds`, in at least PAIRS pairs. `weight` multiplies the peer's times.

    Unless `same` is False both must return the same values: a ValueError says that they don't.
    """
    if same:
        agree(ours, peer)
    with _quiet():
        for _ in range(WARM_UPS):
            ours.call()
            peer.call()
        pairs = _pairs(ours, peer, seconds)
    ratios = [weight * b / a for a, b in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    own = 1e3 * statistics.median(a for a, _ in pairs)
    return Pairing(own, weight * 1e3 * statistics.median(b for _, b in pairs), middle, low, high, len(pairs))


def agree(ours: Side, peer: Side) -> None:
    """Refuse to time sides that compute different things."""
    mine, other = _arrays(ours.call()), _arrays(peer.call())
    if len(mine) != len(other) or not mine:
        raise ValueError(f"{ours.name} returns {len(mine)} arrays, {peer.name} {len(other)}")
    for a, b in zip(mine, other, strict=True):
        # "not <=", so that NaN disagrees
        if a.size != b.size or not np.abs(a.ravel() - b.ravel()).max() <= TOLERANCE * np.abs(a).max():
            raise ValueError(f"{ours.name} and {peer.name} don't compute the same")


def _arrays(found: Any) -> list[np.ndarray[Any, Any]]:
    """Every array in what a call returned."""
    if isinstance(found, PackedSequence):
        return _arrays(pad_packed_sequence(found)[0])
    if isinstance(found, tuple | list):
        return [array for part in found for array in _arrays(part)]
    return [found.detach().numpy() if isinstance(found, Tensor) else np.asarray(found)]


def _pairs(ours: Side, peer: Side, seconds: float) -> list[tuple[float, float]]:
    repeats = [_repeats(ours, peer), _repeats(peer, ours)]
    pairs: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while len(pairs) < PAIRS or time.perf_counter() < end:
        if len(pairs) % 2:
            b = _turn(peer, ours, repeats[1])
            a = _turn(ours, peer, repeats[0])
        else:
            a = _turn(ours, peer, repeats[0])
            b = _turn(peer, ours, repeats[1])
        pairs.append((a, b))
    return pairs


def _repeats(side: Side, other: Side) -> int:
    return max(1, round(SAMPLE / _turn(side, other, 1)))


def _turn(side: Side, other: Side, repeats: int) -> float:
    """Return seconds per call, once the other side's threads sleep and its data have left the caches."""
    end = time.perf_counter() + SPINS.get(other.name, OPENMP)
    side.call()
    while time.perf_counter() < end:
        side.call()
    start = time.perf_counter()
    for _ in range(repeats):
        side.call()
    return (time.perf_counter() - start) / repeats


@contextmanager
def _quiet() -> Iterator[None]:
    """Switch the garbage collector off, which would hit either side."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def mode(training: bool) -> Any:
    """Switch gradients outside the timed calls, since that is not the layers' work."""
    return torch.set_grad_enabled(training)
