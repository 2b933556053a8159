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
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.errors import UsageError

State = Any
TINY: Final = torch.finfo(torch.float32).tiny
# Log probabilities (N, V) → the tokens to go on with, the greedy one first, and theirs: both (N, k).
_Choice = Callable[[Tensor], tuple[Tensor, Tensor]]


class Model(NamedTuple):
    """What gives the scores, as functions over any number N of rows."""

    # Tokens (N) and the state of their rows → logits (N, V) of the next token and the next state.
    step: Callable[[Tensor, State], tuple[Tensor, State]]
    # State and rows (M) → the state of those rows, in that order; a row may come often or never.
    select: Callable[[State, Tensor], State]
    # The state after a step → what to keep of the step (N, ...): attention weights, say.
    trace: Callable[[State], Tensor] | None = None


class Found(NamedTuple):
    """K hypotheses of every input, best first; where there are fewer, length 0 and score -inf."""

    tokens: Tensor  # (B, K, L) int64, without the first token; `end` (0 if None) beyond the length
    lengths: Tensor  # (B, K) int64, the end token counted
    scores: Tensor  # (B, K) sums of log probabilities, before the length penalty
    trace: Tensor | None = None  # (B, K, L, ...) of the step that gave each token; 0 beyond the length


class _Rules(NamedTuple):
    end: int | None
    highest: int  # token named by an option
    limits: Tensor  # (B)
    block_ngrams: int
    banned: Tensor | None


class _Finished(NamedTuple):
    """Hypotheses (B, M) that ended, ordered by rank; those of rank -inf do not exist."""

    ranks: Tensor
    sums: Tensor
    lengths: Tensor
    history: Tensor  # (B, M, T, 2) each step's token, and the row of that step that gave it


class _Running(NamedTuple):
    """Hypotheses of B inputs in S = width + 1 places, the last for a greedy one that fell out of the beam."""

    sums: Tensor  # (B, S), -inf where the place is empty
    history: Tensor  # (B, S, T, 2) as above
    greedy: Tensor  # (B) the place of the greedy one; empty once it is over


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
    return _search(model, first, state, partial(_top, width=1), rules)


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
    return _search(model, first, state, _draw(temperature, top_k, top_p, generator), rules)


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
    return _stream(model, first, state, _draw(temperature, top_k, top_p, generator), rules)


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
    _require(width >= 1, f"width must be at least 1, not {width}")
    _require(1 <= n_best <= width, f"n_best must be from 1 to the width {width}, not {n_best}")
    _require(0 <= length_penalty < math.inf, f"length_penalty must be 0 or more, not {length_penalty}")
    return _search(model, first, state, partial(_top, width=width), rules, width, n_best, length_penalty)


