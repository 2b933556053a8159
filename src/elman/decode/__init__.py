"""From the scores of the next token to whole sequences: greedy, sampled or by beam search.

A `Model` steps over rows. Every function starts from `first` (B) int64, the token before the sequence, and
the state of these B rows. Scores are sums of the model's own log probabilities, whatever is blocked, filtered
or drawn. A hypothesis for which no token is left ends there and counts as it is, as at its limit. What has
ended leaves the batch, so a step costs by what still runs. No gradients are kept.

What several functions take: `end`, the token that finishes a hypothesis (None: none does); `limit`, the most
tokens of one, an int or (B); `block_ngrams` n: after `first` no n-gram comes twice (Paulus et al.,
arXiv:1705.04304; 0: all may); `banned` (M), tokens that never come. What cannot be meant is a `UsageError`.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any, Final

import torch
from torch import Tensor

from elman.decode.loop import Choice, Found, Model, Rules, State, most, require, search, stream, top

__all__ = ["Found", "Model", "State", "beam", "filtered", "greedy", "sample", "sampled"]

TINY: Final = torch.finfo(torch.float32).tiny
COLD: Final = 1e-6  # a temperature as good as 0; above it no quotient overflows
AT_ONCE: Final = 16_384  # random numbers that are drawn together


def greedy(
    model: Model,
    first: Tensor,
    state: State,
    *,
    end: int | None,
    limit: int | Tensor,
    block_ngrams: int = 0,
    banned: Tensor | None = None,
) -> Found:
    """The likeliest token at every step, the lowest of equals: one hypothesis an input (K = 1)."""
    rules = _rules(first, end, limit, block_ngrams, banned)
    return search(model, first, state, partial(top, width=1), rules)


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
) -> Found:
    """One drawn hypothesis an input (K = 1); `temperature`, `top_k` and `top_p` as in `filtered`."""
    rules = _rules(first, end, limit, block_ngrams, banned)
    return search(model, first, state, _draw(temperature, top_k, top_p, generator), rules)


def sampled(
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
    """Drawn tokens (B) as they come, without end: it stops only when an input has no token left."""
    rules = _rules(first, None, 1, block_ngrams, banned)
    return stream(model, first, state, _draw(temperature, top_k, top_p, generator), rules)


def beam(
    model: Model,
    first: Tensor,
    state: State,
    *,
    width: int,
    end: int | None,
    limit: int | Tensor,
    length_penalty: float = 0.0,
    n_best: int = 1,
    block_ngrams: int = 0,
    banned: Tensor | None = None,
) -> Found:
    """The `n_best` (K) of a beam search, by score / ((5 + length) / 6) ** length_penalty.

    The penalty is GNMT's (Wu et al., arXiv:1609.08144). Each step keeps the `width` best extensions; those
    that ended leave the beam. The greedy hypothesis runs on as one more row where it falls out, so the best
    found is never worse than greedy's; width 1 is greedy. What can no longer become one of the n best is
    dropped: soon without a penalty, late with one and a far limit.
    """
    rules = _rules(first, end, limit, block_ngrams, banned)
    require(width >= 1, f"width must be at least 1, not {width}")
    require(1 <= n_best <= width, f"n_best must be from 1 to the width {width}, not {n_best}")
    require(0 <= length_penalty < math.inf, f"length_penalty must be 0 or more, not {length_penalty}")
    return search(model, first, state, partial(top, width=width), rules, width, n_best, length_penalty)


def filtered(logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Logits (N, V) over the temperature; -inf for what is not to be drawn.

    Of each row the `top_k` best stay (0: all; Fan et al., arXiv:1805.04833), and of these the fewest that
    hold `top_p` of their probability (Holtzman et al., arXiv:1904.09751), at least one. At temperature 0 only
    the best stays.
    """
    holds = _is(Real, temperature) and 0 <= temperature < math.inf
    require(holds, f"temperature must be a number of 0 or more, not {temperature!r}")
    holds = _is(Integral, top_k) and top_k >= 0
    require(holds, f"top_k must be a whole number: 0, for all tokens, or more, not {top_k!r}")
    holds = _is(Real, top_p) and 0 < top_p <= 1
    require(holds, f"top_p must be a number above 0 and at most 1, not {top_p!r}")
    if temperature < COLD:
        best = logits.argmax(1, keepdim=True)
        return torch.full_like(logits, -math.inf).scatter(1, best, logits.gather(1, best))
    logits = logits / temperature
    if not top_k and top_p == 1:
        return logits
    values, order = logits.topk(min(top_k or logits.shape[1], logits.shape[1]))
    share = values.softmax(1)
    before = share.cumsum(1) - share
    nothing = torch.full_like(logits, -math.inf)
    return nothing.scatter(1, order, values.masked_fill((before >= top_p) & (top_p < 1), -math.inf))


def _is(kind: type, value: Any) -> bool:
    """Also for NumPy's numbers."""
    return isinstance(value, kind)


def _draw(temperature: float, top_k: int, top_p: float, generator: torch.Generator | None) -> Choice:
    """The largest of logits plus Gumbel noise is a draw; torch.multinomial takes no row of nothing but -inf,
    and longer."""
    noise = _noise(generator)
    filtered(torch.zeros(1, 1), temperature, top_k, top_p)  # tells a wrong option now, not at a step
    plain = not top_k and top_p == 1 and COLD <= temperature <= 1 / COLD
    share = float(temperature) if plain else 1.0

    def choose(scores: Tensor) -> tuple[Tensor, Tensor]:
        kept = scores if plain else filtered(scores, temperature, top_k, top_p)
        # logits over the temperature plus noise are largest where logits plus so much noise are
        noisy = torch.add(kept, noise(kept), alpha=share)
        drawn = noisy.argmax(1, keepdim=True)
        return scores.gather(1, drawn), drawn

    return choose


def _noise(generator: torch.Generator | None) -> Callable[[Tensor], Tensor]:
    """Gumbel noise for every score; where they are few, for many steps at once: each draw takes its time."""
    ready: list[Tensor] = []

    def like(scores: Tensor) -> Tensor:
        if not ready or ready[-1].shape != scores.shape or ready[-1].dtype != scores.dtype:
            steps = max(1, AT_ONCE // max(1, scores.numel()))
            drawn = scores.new_empty(steps, *scores.shape).exponential_(generator=generator)
            ready[:] = drawn.clamp_(min=TINY).log_().neg_().unbind()
        return ready.pop()

    return like


def _rules(
    first: Tensor, end: int | None, limit: int | Tensor, block_ngrams: int, banned: Tensor | None
) -> Rules:
    require(first.dim() == 1 and first.dtype == torch.int64, "first must be token ids (B) of int64")
    require(end is None or end >= 0, f"end must be a token id or None, not {end}")
    require(block_ngrams >= 0, f"block_ngrams must be 0, for none, or more, not {block_ngrams}")
    limits = torch.as_tensor(limit, device=first.device)
    whole = limits.shape in ((), first.shape) and limits.dtype == torch.int64 and bool((limits >= 1).all())
    require(whole, "limit must be an int of at least 1, or an int64 tensor of such for every input")
    ids = banned is None or (banned.dim() == 1 and banned.dtype == torch.int64 and bool((banned >= 0).all()))
    require(ids, "banned must be token ids (M) of int64")
    highest = max(-1 if end is None else end, -1 if banned is None else most(banned))
    return Rules(end, highest, limits.expand(len(first)), block_ngrams, banned)
