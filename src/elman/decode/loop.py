"""The decoding loop behind `elman.decode`: step the rows, extend hypotheses, drop the finished ones."""

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.errors import UsageError
from elman.stepping import driven

State = Any
# Log-probabilities (N, V) → those of the chosen tokens and the tokens, the greedy one first: both (N, k).
Choice = Callable[[Tensor], tuple[Tensor, Tensor]]


class Model(NamedTuple):
    """A language model as functions over any number N of rows."""

    # Tokens (N) and the state of their rows → logits (N, V) of the next token and the next state.
    step: Callable[[Tensor, State], tuple[Tensor, State]]
    # State and rows (M) → the state of those rows, in that order; rows may repeat or be missing.
    select: Callable[[State, Tensor], State]
    # State after a step → what to record of the step (N, ...), such as attention weights.
    trace: Callable[[State], Tensor] | None = None


class Hypotheses(NamedTuple):
    """K hypotheses per input, best first; missing ones have length 0 and score -inf."""

    tokens: Tensor  # (B, K, L) int64, without the first token; `end` (0 if None) beyond the length
    lengths: Tensor  # (B, K) int64, including the end token
    scores: Tensor  # (B, K) sums of log-probabilities, before the length penalty
    trace: Tensor | None = None  # (B, K, L, ...) recorded at each token's step; 0 beyond the length


class Constraints(NamedTuple):
    end: int | None
    highest: int  # largest token id among the options, -1 for none
    limits: Tensor  # (B)
    block_ngrams: int
    banned: Tensor | None

    def check(self, logits: Tensor) -> None:
        """Raise UsageError for logits (N, V) without an option's token."""
        size = logits.shape[1]
        require(self.highest < size, f"end and banned must be below {size}, the number of tokens")


class _Finished(NamedTuple):
    """Finished hypotheses (B, M) by rank, the penalised score; a rank of -inf marks an empty slot."""

    ranks: Tensor
    sums: Tensor
    lengths: Tensor
    history: Tensor  # (B, M, T, 2): each step's token, and the row that produced it


class _Running(NamedTuple):
    """Running hypotheses in S = beam_width + 1 slots; the last is for a greedy one outside the beam."""

    sums: Tensor  # (B, S), -inf in empty slots
    history: Tensor  # (B, S, T, 2), as in _Finished
    greedy: Tensor  # (B) slot of the greedy hypothesis, which is empty once that has ended


@dataclass(frozen=True)
class Searching:
    """A search for whole sequences. The slots in use are stepped, as flat rows in slot order."""

    model: Model
    choose: Choice
    constraints: Constraints
    beam_width: int = 1
    n_best: int = 1
    length_penalty: float = 0.0

    def run(self, first: Tensor, state: State) -> Hypotheses:
        """Decode until every hypothesis has ended."""

        def step(request: tuple[Tensor, State]) -> tuple[Tensor, State]:
            with torch.no_grad():
                return self.model.step(*request)

        return driven(self.steps(first, state), step)

    def steps(
        self, first: Tensor, state: State
    ) -> Generator[tuple[Tensor, State], tuple[Tensor, State], Hypotheses]:
        """Leave the model's steps to the caller: yield the tokens (N) and the state of a step, take its
        logits (N, V) and the next state, and return the hypotheses."""
        constraints = self.constraints
        finished, running = _start(first, self.beam_width, self.n_best)
        tokens, traces = first, []
        for t in range(maximum(constraints.limits)):
            logits, state = yield tokens, state
            constraints.check(logits)
            log_probs = logits.log_softmax(1, dtype=torch.promote_types(logits.dtype, torch.float32))
            log_probs = allowed(log_probs, running.history[..., 0][running.sums > -math.inf], constraints)
            # one bad logit makes the whole row NaN
            require_distribution(not bool(log_probs[:, 0].isnan().any()))
            traces += [self.model.trace(state)] if self.model.trace else []
            running, stuck = _extended(running, self.choose(log_probs))
            finished, running = self._finished(finished, running, stuck, t)
            tokens, rows = running.history[:, :, -1][running.sums > -math.inf].unbind(1)
            if not len(rows):
                break
            state = self.model.select(state, rows)
        return _hypotheses(finished, traces, constraints.end)

    def _finished(
        self, finished: _Finished, running: _Running, stuck: Tensor, t: int
    ) -> tuple[_Finished, _Running]:
        """Move the hypotheses that end at step t to the finished ones, and drop those that can't win."""
        limits, end = self.constraints.limits[:, None], self.constraints.end
        ended = stuck | (t + 1 >= limits)
        if end is not None:
            ended |= running.history[:, :, -1, 0] == end
        lengths = t + 1 - stuck.long()
        ranks = _penalised(running.sums, lengths, self.length_penalty).masked_fill(~ended, -math.inf)
        if bool((ranks > -math.inf).any()):
            finished = _merged(finished, _Finished(ranks, running.sums, lengths, running.history))
        # Sums only fall, and the penalty is mildest at the limit: an upper bound on every extension's rank.
        bound = _penalised(running.sums, limits, self.length_penalty)
        done = ended | (bound <= finished.ranks.amin(1, keepdim=True))
        return finished, running._replace(sums=running.sums.masked_fill(done, -math.inf))


