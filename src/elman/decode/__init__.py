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
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from elman.decode.loop import (
    Constraints,
    Hypotheses,
    Model,
    Searching,
    State,
    maximum,
    require,
    stream,
    top_choices,
)
from elman.decode.sampling import Draw, Sampling, filter_logits

__all__ = [
    "Hypotheses",
    "Model",
    "Sampling",
    "Searching",
    "State",
    "beam",
    "beam_search",
    "filter_logits",
    "greedy",
    "sample",
    "sample_search",
    "sample_stream",
    "sampler",
]


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
    return Searching(model, partial(top_choices, count=1), constraints).run(first, state)


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
    searching = sample_search(
        model,
        first,
        end=end,
        limit=limit,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        generator=generator,
        block_ngrams=block_ngrams,
        banned=banned,
    )
    return searching.run(first, state)


def sample_search(
    model: Model,
    first: Tensor,
    *,
    end: int | None,
    limit: int | Tensor,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    block_ngrams: int = 0,
    banned: Tensor | None = None,
) -> Searching:
    """Prepare what `sample` does, so that its steps can be left to the caller."""
    constraints = _constraints(first, end, limit, block_ngrams, banned)
    return Searching(model, Draw(temperature, top_k, top_p, generator), constraints)


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
    sampling = sampler(
        first,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        generator=generator,
        block_ngrams=block_ngrams,
        banned=banned,
    )
    return stream(model, first, state, sampling)


def sampler(
    first: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    block_ngrams: int = 0,
    banned: Tensor | None = None,
) -> Sampling:
    """Prepare what `sample_stream` does, so that its steps can be left to the caller."""
    constraints = _constraints(first, None, 1, block_ngrams, banned)
    return Sampling(first, Draw(temperature, top_k, top_p, generator), constraints)


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
    searching = beam_search(
        model,
        first,
        beam_width=beam_width,
        end=end,
        limit=limit,
        length_penalty=length_penalty,
        n_best=n_best,
        block_ngrams=block_ngrams,
        banned=banned,
    )
    return searching.run(first, state)


def beam_search(
    model: Model,
    first: Tensor,
    *,
    beam_width: int,
    end: int | None,
    limit: int | Tensor,
    length_penalty: float = 0.0,
    n_best: int = 1,
    block_ngrams: int = 0,
    banned: Tensor | None = None,
) -> Searching:
    """Prepare what `beam` does, so that its steps can be left to the caller."""
    constraints = _constraints(first, end, limit, block_ngrams, banned)
    require(beam_width >= 1, f"beam_width must be at least 1, not {beam_width}")
    require(1 <= n_best <= beam_width, f"n_best must be from 1 to the beam width {beam_width}, not {n_best}")
    require(0 <= length_penalty < math.inf, f"length_penalty must be 0 or more, not {length_penalty}")
    choose = partial(top_choices, count=beam_width)
    return Searching(model, choose, constraints, beam_width, n_best, length_penalty)


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
