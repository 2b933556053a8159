"""Decode sequences token by token from a model's scores: greedy, sampled, or by beam search.

A `Model` steps over rows. Every function starts from `first` (B) int64, the token before the sequence, and
the state of these B rows. Scores are sums of the model's own log-probabilities, before any blocking, filter
or noise. A hypothesis without any allowed next token ends there, as at its limit. Finished hypotheses leave
the batch, so the cost of a step depends on those still running. No gradients are kept.

Common arguments: `end`, the token that finishes a hypothesis (None: none does); `limit`, the maximum number
of tokens, an int or (B); `block_ngrams` n: no n-gram after `first` occurs twice (Paulus et al.,
arXiv:1705.04304; 0: no blocking); `banned` (M), tokens that never occur. A wrong argument is a `UsageError`.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any, Final

import torch
from torch import Tensor

from elman.decode.loop import (
    Choice,
    Constraints,
    Hypotheses,
    Model,
    State,
    maximum,
    require,
    search,
    stream,
    top_choices,
)

__all__ = ["Hypotheses", "Model", "State", "beam", "filter_logits", "greedy", "sample", "sample_stream"]

SMALLEST_FLOAT: Final = torch.finfo(torch.float32).tiny
MIN_TEMPERATURE: Final = 1e-6  # below it, sampling is greedy; above it, logits / temperature can't overflow
NOISE_NUMBERS: Final = 16_384  # random numbers drawn in one call


def greedy(
    model: Model,
    first: Tensor,
    state: State,
    *,
    end: int | None,
    limit: int | Tensor,
    block_ngrams: int = 0,
    banned: Tensor | None = None,
) -> Hypotheses:
    """Take the likeliest token of every step, the lowest id of equals: one hypothesis per input (K = 1)."""
    constraints = _constraints(first, end, limit, block_ngrams, banned)
    return search(model, first, state, partial(top_choices, count=1), constraints)


def sample(
    model: Model,
    first: Tensor,
    state: State,
    *,
    end: int | None,
    limit: int | Tensor,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    block_ngrams: int = 0,
    banned: Tensor | None = None,
) -> Hypotheses:
    """Sample one hypothesis per input (K = 1); `temperature`, `top_k` and `top_p` as in `filter_logits`."""
    constraints = _constraints(first, end, limit, block_ngrams, banned)
    return search(model, first, state, _draw(temperature, top_k, top_p, generator), constraints)


def sample_stream(
    model: Model,
    first: Tensor,
    state: State,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    block_ngrams: int = 0,
    banned: Tensor | None = None,
) -> Iterator[Tensor]:
    """Yield sampled tokens (B) step by step, until an input has no allowed token left."""
    constraints = _constraints(first, None, 1, block_ngrams, banned)
    return stream(model, first, state, _draw(temperature, top_k, top_p, generator), constraints)


def beam(
    model: Model,
    first: Tensor,
    state: State,
    *,
    beam_width: int,
    end: int | None,
    limit: int | Tensor,
    length_penalty: float = 0.0,
    n_best: int = 1,
    block_ngrams: int = 0,
    banned: Tensor | None = None,
) -> Hypotheses:
    """Return the `n_best` (K) hypotheses of a beam search, by score / ((5 + length) / 6) ** length_penalty.

    The penalty is GNMT's (Wu et al., arXiv:1609.08144). Each step keeps the `beam_width` best extensions;
    finished ones leave the beam. If the greedy hypothesis drops out of the beam it continues in an extra row,
    so the best hypothesis is never worse than greedy's; beam_width 1 is greedy search. Hypotheses that can no
    longer enter the n best are dropped: early without a penalty, late with a penalty and a distant limit.
    """
    constraints = _constraints(first, end, limit, block_ngrams, banned)
    require(beam_width >= 1, f"beam_width must be at least 1, not {beam_width}")
    require(1 <= n_best <= beam_width, f"n_best must be from 1 to the beam width {beam_width}, not {n_best}")
    require(0 <= length_penalty < math.inf, f"length_penalty must be 0 or more, not {length_penalty}")
    choose = partial(top_choices, count=beam_width)
    return search(model, first, state, choose, constraints, beam_width, n_best, length_penalty)


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


def _draw(temperature: float, top_k: int, top_p: float, generator: torch.Generator | None) -> Choice:
    """Return a choice by the Gumbel-max trick; torch.multinomial is slower and rejects rows of only -inf."""
    noise = _noise(generator)
    filter_logits(torch.zeros(1, 1), temperature, top_k, top_p)  # report a wrong option before the first step
    plain = not top_k and top_p == 1 and MIN_TEMPERATURE <= temperature <= 1 / MIN_TEMPERATURE
    scale = float(temperature) if plain else 1.0

    def choose(scores: Tensor) -> tuple[Tensor, Tensor]:
        kept = scores if plain else filter_logits(scores, temperature, top_k, top_p)
        # logits / t + noise and logits + t * noise have the same argmax
        noisy = torch.add(kept, noise(kept), alpha=scale)
        tokens = noisy.argmax(1, keepdim=True)
        return scores.gather(1, tokens), tokens

    return choose


def _noise(generator: torch.Generator | None) -> Callable[[Tensor], Tensor]:
    """Return a source of Gumbel noise; for few scores, drawing it for many steps at once is faster."""
    buffer: list[Tensor] = []

    def like(scores: Tensor) -> Tensor:
        if not buffer or buffer[-1].shape != scores.shape or buffer[-1].dtype != scores.dtype:
            steps = max(1, NOISE_NUMBERS // max(1, scores.numel()))
            exponential = scores.new_empty(steps, *scores.shape).exponential_(generator=generator)
            buffer[:] = exponential.clamp_(min=SMALLEST_FLOAT).log_().neg_().unbind()
        return buffer.pop()

    return like


def _constraints(
    first: Tensor, end: int | None, limit: int | Tensor, block_ngrams: int, banned: Tensor | None
) -> Constraints:
    require(first.dim() == 1 and first.dtype == torch.int64, "first must be token ids (B) of int64")
    require(end is None or end >= 0, f"end must be a token id or None, not {end}")
    require(block_ngrams >= 0, f"block_ngrams must be 0 (no blocking) or more, not {block_ngrams}")
    limits = torch.as_tensor(limit, device=first.device)
    valid = limits.shape in ((), first.shape) and limits.dtype == torch.int64 and bool((limits >= 1).all())
    require(valid, "limit must be an int of at least 1, or an int64 tensor with one per input")
    valid = banned is None or (
        banned.dim() == 1 and banned.dtype == torch.int64 and bool((banned >= 0).all())
    )
    require(valid, "banned must be token ids (M) of int64")
    highest = max(-1 if end is None else end, -1 if banned is None else maximum(banned))
    return Constraints(end, highest, limits.expand(len(first)), block_ngrams, banned)
