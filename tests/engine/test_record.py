"""Recorded passes: states and gradients of every step, of the compiled engine as of the eager one."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import elman
from elman import cells
from elman.engine.record import LayerPass, is_recording, recorded


@elman.cell(state="h m", gates="i n")
def two_states(x: Any, u: Any, s: Any) -> Any:
    """The second state reads the first one's new value."""
    h = torch.tanh(x.n + u.n) * torch.sigmoid(x.i + u.i)
    return h, 0.5 * s.m + h * s.h


CELLS = [*sorted(cells.CELLS), two_states]


def run(
    cell: Any, engine: str, dtype: torch.dtype, lengths: Tensor | None, reset: Tensor | None, **options: Any
) -> tuple[list[LayerPass], Tensor]:
    torch.manual_seed(1)
    layer = elman.Recurrent(cell, 5, 7, 2, bidirectional=True, engine=engine, dtype=dtype, **options)
    x = torch.randn(9, 4, 5, dtype=dtype)
    with recorded() as passes:
        output, state = layer(x, lengths=lengths, reset=reset)
        states = state if isinstance(state, tuple) else (state,)
        loss = (output * torch.randn_like(output)).sum()
        loss = loss + sum((s * torch.randn_like(s)).sum() for s in states)
    assert all(one.gradients == () for one in passes)
    loss.backward()
    return passes, layer.get_parameter("weight_ih_l0").grad


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("resets", [False, True])
def test_gradients_are_those_of_the_eager_engine(cell: Any, ragged: bool, resets: bool) -> None:
    lengths = torch.tensor([9, 3, 0, 6]) if ragged else None
    reset = torch.rand(9, 4, generator=torch.Generator().manual_seed(0)) < 0.2 if resets else None
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
        fused, weight = run(cell, "compiled", dtype, lengths, reset)
        eager, expected = run(cell, "eager", dtype, lengths, reset)
        torch.testing.assert_close(weight, expected, rtol=tolerance, atol=tolerance)
        assert len(fused) == len(eager) == 4
        for one, other in zip(fused, eager, strict=True):
            assert one.reverse == other.reverse and one.gradients
            torch.testing.assert_close(one.states, other.states, rtol=tolerance, atol=tolerance)
            torch.testing.assert_close(one.gradients, other.gradients, rtol=tolerance, atol=tolerance)


@given(steps=st.integers(1, 6), batch=st.integers(1, 3), hidden=st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_the_gradient_of_a_state_is_what_a_nudge_there_does(steps: int, batch: int, hidden: int) -> None:
    torch.manual_seed(0)
    layer = elman.LSTM(3, hidden, dtype=torch.float64)
    x = torch.randn(steps, batch, 3, dtype=torch.float64)
    with recorded() as passes:
        loss = layer(x)[0].square().sum()
    loss.backward()
    at = steps // 2
    state = tuple(s[at].unsqueeze(0).clone().requires_grad_() for s in passes[0].states)
    before = state[0].square().sum()
    rest = before if at + 1 == steps else before + layer(x[at + 1 :], state)[0].square().sum()
    direct = torch.autograd.grad(rest, state, allow_unused=True)
    # what the cell state does through h of the same step comes on top
    h = passes[0].gradients[0][at]
    torch.testing.assert_close(h, direct[0][0])


@pytest.mark.parametrize("option", [{"zoneout": 0.3}, {"layer_norm": True}, {"forget_bias": 1.0}])
def test_options(option: dict[str, Any]) -> None:
    for one, other in zip(
        run("lstm", "compiled", torch.float64, None, None, **option)[0],
        run("lstm", "eager", torch.float64, None, None, **option)[0],
        strict=True,
    ):
        if "zoneout" not in option:  # masks are drawn anew
            torch.testing.assert_close(one.gradients, other.gradients)
        assert all(torch.isfinite(g).all() for g in one.gradients)


def test_nothing_is_recorded_outside() -> None:
    layer = elman.GRU(2, 32)  # of which calls without gradients are prepared
    assert not is_recording()
    with recorded() as passes:
        assert is_recording()
        with torch.no_grad():
            layer(torch.randn(4, 2, 2))
        layer(torch.randn(4, 2, 2))
        with pytest.raises(elman.UsageError):
            layer(torch.randn(4, 2, 9))
    layer(torch.randn(4, 2, 2))
    assert len(passes) == 2 and not is_recording()
    assert passes[0].states[0].shape == (4, 2, 32)


def test_packed_sequences_and_projections() -> None:
    packed = torch.nn.utils.rnn.pack_sequence([torch.randn(n, 2) for n in (5, 3, 1)])
    layer = elman.LSTM(2, 3, proj_size=2)
    with recorded() as passes:
        output, _ = layer(packed)
    output.data.sum().backward()
    h, c = passes[0].gradients
    assert h.shape == (5, 3, 2) and c.shape == (5, 3, 3)
    assert not h[3:, 1].any() and h[2, 1].all()
