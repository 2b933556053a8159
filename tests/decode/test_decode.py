"""Decoding against every sequence there is, and against the same search written slowly.

The models are random tables: a hash of the whole history, their state, says which row of logits comes next.
"""

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elman import decode
from elman.errors import UsageError

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


def hypotheses(found: decode.Found, at: int) -> list[tuple[int, ...]]:
    """The hypotheses of one input that exist; checks what Found promises of the rest."""
    tokens, lengths, scores = found.tokens[at], found.lengths[at], found.scores[at]
    assert tokens.dtype == lengths.dtype == torch.int64
    exists = scores > -math.inf
    assert (lengths[~exists] == 0).all()
    assert exists.tolist() == sorted(exists.tolist(), reverse=True)
    assert (tokens[torch.arange(tokens.shape[1]) >= lengths[:, None]] == END).all()
    return [tuple(row[:n].tolist()) for row, n in zip(tokens[exists], lengths[exists], strict=True)]


def check(found: decode.Found, slow: list[Slow], expected: list[list[tuple[int, ...]]]) -> None:
    for at, (one, best) in enumerate(zip(slow, expected, strict=True)):
        assert hypotheses(found, at) == best
        torch.testing.assert_close(
            found.scores[at, : len(best)], torch.tensor([one.score(h) for h in best], dtype=torch.float64)
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

    def run(self, method, **more) -> decode.Found:
        return method(model(self.logits), self.first, self.keys, **{**self.options, **more})


@settings(deadline=None, max_examples=80)
@given(searches, st.integers(1, 6))
def test_beam_is_the_search_by_definition(drawn: dict, n_best: int) -> None:
    case = Search(drawn)
    n_best = min(n_best, case.width)
    found = case.run(decode.beam, width=case.width, length_penalty=case.alpha, n_best=n_best)
    pairs = zip(case.slow, case.limits, strict=True)
    check(found, case.slow, [one.beam(case.width, limit, case.alpha, n_best) for one, limit in pairs])
    assert found.tokens.shape == (len(case.limits), n_best, int(found.lengths.max()))


@settings(deadline=None, max_examples=50)
@given(searches)
def test_greedy_takes_the_likeliest_token_and_width_one_is_greedy(drawn: dict) -> None:
    case = Search(drawn)
    found = case.run(decode.greedy)
    pairs = zip(case.slow, case.limits, strict=True)
    check(found, case.slow, [[one.greedy(limit)] for one, limit in pairs])
    same(case.run(decode.beam, width=1, length_penalty=case.alpha), found)
    same(case.run(decode.sample, temperature=0.0), found)


def same(found: decode.Found, expected: decode.Found) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one is other is None or torch.equal(one, other)


@settings(deadline=None, max_examples=50)
@given(searches)
def test_beam_is_never_worse_than_greedy_even_among_equals(drawn: dict) -> None:
    case = Search(drawn)
    case.logits.round_()  # so that tokens and hypotheses tie
    alpha = case.alpha
    greedy = case.run(decode.greedy)
    same(case.run(decode.beam, width=1, length_penalty=alpha), greedy)
    found = case.run(decode.beam, width=case.width, length_penalty=alpha)
    penalty = [((5 + each.lengths) / 6) ** alpha for each in (found, greedy)]
    assert (found.scores / penalty[0] >= greedy.scores / penalty[1] - 1e-12).all()


@pytest.mark.parametrize("width", [2, 4])
def test_equal_tokens_are_taken_as_greedy_takes_them(width: int) -> None:
    logits = torch.zeros(5, 5, dtype=torch.float64)
    logits[:, 4] = -1
    logits[0, 1] = 9  # only greedy's choice, the lowest of the equals, leads on to a sure one
    first = torch.tensor([2])
    by_last = decode.Model(lambda tokens, state: (logits[tokens], state), lambda state, rows: state)
    found = decode.beam(by_last, first, None, width=width, end=None, limit=2, n_best=width)
    assert found.tokens[0, 0].tolist() == [0, 1]
    assert len({tuple(tokens) for tokens in found.tokens[0].tolist()}) == width
    same(
        decode.beam(by_last, first, None, width=1, end=None, limit=2),
        decode.greedy(by_last, first, None, end=None, limit=2),
    )


@pytest.mark.parametrize(("vocabulary", "limit"), [(3, 5), (4, 4)])
@pytest.mark.parametrize("alpha", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_wide_beam_finds_the_best_of_all_sequences(
    vocabulary: int, limit: int, alpha: float, block: int
) -> None:
    logits, n_best = table(vocabulary, seed=limit), 20
    first, keys = inputs(3, vocabulary)
    found = decode.beam(
        model(logits), first, keys, width=vocabulary**limit, end=END, limit=limit,
        length_penalty=alpha, n_best=n_best, block_ngrams=block,
    )  # fmt: skip
    slow = [Slow(logits, *pair, block) for pair in zip(first.tolist(), keys.tolist(), strict=True)]
    every = [sorted(one.all(limit), key=lambda h, one=one: -one.rank(h, alpha)) for one in slow]
    check(found, slow, [ranked[:n_best] for ranked in every])
    if block == 1:
        assert len(every[0]) < n_best, "the case where there are fewer than n_best"


@settings(deadline=None, max_examples=40)
@given(searches)
def test_a_batch_is_every_input_alone(drawn: dict) -> None:
    case = Search(drawn)
    options = {"width": case.width, "length_penalty": case.alpha, "n_best": (case.width + 1) // 2}
    together = case.run(decode.beam, **options)
    for at, limit in enumerate(case.limits):
        one = {**case.options, **options, "limit": limit}
        alone = decode.beam(model(case.logits), case.first[[at]], case.keys[[at]], **one)
        assert hypotheses(alone, 0) == hypotheses(together, at)
        torch.testing.assert_close(alone.scores[0], together.scores[at])


@settings(deadline=None, max_examples=40)
@given(searches)
def test_the_state_is_that_of_the_very_tokens_found(drawn: dict) -> None:
    """The trace is the state's hash of all tokens up to the step: only the reported ones give it."""
    case = Search(drawn)
    sampled = case.run(decode.sample, generator=torch.Generator().manual_seed(3))
    for found in (sampled, case.run(decode.beam, width=case.width, n_best=case.width)):
        assert found.trace is not None
        assert found.trace.shape == (*found.tokens.shape, 1)
        for at, one in enumerate(case.slow):
            for k, tokens in enumerate(hypotheses(found, at)):
                keys = [one.key_after(tokens[:t]) for t in range(len(tokens))]
                keys += [0] * (found.tokens.shape[2] - len(tokens))
                assert found.trace[at, k, :, 0].tolist() == keys
                assert float(found.scores[at, k]) == pytest.approx(one.score(tokens))


def rows_stepped(method, logits: Tensor, limit: int | Tensor, **options) -> tuple[list[int], decode.Found]:
    """How many rows every step took."""
    inner, rows = model(logits), []

    def step(tokens: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        rows.append(len(tokens))
        return inner.step(tokens, key)

    first, keys = inputs(4, logits.shape[1])
    found = method(decode.Model(step, inner.select), first, keys, limit=limit, **options)
    assert found.trace is None
    return rows, found


def test_a_row_costs_nothing_once_it_is_done() -> None:
    logits, limits = table(6, seed=1), torch.tensor([1, 3, 3, 5])
    assert rows_stepped(decode.greedy, logits, limits, end=None)[0] == [4, 3, 3, 1, 1]
    rows, _ = rows_stepped(decode.beam, logits, limits, end=None, width=3)
    assert rows[0] == 4
    assert 9 <= rows[1] <= 12
    assert 9 <= rows[2] <= 12
    assert 3 <= rows[3] <= 4


def test_a_beam_stops_as_soon_as_nothing_can_win() -> None:
    sure = torch.zeros(SIZE, 6, dtype=torch.float64)
    sure[:, END] = 9
    rows, found = rows_stepped(decode.beam, sure, 50, end=END, width=5)
    assert rows == [4]
    assert (found.lengths == 1).all()
    rows, _ = rows_stepped(decode.beam, sure, 50, end=END, width=5, n_best=2)
    assert rows == [4, 16]


def test_without_an_end_every_hypothesis_goes_to_its_limit() -> None:
    first, keys = inputs(3, 4)
    limits = torch.tensor([2, 5, 1])
    for method, more in ((decode.greedy, {}), (decode.sample, {}), (decode.beam, {"width": 3, "n_best": 3})):
        found = method(model(table(4, 5)), first, keys, end=None, limit=limits, **more)
        assert (found.lengths == limits[:, None]).all()
        assert (found.tokens[2, :, 1:] == 0).all()


@settings(deadline=None, max_examples=40)
@given(searches, st.floats(0.5, 2.0))
def test_samples_keep_the_rules(drawn: dict, temperature: float) -> None:
    case = Search(drawn)
    for seed in range(3):
        found = case.run(
            decode.sample, temperature=temperature, generator=torch.Generator().manual_seed(seed)
        )
        for at, (one, limit) in enumerate(zip(case.slow, case.limits, strict=True)):
            (tokens,) = hypotheses(found, at)
            assert all(token in one.options(tokens[:t]) for t, token in enumerate(tokens))
            assert one.over(tokens, limit)
            assert not any(one.over(tokens[:t], limit) for t in range(len(tokens)))
            assert float(found.scores[at, 0]) == pytest.approx(one.score(tokens))


def test_sampled_frequencies_are_the_probabilities() -> None:
    logits, count, vocabulary = table(3, seed=8, sharpness=1.0), 20000, 3
    one = Slow(logits, 1, 5)
    found = decode.sample(
        model(logits), torch.ones(count, dtype=torch.int64), torch.full((count,), 5), end=None, limit=2,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    pairs = found.tokens[:, 0, 0] * vocabulary + found.tokens[:, 0, 1]
    expected = torch.tensor([count * math.exp(one.score(h)) for h in itertools.product(range(3), repeat=2)])
    chi_square = ((pairs.bincount(minlength=9) - expected) ** 2 / expected).sum()
    assert chi_square < 26.1, "the 99.9 % quantile with 8 degrees of freedom"


@pytest.mark.parametrize("temperature", [1e39, np.float32(0.5), True])
def test_any_real_number_is_a_temperature(temperature: float) -> None:
    options = {"temperature": temperature, "generator": torch.Generator().manual_seed(0), "limit": 4}
    assert decode.sample(model(table(3, 3)), *inputs(2, 3), end=END, **options).tokens.max() < 3


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_a_stream_draws_each_token_on_its_own(temperature: float) -> None:
    logits, count = torch.tensor([[0.3, -0.5, 0.1]]), 6000
    steady = decode.Model(
        lambda tokens, state: (logits.expand(len(tokens), 3), state), lambda state, _: state
    )
    generator = torch.Generator().manual_seed(0)
    drawn = decode.sampled(
        steady, torch.zeros(1, dtype=torch.int64), None, temperature=temperature, generator=generator
    )
    tokens = torch.cat(list(itertools.islice(drawn, count + 1)))
    pairs = (tokens[:-1] * 3 + tokens[1:]).bincount(minlength=9)
    chances = (logits[0] / temperature).softmax(0)
    expected = count * torch.outer(chances, chances).flatten()
    assert ((pairs - expected) ** 2 / expected).sum() < 26.1, "the 99.9 % quantile with 8 degrees of freedom"


def slowly_filtered(logits: list[float], temperature: float, top_k: int, top_p: float) -> dict[int, float]:
    """Token → probability, of what may be drawn."""
    chances = {v: math.exp(x / temperature) for v, x in enumerate(logits)}
    ranked = sorted(chances, key=lambda v: -chances[v])
    ranked = ranked[:top_k] if top_k else ranked
    total = sum(chances[v] for v in ranked)
    kept: list[int] = []
    while not kept or (sum(chances[v] for v in kept) / total < top_p and len(kept) < len(ranked)):
        kept.append(ranked[len(kept)])
    total = sum(chances[v] for v in kept)
    return {v: chances[v] / total for v in kept}


@settings(deadline=None)
@given(
    st.integers(1, 12),
    st.integers(0, 1000),
    st.floats(0.3, 3.0),
    st.integers(0, 14),
    st.one_of(st.just(1.0), st.floats(0.01, 0.999)),
)
def test_filters_are_their_definitions(
    vocabulary: int, seed: int, temperature: float, top_k: int, top_p: float
) -> None:
    logits = table(vocabulary, seed)[:7]
    found = decode.filtered(logits, temperature, top_k, top_p)
    for row, chances in zip(logits.tolist(), found.softmax(1).tolist(), strict=True):
        expected = slowly_filtered(row, temperature, top_k, top_p)
        assert chances == pytest.approx([expected.get(v, 0.0) for v in range(vocabulary)])
    assert ((found == -math.inf) == (found.softmax(1) == 0)).all()


def test_a_filter_always_leaves_a_token() -> None:
    logits = torch.tensor([[0.0, 60.0, 59.0], [5.0, 5.0, 5.0]])
    for options in ((0.0,), (1e-38,), (1.0, 1), (1.0, 0, 1e-30)):
        kept = decode.filtered(logits, *options) > -math.inf
        assert kept.sum(1).tolist() == [1, 1]
        assert kept[0].tolist() == [False, True, False]


def test_a_generator_makes_the_sample_and_the_stream_again() -> None:
    logits = table(5, seed=2)
    first, keys = inputs(3, 5)

    def drawn(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return decode.sample(model(logits), first, keys, end=None, limit=9, generator=generator).tokens[:, 0]

    def streamed(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        steps = decode.sampled(model(logits), first, keys, generator=generator)
        return torch.stack(list(itertools.islice(steps, 9)), 1)

    assert torch.equal(drawn(1), drawn(1))
    assert torch.equal(drawn(1), streamed(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_a_stream_stops_where_no_token_is_left() -> None:
    def streamed(**options) -> list[Tensor]:
        steps = decode.sampled(model(table(4, 3)), *inputs(2, 4), **options)
        return list(itertools.islice(steps, 9))

    assert torch.stack(streamed(block_ngrams=1), 1).sort(1).values.tolist() == [[0, 1, 2, 3]] * 2
    assert streamed(banned=torch.tensor([3, 1, 2, 0])) == []
    assert len(streamed()) == 9
    logits = torch.zeros(2, 3)
    logits[0, 1:] = -math.inf  # the first input has nothing after its only token
    fixed = decode.Model(lambda tokens, at: (logits[at], at), lambda at, rows: at[rows])
    assert len(list(decode.sampled(fixed, torch.zeros(2).long(), torch.arange(2), block_ngrams=1))) == 1


def test_what_has_not_ended_never_fills_up_the_n_best() -> None:
    logits, slow = table(3, seed=1), Slow(table(3, seed=1), 0, 100)
    every = sorted(slow.all(3), key=slow.score, reverse=True)
    assert len(every) == 15
    for n_best in range(14, 20):
        found = decode.beam(model(logits), *inputs(1, 3), width=n_best, end=END, limit=3, n_best=n_best)
        assert hypotheses(found, 0) == every[:n_best]


def test_everything_banned_leaves_the_empty_hypothesis() -> None:
    first, keys = inputs(2, 3)
    found = decode.beam(
        model(table(3, 3)), first, keys, width=2, end=END, limit=4, n_best=2, banned=torch.arange(3)
    )
    assert found.tokens.shape == (2, 2, 0)
    assert found.trace is not None
    assert found.trace.shape == (2, 2, 0, 1)
    assert found.scores.tolist() == [[0.0, -math.inf]] * 2


def test_a_batch_may_be_empty() -> None:
    first, keys = inputs(0, 3)
    for found in (
        decode.greedy(model(table(3, 3)), first, keys, end=END, limit=4),
        decode.beam(model(table(3, 3)), first, keys, width=3, end=END, limit=torch.zeros(0).long()),
    ):
        assert found.tokens.shape == (0, 1, 0)
        assert found.lengths.shape == found.scores.shape == (0, 1)


def test_half_precision_is_summed_in_single_and_without_a_gradient() -> None:
    logits = table(4, 6).to(torch.bfloat16).requires_grad_()
    first, keys = inputs(2, 4)
    slow = [Slow(logits.detach().double(), int(a), int(b)) for a, b in zip(first, keys, strict=True)]
    for found in (
        decode.sample(model(logits), first, keys, end=END, limit=4),
        decode.beam(model(logits), first, keys, width=2, end=END, limit=4),
    ):
        assert found.scores.dtype == torch.float32
        for at, one in enumerate(slow):
            (tokens,) = hypotheses(found, at)
            assert float(found.scores[at, 0]) == pytest.approx(one.score(tokens), abs=1e-6)
        assert not found.scores.requires_grad


WRONG = [
    ({"width": 0}, "width must be at least 1"),
    ({"n_best": 0}, "n_best must be from 1 to the width 2"),
    ({"n_best": 3}, "n_best must be from 1 to the width 2, not 3"),
    ({"length_penalty": -0.1}, "length_penalty must be 0 or more"),
    ({"length_penalty": math.nan}, "length_penalty must be 0 or more"),
    ({"end": -1}, "end must be a token id or None"),
    ({"limit": 0}, "limit must be"),
    ({"limit": 2.5}, "limit must be"),
    ({"limit": torch.tensor([1, 2, 3])}, "limit must be"),
    ({"limit": torch.tensor([1, 0])}, "limit must be"),
    ({"block_ngrams": -1}, "block_ngrams must be 0"),
    ({"banned": torch.tensor([-1])}, "banned must be token ids"),
    ({"banned": torch.tensor([True, False])}, "banned must be token ids"),
    ({"banned": torch.tensor([0, 3])}, "end and banned must be below 3"),
    ({"end": 3}, "end and banned must be below 3"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_a_beam_that_cannot_be_meant(wrong: dict, message: str) -> None:
    options = {"width": 2, "end": END, "limit": 4, **wrong}
    with pytest.raises(UsageError, match=message):
        decode.beam(model(table(3, 3)), *inputs(2, 3), **options)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -1.0}, "temperature must be a number of 0 or more, not -1.0"),
        ({"temperature": math.inf}, "temperature must be a number of 0 or more"),
        ({"top_k": -1}, "top_k must be a whole number: 0"),
        ({"top_p": 0.0}, "top_p must be a number above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p must be a number above 0 and at most 1"),
    ],
)
def test_a_sample_that_cannot_be_meant(wrong: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decode.sampled(model(table(3, 3)), *inputs(2, 3), **wrong)
    with pytest.raises(UsageError, match=message):
        decode.sample(model(table(3, 3)), *inputs(2, 3), end=END, limit=4, **wrong)


@pytest.mark.parametrize("bad", [[0.0, math.nan, 0.0], [0.0, math.inf, 0.0], [-math.inf] * 3])
def test_a_model_without_a_distribution_is_an_error(bad: list[float]) -> None:
    logits = torch.tensor([bad]).expand(SIZE, 3)
    with pytest.raises(UsageError, match=r"model\.step must give logits without NaN or \+inf, and not -inf"):
        decode.greedy(model(logits), *inputs(2, 3), end=END, limit=4)


def test_first_must_be_token_ids() -> None:
    for first in (torch.zeros(2), torch.zeros(2, 1, dtype=torch.int64)):
        with pytest.raises(UsageError, match="first must be token ids"):
            decode.greedy(model(table(3, 3)), first, torch.zeros(2), end=END, limit=4)
