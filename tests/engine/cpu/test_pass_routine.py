"""Routines of single passes: what they write is where the next reader looks for it.

Their numbers are compared in `test_trained`.
"""

import pytest
import torch

import elman
from elman.engine.call import Form, Spec
from elman.engine.cpu import host
from elman.engine.cpu.emit.plan import plan_for
from elman.engine.cpu.pass_routine import ForwardPass

T, B, I, H = 2, 3, 4, 32  # noqa: E741


@pytest.mark.parametrize("reverse", [False, True])
def test_states_begin_and_end_where_they_should(reverse: bool) -> None:
    """With weights and biases of zero, an LSTM's c halves at every step."""
    plan = plan_for(elman.cells.LSTM, host.vector(torch.float32), keep=True)
    spec, x = Spec(elman.cells.LSTM, H, reverse), torch.zeros(T, B, I)
    routine = ForwardPass(spec, plan, Form(tuple(x.shape), x.dtype), ("weight_ih", "weight_hh"), 1).routine
    weights, begin = (torch.zeros(4 * H, I), torch.zeros(4 * H, H)), (torch.zeros(B, H), torch.randn(B, H))
    states, end = [torch.full((T + 1, B, H), 7.0) for _ in begin], [torch.empty(B, H) for _ in begin]
    kept = torch.empty(T, B, plan.places, H)
    tensors = (*states, kept, *end, x, *weights, *begin)
    routine.run(x.stride(0), x.stride(1), *[one.data_ptr() for one in tensors])
    slots = states[1].flip(0) if reverse else states[1]
    for slot, factor in zip(slots, (1, 0.5, 0.25), strict=True):
        torch.testing.assert_close(slot, factor * begin[1])
    torch.testing.assert_close(end[1], begin[1] / 4)
    torch.testing.assert_close(end[0], 0.5 * torch.tanh(begin[1] / 4))
