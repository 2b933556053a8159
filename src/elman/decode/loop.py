"""The loop over time behind `elman.decode`: rows are stepped, extended, ended and dropped."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.errors import UsageError

State = Any
# Log probabilities (N, V) → the tokens to go on with, the greedy one first, and theirs: both (N, k).
Choice = Callable[[Tensor], tuple[Tensor, Tensor]]


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


class Rules(NamedTuple):
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


def search(
    model: Model,
    first: Tensor,
    state: State,
    choose: Choice,
    rules: Rules,
    width: int = 1,
    n_best: int = 1,
    length_penalty: float = 0.0,
) -> Found:
    """The one loop over time. It steps the flat rows of the places that are alive, in their order."""
    finished, running = _nothing(first, n_best), _start(first, width)
    tokens, traces = first, []
    limits = rules.limits[:, None]
    for t in range(most(limits)):
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


def top(scores: Tensor, width: int) -> tuple[Tensor, Tensor]:
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


def stream(model: Model, first: Tensor, state: State, choose: Choice, rules: Rules) -> Iterator[Tensor]:
    """Tokens (B) as they are chosen, until an input has none left."""
    tokens, history = first, first.new_empty(len(first), 0)
    while True:
        # a choice among tokens needs no probabilities that add up to one, and making them takes time
        logits, state = _stepped(model, tokens, state, rules)
        values, drawn = choose(_allowed(logits, history, rules))
        total = sum(value for (value,) in values.tolist())  # one look at all, which takes its time
        if not math.isfinite(total):
            _usable(total == -math.inf and bool((logits > -math.inf).any(1).all()))
            return
        tokens = drawn[:, 0]
        if rules.block_ngrams:  # else nothing grows with the stream
            history = torch.cat([history, drawn], 1)
        yield tokens


def _stepped(model: Model, tokens: Tensor, state: State, rules: Rules) -> tuple[Tensor, State]:
    with torch.no_grad():
        logits, state = model.step(tokens, state)
    size = logits.shape[1]
    require(rules.highest < size, f"end and banned must be below {size}, the tokens that there are")
    return logits, state


def _scored(
    model: Model, tokens: Tensor, state: State, history: Tensor, rules: Rules
) -> tuple[Tensor, State]:
    """Log probabilities (N, V), -inf for what may not follow history (N, T); and the next state."""
    logits, state = _stepped(model, tokens, state, rules)
    scores = logits.log_softmax(1, dtype=torch.promote_types(logits.dtype, torch.float32))
    return _allowed(scores, history, rules), state


def _allowed(scores: Tensor, history: Tensor, rules: Rules) -> Tensor:
    """A copy with -inf for what may not follow."""
    n = rules.block_ngrams
    if rules.banned is not None:
        scores = scores.index_fill(1, rules.banned, -math.inf)
    if 0 < n <= history.shape[1]:
        windows, last = history.unfold(1, n, 1), history[:, None, history.shape[1] - n + 1 :]
        rows, at = (windows[..., :-1] == last).all(2).nonzero().unbind(1)
        scores = scores.index_put((rows, windows[rows, at, -1]), scores.new_tensor(-math.inf))
    return scores


def _usable(holds: bool) -> None:
    require(holds, "model.step must give logits without NaN or +inf, and not -inf for every token")


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
    total = most(lengths)
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


def most(lengths: Tensor) -> int:
    return int(lengths.max()) if lengths.numel() else 0


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise UsageError(otherwise)
