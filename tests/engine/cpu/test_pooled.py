"""Rows out of many take the steps that they would take alone."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from compare import assert_equal
from elman.engine.cpu.pooled import Pooled
from elman.engine.cpu.stepped import Stepped
from prepared_calls import KINDS, layer_of


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 2), st.integers(1, 200), st.integers(1, 2), st.data())
def test_rows_in_any_order(kind: str, layers: int, capacity: int, threads: int, data: st.DataObject) -> None:
    stack = layer_of(kind, layers).stack()
    pooled, steps = Pooled(stack, capacity), Stepped(stack, capacity)
    count, before = data.draw(st.integers(1, capacity)), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for _ in range(2):
            rows, old = torch.randperm(capacity)[:count], steps.state
            x = torch.randn(count, steps.input.shape[1])
            steps.input.zero_()[rows] = x
            steps.run()
            resting = torch.ones(capacity, dtype=torch.bool).index_fill_(0, rows, False)
            new = steps.state
            for part, unchanged in zip(new, old, strict=True):
                part[:, resting] = unchanged[:, resting]
            output = steps.output[rows]
            steps.state = new
            assert_equal(pooled.step(rows, x), output)
            assert_equal([part.contiguous() for part in pooled.states], list(steps.state))
    finally:
        torch.set_num_threads(before)
