"""A network's parts for any sequences: alone and together the same bits, which are those of the layer."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import elman
from elman.nn import Recurrent
from elman.nn.rows import BLOCK_ROWS, MAX_ROW_STEPS, SHORT_STEPS, RowProduct, RowSteps, groups, joined

CELLS = ("lstm", "gru", "elman", "sru")


def by_layer(layer: Recurrent, x: Any, state: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what the layer itself returns for arrays."""
    tensors = tuple(map(torch.from_numpy, state))
    with torch.no_grad():
        output, new = layer(torch.from_numpy(x), tensors if len(tensors) > 1 else tensors[0])
    return output.numpy(), tuple(part.numpy() for part in (new if isinstance(new, tuple) else (new,)))


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@settings(max_examples=30)
@given(
    cell=st.sampled_from(CELLS),
    sizes=st.lists(st.tuples(st.integers(1, SHORT_STEPS + 4), st.integers(1, 4)), min_size=1, max_size=6),
    layers=st.integers(1, 2),
    hidden=st.sampled_from([5, 16, 40]),
    layer_norm=st.booleans(),
)
def test_requests_together_have_the_bits_of_the_layer(
    cell: str, sizes: list[tuple[int, int]], layers: int, hidden: int, layer_norm: bool
) -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    layer = Recurrent(cell, 3, hidden, layers, layer_norm=layer_norm).eval()
    steps = RowSteps(layer)
    sizes.sort(reverse=True)
    requests = [random.standard_normal((t, rows, 3), np.float32) for t, rows in sizes]
    states = [steps.zeros(rows) for _, rows in sizes]
    lengths = [t for t, rows in sizes for _ in range(rows)]
    ends = np.cumsum([0, *(rows for _, rows in sizes)])
    for _ in range(2):
        outputs, after = steps.run(joined(requests), states, lengths)
        for x, state, new, (begin, end) in zip(
            requests, states, after, itertools.pairwise(ends), strict=True
        ):
            expected, final = by_layer(layer, x, state)
            assert np.array_equal(outputs[: len(x), begin:end], expected) and same(new, final)
            alone, (own,) = steps.run(x, [state])
            assert np.array_equal(alone, expected) and same(own, final)
        states = after


def test_more_rows_than_a_block_holds() -> None:
    torch.manual_seed(0)
    layer = elman.GRU(2, 8).eval()
    x = np.random.default_rng(0).standard_normal((1, BLOCK_ROWS + 5, 2), np.float32)
    steps = RowSteps(layer)
    outputs, _ = steps.run(x, [steps.zeros(BLOCK_ROWS + 5)])
    assert np.array_equal(outputs, by_layer(layer, x, steps.zeros(BLOCK_ROWS + 5))[0])


def test_states_are_values_that_later_steps_leave_alone() -> None:
    steps, x = RowSteps(elman.LSTM(2, 8).eval()), np.ones((1, 1, 2), np.float32)
    _, (state,) = steps.run(x, [steps.zeros()])
    before = tuple(part.copy() for part in state)
    steps.run(x, [state])
    steps.run(np.ones((1, 2, 2), np.float32), [state, steps.zeros()])
    assert same(state, before)


def test_a_layer_that_no_kernel_runs() -> None:
    torch.manual_seed(0)
    layer = Recurrent("lstm", 3, 6, zoneout=0.1).eval()
    steps, x = RowSteps(layer), np.random.default_rng(0).standard_normal((3, 3, 3), np.float32)
    outputs, _ = steps.run(x, [steps.zeros(), steps.zeros(2)], [3, 2, 2])
    expected, _ = by_layer(layer, x, steps.zeros(3))
    np.testing.assert_allclose(outputs[:2], expected[:2], rtol=1e-5, atol=1e-6)


@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 50)), max_size=40))
def test_groups_hold_every_request_once_and_fit_memory(shapes: list[tuple[int, int]]) -> None:
    made = list(groups(shapes))
    assert sorted(k for group in made for k in group) == list(range(len(shapes)))
    for group in made:
        steps = [shapes[k][0] for k in group]
        assert steps == sorted(steps, reverse=True)
        assert (steps[0] <= SHORT_STEPS) == (steps[-1] <= SHORT_STEPS)
        rows = sum(shapes[k][1] for k in group)
        most = BLOCK_ROWS if steps[0] <= SHORT_STEPS else MAX_ROW_STEPS / steps[0]
        assert len(group) == 1 or rows <= most


# ---- products


@settings(max_examples=30)
@given(
    rows=st.integers(0, 9),
    inputs=st.integers(1, 40),
    outputs=st.integers(1, 70),
    bias=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_a_row_of_a_product_has_the_same_bits_alone(
    rows: int, inputs: int, outputs: int, bias: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    weight, b = torch.randn(outputs, inputs, dtype=dtype), torch.randn(outputs, dtype=dtype) if bias else None
    product, x = RowProduct(weight, b), torch.randn(rows, inputs, dtype=dtype)
    together = product(x.numpy())
    np.testing.assert_allclose(together, F.linear(x, weight, b).numpy(), rtol=1e-4, atol=1e-5)
    assert all(np.array_equal(product(x[k : k + 1].numpy())[0], together[k]) for k in range(rows))


def test_a_product_of_many_rows() -> None:
    torch.manual_seed(0)
    product, x = RowProduct(torch.randn(5, 3), None), torch.randn(BLOCK_ROWS + 9, 3).numpy()
    together = product(x)
    assert together.shape == (BLOCK_ROWS + 9, 5)
    assert np.array_equal(
        product(x[BLOCK_ROWS + 2 : BLOCK_ROWS + 4]), together[BLOCK_ROWS + 2 : BLOCK_ROWS + 4]
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_product_that_no_kernel_runs(dtype: torch.dtype) -> None:
    weight, x = torch.randn(5, 3, dtype=dtype), torch.randn(2, 3)
    expected = F.linear(x.to(dtype), weight).float().numpy()
    assert np.array_equal(RowProduct(weight, None)(x.numpy()), expected)
