"""Steps on memory of their own are those of the eager engine."""

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.engine import eager
from elman.engine.call import Call, Noise
from elman.engine.cpu.stepped import Stepped
from prepared_calls import KINDS, layer_of


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 3), st.integers(1, 5))
def test_steps_are_those_of_the_equations(kind: str, layers: int, batch: int) -> None:
    layer = layer_of(kind, layers).double()
    stack = layer.stack()
    steps, x = Stepped(stack, batch), torch.randn(6, batch, layer.input_size, dtype=torch.float64)
    outputs = []
    for x_t in x:
        steps.input.copy_(x_t)
        steps.run()
        outputs.append(steps.output.clone())
    expected, finals = x, []
    for w in stack.weights:
        zeros = tuple(x.new_zeros(batch, layer.hidden_size) for _ in layer.cell.state)
        result = eager.scan(layer.cell, expected, zeros, w, Call(), Noise())
        expected = result.output
        finals.append(result.state)
    torch.testing.assert_close(torch.stack(outputs), expected, atol=1e-12, rtol=1e-12)
    for part, states in zip(steps.state, zip(*finals, strict=True), strict=True):
        torch.testing.assert_close(part, torch.stack(states), atol=1e-12, rtol=1e-12)


def test_a_state_is_copied_both_ways() -> None:
    steps = Stepped(layer_of("lstm").stack(), 2)
    state = steps.state
    state[0].fill_(1.0)
    assert not steps.state[0].any()
    steps.state = state
    state[0].fill_(2.0)
    assert bool((steps.state[0] == 1.0).all())


FORK = """
import os, torch, elman
torch.set_num_threads(2)
stream, x = elman.LSTM(6, 32).eval().stream(400), torch.randn(400, 6)
stream.push(x)
if (child := os.fork()) == 0:
    stream.push(x)
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_goes_on_with_one_thread() -> None:
    """OpenMP's threads don't survive a fork: a team of them would be waited for without end."""
    assert subprocess.run([sys.executable, "-c", FORK], timeout=120).returncode == 0
