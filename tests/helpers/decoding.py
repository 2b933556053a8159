"""Random models to decode from, every sequence they allow, and beam search by its definition.

The models are random tables: a hash of the whole history, their state, selects the next row of logits.
"""

import math
from collections.abc import Iterable

import torch
from hypothesis import strategies as st
from torch import Tensor

from elman import decode

SIZE = 997
END = 0


def table(vocabulary: int, seed: int, sharpness: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return sharpness * torch.randn(SIZE, vocabulary, dtype=torch.float64, generator=generator)


def model(logits: Tensor) -> decode.Model:
    def step(tokens: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        key = (key * 31 + tokens + 1) % SIZE
        return logits[key], key

    return decode.Model(step, lambda key, rows: key[rows], lambda key: key[:, None])


def inputs(count: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """First tokens and states, all inputs different."""
    return torch.arange(count) % vocabulary, 100 + 7 * torch.arange(count)


class Slow:
    """One input, one hypothesis at a time: what the tables say, and beam search by its definition."""

    def __init__(
        self, logits: Tensor, first: int, key: int, block: int = 0, banned: Iterable[int] = ()
    ) -> None:
        self.chances = logits.log_softmax(1)
        self.first, self.key, self.block, self.banned = first, key, block, set(banned)

    def key_after(self, tokens: tuple[int, ...]) -> int:
        key = self.key
        for token in (self.first, *tokens):
            key = (key * 31 + token + 1) % SIZE
        return key

    def options(self, tokens: tuple[int, ...]) -> dict[int, float]:
        """What may come next, with its log probability."""
        chances = enumerate(self.chances[self.key_after(tokens)].tolist())
        allowed = {v: p for v, p in chances if v not in self.banned and p > -math.inf}
        return {v: p for v, p in allowed.items() if not self.repeats((*tokens, v))}

    def repeats(self, tokens: tuple[int, ...]) -> bool:
        grams = [tokens[i : i + self.block] for i in range(len(tokens) - self.block + 1)]
        return self.block > 0 and len(set(grams)) < len(grams)

    def score(self, tokens: tuple[int, ...]) -> float:
        return sum(self.options(tokens[:t])[token] for t, token in enumerate(tokens))

    def rank(self, tokens: tuple[int, ...], alpha: float, length: int | None = None) -> float:
        return self.score(tokens) / ((5 + (length or len(tokens))) / 6) ** alpha

    def over(self, tokens: tuple[int, ...], limit: int) -> bool:
        return END in tokens[-1:] or len(tokens) == limit or not self.options(tokens)

    def all(self, limit: int) -> list[tuple[int, ...]]:
        """Every finished hypothesis there is."""
        finished, running = [], [()]
        while running:
            finished += [h for h in running if self.over(h, limit)]
            running = [(*h, v) for h in running if not self.over(h, limit) for v in self.options(h)]
        return finished

    def greedy(self, limit: int) -> tuple[int, ...]:
        tokens: tuple[int, ...] = ()
        while not self.over(tokens, limit):
            options = self.options(tokens)
            tokens = (*tokens, max(options, key=lambda v: options[v]))
        return tokens

    def beam(self, width: int, limit: int, alpha: float, n_best: int) -> list[tuple[int, ...]]:
        best, running, greedy = [], [()], self.greedy(limit)
        while running:
            stuck = [h for h in running if not self.options(h)]
            children = stuck + [(*h, v) for h in running for v in self.options(h)]
            children.sort(key=self.score, reverse=True)
            kept = children[:width] + [h for h in children[width:] if h == greedy[: len(h)]]
            over = [h for h in kept if h in stuck or END in h[-1:] or len(h) == limit]
            best = sorted(best + over, key=lambda h: self.rank(h, alpha), reverse=True)[:n_best]
            worst = self.rank(best[-1], alpha) if len(best) == n_best else -math.inf
            running = [h for h in kept if h not in over and self.rank(h, alpha, limit) > worst]
        return best


def hypotheses(output: decode.Hypotheses, at: int) -> list[tuple[int, ...]]:
    """The hypotheses of one input that exist; checks what Found promises of the rest."""
    tokens, lengths, scores = output.tokens[at], output.lengths[at], output.scores[at]
    assert tokens.dtype == lengths.dtype == torch.int64
    exists = scores > -math.inf
    assert (lengths[~exists] == 0).all()
    assert exists.tolist() == sorted(exists.tolist(), reverse=True)
    assert (tokens[torch.arange(tokens.shape[1]) >= lengths[:, None]] == END).all()
    return [tuple(row[:n].tolist()) for row, n in zip(tokens[exists], lengths[exists], strict=True)]


def check(output: decode.Hypotheses, slow: list[Slow], expected: list[list[tuple[int, ...]]]) -> None:
    for at, (one, best) in enumerate(zip(slow, expected, strict=True)):
        assert hypotheses(output, at) == best
        torch.testing.assert_close(
            output.scores[at, : len(best)], torch.tensor([one.score(h) for h in best], dtype=torch.float64)
        )


searches = st.fixed_dictionaries(
    {
        "vocabulary": st.integers(2, 5),
        "seed": st.integers(0, 10**6),
        "limits": st.lists(st.integers(1, 6), min_size=1, max_size=4),
        "width": st.integers(1, 6),
        "alpha": st.sampled_from([0.0, 0.6, 1.0, 3.0]),
        "block": st.sampled_from([0, 0, 1, 2, 3]),
        "banned": st.sampled_from([(), (), (1,), (0,), (0, 1)]),
        "gaps": st.booleans(),
    }
)


class Search:
    """One drawn case: a batch of inputs for the module and the same for the slow search."""

    def __init__(self, drawn: dict) -> None:
        self.limits, self.width, self.alpha = drawn["limits"], drawn["width"], drawn["alpha"]
        self.logits = table(drawn["vocabulary"], drawn["seed"])
        if drawn["gaps"]:  # impossible tokens, though never all of a row
            self.logits[:, :-1] = self.logits[:, :-1].where(self.logits[:, :-1] > -1, -math.inf)
        self.first, self.keys = inputs(len(self.limits), drawn["vocabulary"])
        block, banned = drawn["block"], drawn["banned"]
        self.options = {
            "end": END,
            "limit": torch.tensor(self.limits),
            "block_ngrams": block,
            "banned": torch.tensor(banned, dtype=torch.int64),
        }
        pairs = zip(self.first.tolist(), self.keys.tolist(), strict=True)
        self.slow = [Slow(self.logits, first, key, block, banned) for first, key in pairs]

    def run(self, method, **more) -> decode.Hypotheses:
        return method(model(self.logits), self.first, self.keys, **{**self.options, **more})


def same(output: decode.Hypotheses, expected: decode.Hypotheses) -> None:
    for one, other in zip(output, expected, strict=True):
        assert one is other is None or torch.equal(one, other)