def _extended(running: _Running, choices: tuple[Tensor, Tensor]) -> tuple[_Running, Tensor]:
    """Extend by the choices (N, k) of each row and keep the best; return also which (B, S) had no choice."""
    (values, tokens), beam_width = choices, running.sums.shape[1] - 1
    alive, count = running.sums > -math.inf, values.shape[1]
    stuck = values[:, :1] == -math.inf
    values = torch.cat([values[:, :1].masked_fill(stuck, 0), values[:, 1:]], 1)  # unchanged if stuck
    extensions = _to_slots(running.sums[alive][:, None] + values, alive, -math.inf).flatten(1)
    # The greedy hypothesis takes its first choice. An empty slot has empty extensions, so it stays empty.
    greedy = running.greedy[:, None] * count
    best = extensions.topk(beam_width).indices
    chosen = torch.cat([best, greedy], 1)
    sums = extensions.gather(1, chosen)
    sums[:, -1:] = sums[:, -1:].masked_fill((best == greedy).any(1, keepdim=True), -math.inf)

    def of_chosen(x: Tensor) -> Tensor:  # (N, k) → (B, S)
        return _to_slots(x.expand_as(tokens), alive, 0).flatten(1).gather(1, chosen)

    rows = torch.arange(len(tokens), device=tokens.device)[:, None]
    latest = torch.stack([of_chosen(tokens), of_chosen(rows)], 2)[:, :, None]
    history = torch.cat([_gathered(running.history, chosen // count), latest], 2)
    return _Running(sums, history, (chosen == greedy).int().argmax(1)), of_chosen(stuck)


def top_choices(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the best of scores (N, V), at most `count`, and their tokens; ties start with the lowest id."""
    if min(count, scores.shape[1]) == 1:
        first = scores.argmax(1, keepdim=True)
        return scores.gather(1, first), first
    values, tokens = scores.topk(min(count, scores.shape[1]))
    tied = (values[:, 0] == values[:, 1]).nonzero()[:, 0]  # topk orders equal scores arbitrarily
    first = scores[tied].argmax(1, keepdim=True)
    tokens[tied] = torch.where(tokens[tied] == first, tokens[tied, :1], tokens[tied])
    tokens[tied, 0] = first[:, 0]
    return values, tokens


def stream(
    model: Model, first: Tensor, state: State, sampling: Callable[[Tensor], Tensor | None]
) -> Iterator[Tensor]:
    """Yield the tokens (B) that `sampling` chooses at every step, until an input has none left."""
    tokens = first
    while True:
        with torch.no_grad():
            logits, state = model.step(tokens, state)
        chosen = sampling(logits)
        if chosen is None:
            return
        tokens = chosen
        yield tokens


def allowed(scores: Tensor, history: Tensor, constraints: Constraints) -> Tensor:
    """Return scores (N, V), with -inf for tokens that are banned or repeat an n-gram of history (N, T)."""
    n = constraints.block_ngrams
    if constraints.banned is not None:
        scores = scores.index_fill(1, constraints.banned, -math.inf)
    if 0 < n <= history.shape[1]:
        windows, last = history.unfold(1, n, 1), history[:, None, history.shape[1] - n + 1 :]
        rows, at = (windows[..., :-1] == last).all(2).nonzero().unbind(1)
        scores = scores.index_put((rows, windows[rows, at, -1]), scores.new_tensor(-math.inf))
    return scores


def require_distribution(valid: bool) -> None:
    """Raise UsageError unless logits were valid."""
    require(valid, "model.step must give logits without NaN or +inf, and not -inf for every token")


def _to_slots(rows: Tensor, alive: Tensor, fill: float) -> Tensor:
    """Scatter rows (N, ...) into the slots in use, `alive` (B, S); fill the others."""
    out = rows.new_full((*alive.shape, *rows.shape[1:]), fill)
    out[alive] = rows
    return out


def _gathered(x: Tensor, slots: Tensor) -> Tensor:
    """Gather x (B, S, ...) at slots (B, M) → (B, M, ...)."""
    return x[torch.arange(len(x), device=x.device)[:, None], slots]


def _start(first: Tensor, beam_width: int, n_best: int) -> tuple[_Finished, _Running]:
    ranks = torch.full((len(first), n_best), -math.inf, device=first.device)
    finished = _Finished(ranks, ranks, first.new_zeros(ranks.shape), first.new_zeros(*ranks.shape, 0, 2))
    sums = torch.full((len(first), beam_width + 1), -math.inf, device=first.device)
    sums[:, 0] = 0
    return finished, _Running(sums, first.new_empty(*sums.shape, 0, 2), torch.zeros_like(first))


def _merged(finished: _Finished, new: _Finished) -> _Finished:
    """Return the best of both in order, as many as `finished` has slots; `new` has longer histories."""
    steps = new.history.shape[2] - finished.history.shape[2]
    padded = finished._replace(history=F.pad(finished.history, (0, 0, 0, steps)))
    both = [torch.cat(pair, 1) for pair in zip(padded, new, strict=True)]
    order = both[0].topk(finished.ranks.shape[1]).indices
    return _Finished(*(_gathered(field, order) for field in both))


def _penalised(sums: Tensor, lengths: Tensor, alpha: float) -> Tensor:
    return sums / ((5 + lengths.to(sums.dtype)) / 6) ** alpha


def _hypotheses(finished: _Finished, traces: list[Tensor], end: int | None) -> Hypotheses:
    """Cut to the longest length and clear the rest. traces: (N, ...) of every step."""
    exists = finished.ranks > -math.inf
    lengths = finished.lengths.where(exists, 0)
    total = maximum(lengths)
    tokens = finished.history[:, :, :total, 0]
    beyond = torch.arange(total, device=lengths.device) >= lengths[:, :, None]
    trace = None
    if traces:
        # stack before cutting: if every length is 0 there would be nothing to stack
        steps = [trace[rows] for trace, rows in zip(traces, finished.history[..., 1].unbind(2), strict=False)]
        trace = torch.stack(steps, 2)[:, :, :total]
        trace = trace.masked_fill(beyond.view(*beyond.shape, *[1] * (trace.dim() - 3)), 0)
    tokens = tokens.masked_fill(beyond, 0 if end is None else end)
    return Hypotheses(tokens, lengths, finished.sums.where(exists, -math.inf), trace)


def maximum(lengths: Tensor) -> int:
    return int(lengths.max()) if lengths.numel() else 0


def require(valid: bool, message: str) -> None:
    if not valid:
        raise UsageError(message)
