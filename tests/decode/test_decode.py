"""Decoding against every sequence there is, and against the same search written slowly."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from decoding import END, Search, Slow, check, hypotheses, inputs, model, same, searches, table
from elman import decode
from elman.errors import UsageError


@settings(deadline=None, max_examples=80)
@given(searches, st.integers(1, 6))
def test_beam_is_the_search_by_definition(drawn: dict, n_best: int) -> None:
    case = Search(drawn)
    n_best = min(n_best, case.width)
    output = case.run(decode.beam, beam_width=case.width, length_penalty=case.alpha, n_best=n_best)
    pairs = zip(case.slow, case.limits, strict=True)
    check(output, case.slow, [one.beam(case.width, limit, case.alpha, n_best) for one, limit in pairs])
    assert output.tokens.shape == (len(case.limits), n_best, int(output.lengths.max()))


@settings(deadline=None, max_examples=50)
@given(searches)
def test_greedy_takes_the_likeliest_token_and_width_one_is_greedy(drawn: dict) -> None:
    case = Search(drawn)
    output = case.run(decode.greedy)
    pairs = zip(case.slow, case.limits, strict=True)
    check(output, case.slow, [[one.greedy(limit)] for one, limit in pairs])
    same(case.run(decode.beam, beam_width=1, length_penalty=case.alpha), output)
    same(case.run(decode.sample, temperature=0.0), output)


@settings(deadline=None, max_examples=50)
@given(searches)
def test_beam_is_never_worse_than_greedy_even_among_equals(drawn: dict) -> None:
    case = Search(drawn)
    case.logits.round_()  # so that tokens and hypotheses tie
    alpha = case.alpha
    greedy = case.run(decode.greedy)
    same(case.run(decode.beam, beam_width=1, length_penalty=alpha), greedy)
    output = case.run(decode.beam, beam_width=case.width, length_penalty=alpha)
    penalty = [((5 + each.lengths) / 6) ** alpha for each in (output, greedy)]
    assert (output.scores / penalty[0] >= greedy.scores / penalty[1] - 1e-12).all()


@pytest.mark.parametrize(("vocabulary", "limit"), [(3, 5), (4, 4)])
@pytest.mark.parametrize("alpha", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_wide_beam_finds_the_best_of_all_sequences(
    vocabulary: int, limit: int, alpha: float, block: int
) -> None:
    logits, n_best = table(vocabulary, seed=limit), 20
    first, keys = inputs(3, vocabulary)
    output = decode.beam(
        model(logits), first, keys, beam_width=vocabulary**limit, end=END, limit=limit,
        length_penalty=alpha, n_best=n_best, block_ngrams=block,
    )  # fmt: skip
    slow = [Slow(logits, *pair, block) for pair in zip(first.tolist(), keys.tolist(), strict=True)]
    every = [sorted(one.all(limit), key=lambda h, one=one: -one.rank(h, alpha)) for one in slow]
    check(output, slow, [ranked[:n_best] for ranked in every])
    if block == 1:
        assert len(every[0]) < n_best, "the case where there are fewer than n_best"


@settings(deadline=None, max_examples=40)
@given(searches, st.floats(0.5, 2.0))
def test_samples_keep_the_rules(drawn: dict, temperature: float) -> None:
    case = Search(drawn)
    for seed in range(3):
        output = case.run(
            decode.sample, temperature=temperature, generator=torch.Generator().manual_seed(seed)
        )
        for at, (one, limit) in enumerate(zip(case.slow, case.limits, strict=True)):
            (tokens,) = hypotheses(output, at)
            assert all(token in one.options(tokens[:t]) for t, token in enumerate(tokens))
            assert one.over(tokens, limit)
            assert not any(one.over(tokens[:t], limit) for t in range(len(tokens)))
            assert float(output.scores[at, 0]) == pytest.approx(one.score(tokens))


def test_sampled_frequencies_are_the_probabilities() -> None:
    logits, count, vocabulary = table(3, seed=8, sharpness=1.0), 20000, 3
    one = Slow(logits, 1, 5)
    output = decode.sample(
        model(logits), torch.ones(count, dtype=torch.int64), torch.full((count,), 5), end=None, limit=2,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    pairs = output.tokens[:, 0, 0] * vocabulary + output.tokens[:, 0, 1]
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
    drawn = decode.sample_stream(
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
    output = decode.filter_logits(logits, temperature, top_k, top_p)
    for row, chances in zip(logits.tolist(), output.softmax(1).tolist(), strict=True):
        expected = slowly_filtered(row, temperature, top_k, top_p)
        assert chances == pytest.approx([expected.get(v, 0.0) for v in range(vocabulary)])
    assert ((output == -math.inf) == (output.softmax(1) == 0)).all()


def test_a_filter_always_leaves_a_token() -> None:
    logits = torch.tensor([[0.0, 60.0, 59.0], [5.0, 5.0, 5.0]])
    for options in ((0.0,), (1e-38,), (1.0, 1), (1.0, 0, 1e-30), (1.0, 0, 1e-300)):
        kept = decode.filter_logits(logits, *options) > -math.inf
        assert kept.sum(1).tolist() == [1, 1]
        assert kept[0].tolist() == [False, True, False]
    banned = decode.filter_logits(torch.tensor([[0.0, -math.inf]]), 1e300)
    assert banned.tolist() == [[0.0, -math.inf]]


def test_a_generator_makes_the_sample_and_the_stream_again() -> None:
    logits = table(5, seed=2)
    first, keys = inputs(3, 5)

    def drawn(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return decode.sample(model(logits), first, keys, end=None, limit=9, generator=generator).tokens[:, 0]

    def streamed(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        steps = decode.sample_stream(model(logits), first, keys, generator=generator)
        return torch.stack(list(itertools.islice(steps, 9)), 1)

    assert torch.equal(drawn(1), drawn(1))
    assert torch.equal(drawn(1), streamed(1))
    assert not torch.equal(drawn(1), drawn(2))


WRONG = [
    ({"beam_width": 0}, "beam_width must be at least 1"),
    ({"n_best": 0}, "n_best must be from 1 to the beam width 2"),
    ({"n_best": 3}, "n_best must be from 1 to the beam width 2, not 3"),
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
    options = {"beam_width": 2, "end": END, "limit": 4, **wrong}
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
        decode.sample_stream(model(table(3, 3)), *inputs(2, 3), **wrong)
    with pytest.raises(UsageError, match=message):
        decode.sample(model(table(3, 3)), *inputs(2, 3), end=END, limit=4, **wrong)


def test_first_must_be_token_ids() -> None:
    for first in (torch.zeros(2), torch.zeros(2, 1, dtype=torch.int64)):
        with pytest.raises(UsageError, match="first must be token ids"):
            decode.greedy(model(table(3, 3)), first, torch.zeros(2), end=END, limit=4)
