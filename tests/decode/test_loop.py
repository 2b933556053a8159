"""The decoding loop: which rows it steps, when it stops, and what it makes of odd models and batches."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from decoding import END, SIZE, Search, Slow, hypotheses, inputs, model, same, searches, table
from elman import decode
from elman.decode.loop import top_choices
from elman.errors import UsageError


@pytest.mark.parametrize("width", [2, 4])
def test_equal_tokens_are_taken_as_greedy_takes_them(width: int) -> None:
    logits = torch.zeros(5, 5, dtype=torch.float64)
    logits[:, 4] = -1
    logits[0, 1] = 9  # only greedy's choice, the lowest of the equals, leads on to a sure one
    first = torch.tensor([2])
    by_last = decode.Model(lambda tokens, state: (logits[tokens], state), lambda state, rows: state)
    output = decode.beam(by_last, first, None, beam_width=width, end=None, limit=2, n_best=width)
    assert output.tokens[0, 0].tolist() == [0, 1]
    assert len({tuple(tokens) for tokens in output.tokens[0].tolist()}) == width
    same(
        decode.beam(by_last, first, None, beam_width=1, end=None, limit=2),
        decode.greedy(by_last, first, None, end=None, limit=2),
    )


@settings(deadline=None, max_examples=40)
@given(searches)
def test_a_batch_is_every_input_alone(drawn: dict) -> None:
    case = Search(drawn)
    options = {"beam_width": case.width, "length_penalty": case.alpha, "n_best": (case.width + 1) // 2}
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
    for output in (sampled, case.run(decode.beam, beam_width=case.width, n_best=case.width)):
        assert output.trace is not None
        assert output.trace.shape == (*output.tokens.shape, 1)
        for at, one in enumerate(case.slow):
            for k, tokens in enumerate(hypotheses(output, at)):
                keys = [one.key_after(tokens[:t]) for t in range(len(tokens))]
                keys += [0] * (output.tokens.shape[2] - len(tokens))
                assert output.trace[at, k, :, 0].tolist() == keys
                assert float(output.scores[at, k]) == pytest.approx(one.score(tokens))


def rows_stepped(
    method, logits: Tensor, limit: int | Tensor, **options
) -> tuple[list[int], decode.Hypotheses]:
    """How many rows every step took."""
    inner, rows = model(logits), []

    def step(tokens: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        rows.append(len(tokens))
        return inner.step(tokens, key)

    first, keys = inputs(4, logits.shape[1])
    output = method(decode.Model(step, inner.select), first, keys, limit=limit, **options)
    assert output.trace is None
    return rows, output


def test_a_row_costs_nothing_once_it_is_done() -> None:
    logits, limits = table(6, seed=1), torch.tensor([1, 3, 3, 5])
    assert rows_stepped(decode.greedy, logits, limits, end=None)[0] == [4, 3, 3, 1, 1]
    rows, _ = rows_stepped(decode.beam, logits, limits, end=None, beam_width=3)
    assert rows[0] == 4
    assert 9 <= rows[1] <= 12
    assert 9 <= rows[2] <= 12
    assert 3 <= rows[3] <= 4


def test_a_beam_stops_as_soon_as_nothing_can_win() -> None:
    sure = torch.zeros(SIZE, 6, dtype=torch.float64)
    sure[:, END] = 9
    rows, output = rows_stepped(decode.beam, sure, 50, end=END, beam_width=5)
    assert rows == [4]
    assert (output.lengths == 1).all()
    rows, _ = rows_stepped(decode.beam, sure, 50, end=END, beam_width=5, n_best=2)
    assert rows == [4, 16]


def test_without_an_end_every_hypothesis_goes_to_its_limit() -> None:
    first, keys = inputs(3, 4)
    limits = torch.tensor([2, 5, 1])
    for method, more in (
        (decode.greedy, {}),
        (decode.sample, {}),
        (decode.beam, {"beam_width": 3, "n_best": 3}),
    ):
        output = method(model(table(4, 5)), first, keys, end=None, limit=limits, **more)
        assert (output.lengths == limits[:, None]).all()
        assert (output.tokens[2, :, 1:] == 0).all()


def test_a_stream_stops_where_no_token_is_left() -> None:
    def streamed(**options) -> list[Tensor]:
        steps = decode.sample_stream(model(table(4, 3)), *inputs(2, 4), **options)
        return list(itertools.islice(steps, 9))

    assert torch.stack(streamed(block_ngrams=1), 1).sort(1).values.tolist() == [[0, 1, 2, 3]] * 2
    assert streamed(banned=torch.tensor([3, 1, 2, 0])) == []
    assert len(streamed()) == 9
    logits = torch.zeros(2, 3)
    logits[0, 1:] = -math.inf  # the first input has nothing after its only token
    fixed = decode.Model(lambda tokens, at: (logits[at], at), lambda at, rows: at[rows])
    assert len(list(decode.sample_stream(fixed, torch.zeros(2).long(), torch.arange(2), block_ngrams=1))) == 1


def test_what_has_not_ended_never_fills_up_the_n_best() -> None:
    logits, slow = table(3, seed=1), Slow(table(3, seed=1), 0, 100)
    every = sorted(slow.all(3), key=slow.score, reverse=True)
    assert len(every) == 15
    for n_best in range(14, 20):
        output = decode.beam(model(logits), *inputs(1, 3), beam_width=n_best, end=END, limit=3, n_best=n_best)
        assert hypotheses(output, 0) == every[:n_best]


def test_everything_banned_leaves_the_empty_hypothesis() -> None:
    first, keys = inputs(2, 3)
    output = decode.beam(
        model(table(3, 3)), first, keys, beam_width=2, end=END, limit=4, n_best=2, banned=torch.arange(3)
    )
    assert output.tokens.shape == (2, 2, 0)
    assert output.trace is not None
    assert output.trace.shape == (2, 2, 0, 1)
    assert output.scores.tolist() == [[0.0, -math.inf]] * 2


def test_a_batch_may_be_empty() -> None:
    first, keys = inputs(0, 3)
    for output in (
        decode.greedy(model(table(3, 3)), first, keys, end=END, limit=4),
        decode.beam(model(table(3, 3)), first, keys, beam_width=3, end=END, limit=torch.zeros(0).long()),
    ):
        assert output.tokens.shape == (0, 1, 0)
        assert output.lengths.shape == output.scores.shape == (0, 1)


def test_half_precision_is_summed_in_single_and_without_a_gradient() -> None:
    logits = table(4, 6).to(torch.bfloat16).requires_grad_()
    first, keys = inputs(2, 4)
    slow = [Slow(logits.detach().double(), int(a), int(b)) for a, b in zip(first, keys, strict=True)]
    for output in (
        decode.sample(model(logits), first, keys, end=END, limit=4),
        decode.beam(model(logits), first, keys, beam_width=2, end=END, limit=4),
    ):
        assert output.scores.dtype == torch.float32
        for at, one in enumerate(slow):
            (tokens,) = hypotheses(output, at)
            assert float(output.scores[at, 0]) == pytest.approx(one.score(tokens), abs=1e-6)
        assert not output.scores.requires_grad


@pytest.mark.parametrize("bad", [[0.0, math.nan, 0.0], [0.0, math.inf, 0.0], [-math.inf] * 3])
def test_a_model_without_a_distribution_is_an_error(bad: list[float]) -> None:
    logits = torch.tensor([bad]).expand(SIZE, 3)
    with pytest.raises(UsageError, match=r"model\.step must give logits without NaN or \+inf, and not -inf"):
        decode.greedy(model(logits), *inputs(2, 3), end=END, limit=4)


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 6), st.integers(0, 1000))
def test_top_choices_start_with_the_lowest_of_equals(count: int, vocabulary: int, seed: int) -> None:
    scores = table(vocabulary, seed, sharpness=1.0)[:9].round()
    values, tokens = top_choices(scores, count)
    assert tokens.shape == (9, min(count, vocabulary))
    assert torch.equal(values, scores.sort(1, descending=True).values[:, :count])
    assert torch.equal(values, scores.gather(1, tokens))
    assert tokens[:, 0].tolist() == [row.index(max(row)) for row in scores.tolist()]
    assert all(len(set(row)) == len(row) for row in tokens.tolist())
