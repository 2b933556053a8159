"""A part runs its kernel on the block that it was given; a twin has a block of its own."""

import torch

from elman.cells import CELLS
from elman.engine import eager
from elman.engine.call import Call, Noise, Weights
from elman.engine.cpu import host
from elman.engine.cpu.emit.plan import plan_for
from elman.engine.cpu.parts import make_part

B, I, H = 3, 4, 32  # noqa: E741


def test_twins_share_weights_and_not_addresses() -> None:
    torch.manual_seed(0)
    cell = CELLS["elman"]
    w = Weights(torch.randn(H, I), torch.randn(H, H), torch.randn(H), torch.randn(H))
    part = make_part(plan_for(cell, host.vector(torch.float32)), w, 1, B, I, torch.float32)
    inputs, states = torch.randn(2, B, I), torch.zeros(2, 2, B, H)
    for one, x, h in zip((part, part.twin()), inputs, states, strict=True):
        ((address, stride),) = one.states
        one.block[one.at["x"]], one.block[one.at["x_row"]] = x.data_ptr(), I
        one.block[address], one.block[stride] = h.data_ptr(), B * H
    part.start()
    assert not states[1].any()
    expected = eager.scan(cell, inputs[:1], (torch.zeros(B, H),), w, Call(), Noise()).output[0]
    torch.testing.assert_close(states[0, 1], expected, atol=1e-5, rtol=1e-5)
