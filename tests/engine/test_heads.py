"""The blocks of a recurrent matrix against the dense matrix that they stand for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from elman.cells import CELLS
from elman.engine import heads
from elman.engine.call import Stack, Weights


def blocks_of(gates: int, count: int, size: int) -> Tensor:
    return torch.randn(gates * count * size, size, dtype=torch.float64).requires_grad_()


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))
def test_dense_is_a_block_diagonal_matrix_for_each_gate(gates: int, count: int, size: int) -> None:
    blocks = blocks_of(gates, count, size)
    expected = torch.cat([torch.block_diag(*gate.chunk(count)) for gate in blocks.chunk(gates)])
    matrix = heads.dense(blocks, count)
    assert torch.equal(matrix, expected)
    assert torch.equal(heads.compact(matrix, count), blocks)
    weights = torch.randn_like(matrix)
    (found,) = torch.autograd.grad(matrix, blocks, weights)
    (wanted,) = torch.autograd.grad(expected, blocks, weights)
    assert torch.equal(found, wanted)


def test_what_is_not_finite_stays_in_its_head() -> None:
    blocks = blocks_of(2, 3, 2).detach()
    blocks[0, 0] = torch.nan
    assert int(heads.dense(blocks, 3).isnan().sum()) == 1


@pytest.mark.parametrize("kind", ["gru", "indrnn"])
def test_an_expanded_stack_has_none(kind: str) -> None:
    recurrent = blocks_of(3, 2, 4) if CELLS[kind].recurrent else None
    weights = Weights(torch.empty(24, 5), recurrent)
    stack = Stack(CELLS[kind], (weights,), 1, False, 0.0, 0.0, 0.0, 0.0, heads=2)
    one = heads.expanded(stack)
    assert one.heads == 1 and heads.expanded(one) is one
    hh = one.weights[0].weight_hh
    assert hh is None if recurrent is None else hh is not None and hh.shape == (24, 8)
