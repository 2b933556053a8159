"""Draw tokens from logits: temperature, the k best, the nucleus.

N rows, V tokens.
"""

import math
from numbers import Integral, Real
from typing import Any, Final

import torch
from torch import Tensor

from elman.decode.loop import Constraints, allowed, require, require_distribution

SMALLEST_FLOAT: Final = torch.finfo(torch.float32).tiny
MIN_TEMPERATURE: Final = 1e-6  # below it, sampling is greedy; above it, logits / temperature can't overflow
NOISE_NUMBERS: Final = 16_384  # random numbers drawn in one call


def filter_logits(logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Return logits (N, V) divided by the temperature, with -inf for tokens not to be sampled.

    Each row keeps its `top_k` best (0: all; Fan et al., arXiv:1805.04833), and of these the fewest with a
    total probability of at least `top_p` (nucleus sampling: Holtzman et al., arXiv:1904.09751), at least one.
    Temperature 0 keeps the best only.
    """
    valid = _is(Real, temperature) and 0 <= temperature < math.inf
    require(valid, f"temperature must be a number of 0 or more, not {temperature!r}")
    valid = _is(Integral, top_k) and not isinstance(top_k, bool) and top_k >= 0
    require(valid, f"top_k must be a whole number: 0, for all tokens, or more, not {top_k!r}")
    valid = _is(Real, top_p) and 0 < top_p <= 1
    require(valid, f"top_p must be a number above 0 and at most 1, not {top_p!r}")
    if temperature < MIN_TEMPERATURE:
        best = logits.argmax(1, keepdim=True)
        return torch.full_like(logits, -math.inf).scatter(1, best, logits.gather(1, best))
    limits = torch.finfo(logits.dtype)  # beyond which a number becomes 0 or infinity
    logits = logits / min(temperature, limits.max)
    if not top_k and top_p == 1:
        return logits
    values, order = logits.topk(min(top_k or logits.shape[1], logits.shape[1]))
    probabilities = values.softmax(1)
    before = probabilities.cumsum(1) - probabilities
    kept = values.masked_fill((before >= max(top_p, limits.tiny)) & (top_p < 1), -math.inf)
    return torch.full_like(logits, -math.inf).scatter(1, order, kept)


def _is(kind: type, value: Any) -> bool:
    """Also for NumPy's numbers."""
    return isinstance(value, kind)


class Draw:
    """A choice by the Gumbel-max trick; torch.multinomial is slower and rejects rows of only -inf.

    Attributes:
        scale: of the noise; None where logits are filtered first.
    """

    def __init__(
        self, temperature: float, top_k: int, top_p: float, generator: torch.Generator | None
    ) -> None:
        self._filter, self._generator = (temperature, top_k, top_p), generator
        filter_logits(torch.zeros(1, 1), *self._filter)  # report a wrong option before the first step
        plain = not top_k and top_p == 1 and MIN_TEMPERATURE <= temperature <= 1 / MIN_TEMPERATURE
        self.scale = float(temperature) if plain else None
        self._noise: list[Tensor] = []

    def __call__(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores (N, 1) of the tokens drawn from scores (N, V), and the tokens (N, 1)."""
        kept = scores if self.scale is not None else filter_logits(scores, *self._filter)
        # logits / t + noise and logits + t * noise have the same argmax
        scale = 1.0 if self.scale is None else self.scale
        noisy = torch.add(kept, self._noise_like(kept), alpha=scale)
        tokens = noisy.argmax(1, keepdim=True)
        return scores.gather(1, tokens), tokens

    def noise(self, scores: Tensor) -> Tensor:
        """Draw Gumbel noise (steps, N, V) for scores (N, V): for few of them, many steps at once, which is
        faster."""
        steps = max(1, NOISE_NUMBERS // max(1, scores.numel()))
        exponential = scores.new_empty(steps, *scores.shape).exponential_(generator=self._generator)
        return exponential.clamp_(min=SMALLEST_FLOAT).log_().neg_()

    def _noise_like(self, scores: Tensor) -> Tensor:
        noise = self._noise
        if not noise or noise[-1].shape != scores.shape or noise[-1].dtype != scores.dtype:
            noise[:] = self.noise(scores).unbind()
        return noise.pop()


class Sampling:
    """The choice of every next token of B inputs, without end."""

    def __init__(self, first: Tensor, draw: Draw, constraints: Constraints) -> None:
        """Begin after the tokens `first` (B)."""
        self._draw, self._constraints = draw, constraints
        self._history = first.new_empty(len(first), 0)
        self._rows: list[Any] = []  # of noise, with -inf for tokens that are banned

    def __call__(self, logits: Tensor) -> Tensor | None:
        """Return the tokens (B) after logits (B, V); None once an input has no allowed token left."""
        self._constraints.check(logits)
        # choosing needs no normalised probabilities, so skip the log_softmax
        values, chosen = self._draw(allowed(logits, self._history, self._constraints))
        total = sum(value for (value,) in values.tolist())  # one transfer from the device for all rows
        if not math.isfinite(total):
            require_distribution(total == -math.inf and bool((logits > -math.inf).any(1).all()))
            return None
        if self._constraints.block_ngrams:  # otherwise memory stays constant
            self._history = torch.cat([self._history, chosen], 1)
        return chosen[:, 0]

    def one(self, logits: Any) -> int | None:
        """Return the token of one input after logits, an array (1, V) of float32; None as above. Operations
        of NumPy take half the time of PyTorch's."""
        scale = self._draw.scale
        if scale is None or self._constraints.block_ngrams:
            tokens = self(torch.from_numpy(logits))
            return None if tokens is None else int(tokens)
        if not self._rows:
            self._rows = self._noise(torch.from_numpy(logits), scale)
        noisy = self._rows.pop()
        noisy += logits[0]
        token = int(noisy.argmax())
        if not math.isfinite(noisy[token]):
            require_distribution(noisy[token] == -math.inf and bool((logits > -math.inf).any()))
            return None
        return token

    def _noise(self, logits: Tensor, scale: float) -> list[Any]:
        self._constraints.check(logits)
        noise = (scale * self._draw.noise(logits)).squeeze(1)
        if self._constraints.banned is not None:
            noise[:, self._constraints.banned] = -math.inf
        return list(noise.numpy())