def filtered(logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """Logits (N, V) over the temperature; -inf for what is not to be drawn.

    Of each row the `top_k` best stay (0: all; Fan et al., arXiv:1805.04833), and of these the fewest that
    hold `top_p` of their probability (Holtzman et al., arXiv:1904.09751), at least one. At temperature 0 only
    the best stays.
    """
    _require(0 <= temperature < math.inf, f"temperature must be 0 or more, not {temperature}")
    _require(top_k >= 0, f"top_k must be 0, for all tokens, or more, not {top_k}")
    _require(0 < top_p <= 1, f"top_p must be above 0 and at most 1, not {top_p}")
    if temperature < 1e-6:  # as good as 0, and above it no quotient overflows
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


def _search(
    model: Model,
    first: Tensor,
    state: State,
    choose: _Choice,
    rules: _Rules,
    width: int = 1,
    n_best: int = 1,
    length_penalty: float = 0.0,
) -> Found:
    """The one loop over time. It steps the flat rows of the places that are alive, in their order."""
    finished, running = _nothing(first, n_best), _start(first, width)
    tokens, traces = first, []
    limits = rules.limits[:, None]
    for t in range(_most(limits)):
        history = running.history[..., 0][running.sums > -math.inf]
        scores, state = _scored(model, tokens, state, history, rules)
        _usable(not bool(scores[:, 0].isnan().any()))  # one bad logit makes the whole row NaN
        traces += [model.trace(state)] if model.trace else []
        running, stuck = _extended(running, choose(scores))
        ended = stuck | (t + 1 >= limits)
        if rules.end is not None:
            ended |= running.history[:, :, -1, 0] == rules.end
        lengths = t + 1 - stuck.long()
        ranks = _penalised(running.sums, lengths, length_penalty).masked_fill(~ended, -math.inf)
        if bool((ranks > -math.inf).any()):
            finished = _best(finished, _Finished(ranks, running.sums, lengths, running.history))
        # A sum only falls, and the penalty is mildest at the limit: nothing that grows from here beats this.
        bound = _penalised(running.sums, limits, length_penalty)
        over = ended | (bound <= finished.ranks.amin(1, keepdim=True))
        running = running._replace(sums=running.sums.masked_fill(over, -math.inf))
        tokens, rows = running.history[:, :, -1][running.sums > -math.inf].unbind(1)
        if not len(rows):
            break
        state = model.select(state, rows)
    return _found(finished, traces, rules.end)


def _extended(running: _Running, choices: tuple[Tensor, Tensor]) -> tuple[_Running, Tensor]:
    """The best extensions by the choices (N, k) of each row; and which (B, S) could not be extended."""
    (values, tokens), width = choices, running.sums.shape[1] - 1
    alive, count = running.sums > -math.inf, values.shape[1]
    stuck = values[:, :1] == -math.inf
    values = torch.cat([values[:, :1].masked_fill(stuck, 0), values[:, 1:]], 1)  # it stands for itself
    extensions = _placed(running.sums[alive][:, None] + values, alive, -math.inf).flatten(1)
    # The greedy one takes its first choice; an empty place gives empty ones, so once over it stays over.
    own = running.greedy[:, None] * count
    best = extensions.topk(width).indices
    chosen = torch.cat([best, own], 1)
    sums = extensions.gather(1, chosen)
    sums[:, -1:] = sums[:, -1:].masked_fill((best == own).any(1, keepdim=True), -math.inf)

    def of_chosen(x: Tensor) -> Tensor:  # (N, k) → (B, S)
        return _placed(x.expand_as(tokens), alive, 0).flatten(1).gather(1, chosen)

    rows = torch.arange(len(tokens), device=tokens.device)[:, None]
    latest = torch.stack([of_chosen(tokens), of_chosen(rows)], 2)[:, :, None]
    history = torch.cat([_taken(running.history, chosen // count), latest], 2)
    return _Running(sums, history, (chosen == own).int().argmax(1)), of_chosen(stuck)


def _top(scores: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The best of scores (N, V), at most `width`; first the lowest token of equals, as in greedy search."""
    if min(width, scores.shape[1]) == 1:
        first = scores.argmax(1, keepdim=True)
        return scores.gather(1, first), first
    values, tokens = scores.topk(min(width, scores.shape[1]))
    tied = (values[:, 0] == values[:, 1]).nonzero()[:, 0]  # topk orders equals as it likes
    first = scores[tied].argmax(1, keepdim=True)
    tokens[tied] = torch.where(tokens[tied] == first, tokens[tied, :1], tokens[tied])
    tokens[tied, 0] = first[:, 0]
    return values, tokens


def _draw(temperature: float, top_k: int, top_p: float, generator: torch.Generator | None) -> _Choice:
    def choose(scores: Tensor) -> tuple[Tensor, Tensor]:
        # The largest of logits plus Gumbel noise is a draw; torch.multinomial takes no row of nothing but
        # -inf, and longer.
        kept = filtered(scores, temperature, top_k, top_p)
        noise = torch.empty_like(kept).exponential_(generator=generator).clamp_(min=TINY).log_()
        drawn = (kept - noise).argmax(1, keepdim=True)
        return scores.gather(1, drawn), drawn

    filtered(torch.zeros(1, 1), temperature, top_k, top_p)  # tells a wrong option now, not at a step
    return choose


def _stream(model: Model, first: Tensor, state: State, choose: _Choice, rules: _Rules) -> Iterator[Tensor]:
    tokens, history = first, first.new_empty(len(first), 0)
    while True:
        scores, state = _scored(model, tokens, state, history, rules)
        values, drawn = choose(scores)
        total = float(values.sum())  # one look at all: it costs as much as a step of a small network
        _usable(not math.isnan(total))
        if total == -math.inf:
            return
        tokens = drawn[:, 0]
        if rules.block_ngrams:  # else nothing grows with the stream
            history = torch.cat([history, drawn], 1)
        yield tokens


def _scored(
    model: Model, tokens: Tensor, state: State, history: Tensor, rules: _Rules
) -> tuple[Tensor, State]:
    """Log probabilities (N, V), -inf for what may not follow history (N, T); and the next state."""
    with torch.no_grad():
        logits, state = model.step(tokens, state)
    size, n = logits.shape[1], rules.block_ngrams
    _require(rules.highest < size, f"end and banned must be below {size}, the tokens that there are")
    scores = logits.log_softmax(1, dtype=torch.promote_types(logits.dtype, torch.float32))
    if rules.banned is not None:
        scores.index_fill_(1, rules.banned, -math.inf)
    if 0 < n <= history.shape[1]:
        windows, last = history.unfold(1, n, 1), history[:, None, history.shape[1] - n + 1 :]
        rows, at = (windows[..., :-1] == last).all(2).nonzero().unbind(1)
        scores[rows, windows[rows, at, -1]] = -math.inf
    return scores, state


def _usable(holds: bool) -> None:
    _require(holds, "model.step must give logits without NaN or +inf, and not -inf for every token")


def _placed(rows: Tensor, alive: Tensor, fill: float) -> Tensor:
    """Rows (N, ...) in the places (B, S, ...) that are alive, in order; `fill` in the others."""
    out = rows.new_full((*alive.shape, *rows.shape[1:]), fill)
    out[alive] = rows
    return out


def _taken(x: Tensor, places: Tensor) -> Tensor:
    """x (B, S, ...) at places (B, M) → (B, M, ...)."""
    return x[torch.arange(len(x), device=x.device)[:, None], places]


def _start(first: Tensor, width: int) -> _Running:
    sums = torch.full((len(first), width + 1), -math.inf, device=first.device)
    sums[:, 0] = 0
    return _Running(sums, first.new_empty(*sums.shape, 0, 2), torch.zeros_like(first))


def _nothing(first: Tensor, count: int) -> _Finished:
    ranks = torch.full((len(first), count), -math.inf, device=first.device)
    lengths = first.new_zeros(len(first), count)
    return _Finished(ranks, ranks, lengths, first.new_zeros(len(first), count, 0, 2))


def _best(finished: _Finished, new: _Finished) -> _Finished:
    """The best of both, as many as there were, in order. Histories of `new` are longer."""
    steps = new.history.shape[2] - finished.history.shape[2]
    padded = finished._replace(history=F.pad(finished.history, (0, 0, 0, steps)))
    both = [torch.cat(pair, 1) for pair in zip(padded, new, strict=True)]
    order = both[0].topk(finished.ranks.shape[1]).indices
    return _Finished(*(_taken(field, order) for field in both))


def _penalised(sums: Tensor, lengths: Tensor, alpha: float) -> Tensor:
    return sums / ((5 + lengths.to(sums.dtype)) / 6) ** alpha


def _found(finished: _Finished, traces: list[Tensor], end: int | None) -> Found:
    """Cut to the longest, cleared beyond the lengths. traces: (N, ...) of every step."""
    exists = finished.ranks > -math.inf
    lengths = finished.lengths.where(exists, 0)
    total = _most(lengths)
    tokens = finished.history[:, :, :total, 0]
    beyond = torch.arange(total, device=lengths.device) >= lengths[:, :, None]
    trace = None
    if traces:
        # Cut after stacking, as there may be nothing to stack where every length is 0.
        each = [kept[at] for kept, at in zip(traces, finished.history[..., 1].unbind(2), strict=False)]
        trace = torch.stack(each, 2)[:, :, :total]
        trace = trace.masked_fill(beyond.view(*beyond.shape, *[1] * (trace.dim() - 3)), 0)
    tokens = tokens.masked_fill(beyond, 0 if end is None else end)
    return Found(tokens, lengths, finished.sums.where(exists, -math.inf), trace)


def _most(lengths: Tensor) -> int:
    return int(lengths.max()) if lengths.numel() else 0


def _rules(
    first: Tensor, end: int | None, limit: int | Tensor, block_ngrams: int, banned: Tensor | None
) -> _Rules:
    _require(first.dim() == 1 and first.dtype == torch.int64, "first must be token ids (B) of int64")
    _require(end is None or end >= 0, f"end must be a token id or None, not {end}")
    _require(block_ngrams >= 0, f"block_ngrams must be 0, for none, or more, not {block_ngrams}")
    limits = torch.as_tensor(limit, device=first.device)
    whole = limits.shape in ((), first.shape) and limits.dtype == torch.int64 and bool((limits >= 1).all())
    _require(whole, "limit must be an int of at least 1, or an int64 tensor of such for every input")
    ids = banned is None or (banned.dim() == 1 and banned.dtype == torch.int64 and bool((banned >= 0).all()))
    _require(ids, "banned must be token ids (M) of int64")
    highest = max(-1 if end is None else end, -1 if banned is None else _most(banned))
    return _Rules(end, highest, limits.expand(len(first)), block_ngrams, banned)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise UsageError(otherwise)
