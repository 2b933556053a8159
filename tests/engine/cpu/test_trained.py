"""Routines of training passes against plain operations: every shape, stride and set of gradients."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import elman
from elman.engine import eager
from elman.engine.call import Arguments, Call, Noise, Result, Spec, State, Trace, Weights, flatten, unflatten
from elman.engine.cpu import passes, trained
from elman.engine.cpu.trained import TrainedPasses
from scan_cases import block_diagonal

CELLS = (elman.cells.LSTM, elman.cells.GRU, elman.cells.PeepholeLSTM, elman.cells.IndRNN, elman.cells.MGU)
H = 32


def made(
    cell: Any, shape: tuple[int, ...], dtype: torch.dtype, bias: bool, reverse: bool, heads: int = 1
) -> Any:
    """Return a spec, its arguments, gradients of the results, and the routines; a head has H units."""
    (steps, batch, inputs), hidden = shape, H * heads
    layer = elman.Recurrent(cell, inputs, hidden, bias=bias, dtype=dtype, heads=heads)
    weights = layer.stack().weights[0]
    state = tuple(torch.randn(batch, hidden, dtype=dtype) for _ in cell.state)
    arguments = Arguments(torch.randn(shape, dtype=dtype), state, weights)
    spec = Spec(cell, hidden, reverse, heads=heads)
    up = Result(torch.randn(steps, batch, hidden, dtype=dtype), tuple(torch.randn_like(s) for s in state))
    return spec, arguments, up, passes.trained(spec, arguments)


def through(native: TrainedPasses, arguments: Arguments[Tensor]) -> tuple[Tensor, State, Trace]:
    tensors = (arguments.x, *[w for w in flatten(arguments.weights) if w is not None], *arguments.state)
    output, final, kept = native.forward(arguments.x, [one.data_ptr() for one in tensors])
    count = len(arguments.state)
    rest = kept[count:]
    return output, final, Trace(tuple(kept[:count]), *rest, *[None] * (4 - len(rest)))


def all_needed(arguments: Arguments[Tensor]) -> Arguments[bool]:
    return Arguments(
        True,
        tuple(True for _ in arguments.state),
        Weights(
            *[w is not None for w in arguments.weights[:7]], tuple(True for _ in arguments.weights.units)
        ),
    )


def assert_right(spec: Spec, arguments: Arguments[Tensor], up: Result[Any], native: TrainedPasses) -> None:
    _, _, trace = through(native, arguments)
    ours = [
        g for g in flatten(native.gradients(arguments, trace, up, all_needed(arguments))) if g is not None
    ]
    leaves = unflatten(
        arguments, [w if w is None else w.detach().requires_grad_() for w in flatten(arguments)]
    )
    own = leaves.x, leaves.state, block_diagonal(leaves.weights, len(spec.cell.gates), spec.heads)
    result = eager.scan(spec.cell, *own, Call(), Noise(), reverse=spec.reverse)
    pairs = zip((result.output, *result.state), (up.output, *up.state), strict=True)
    loss = sum(torch.sum(value * gradient) for value, gradient in pairs)
    theirs = torch.autograd.grad(loss, [leaf for leaf in flatten(leaves) if leaf is not None])
    for a, b in zip(ours, theirs, strict=True):
        near = 1e-4 if a.dtype == torch.float32 else 1e-11
        torch.testing.assert_close(a, b, rtol=near, atol=near)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 5), st.sampled_from([5, 8, 16, 40]), st.booleans(), st.booleans(),
    st.sampled_from([torch.float32, torch.float64]),
)  # fmt: skip
def test_gradients_are_those_of_plain_operations(
    cell: Any, steps: int, batch: int, inputs: int, bias: bool, reverse: bool, dtype: torch.dtype
) -> None:
    assert_right(*made(cell, (steps, batch, inputs), dtype, bias, reverse))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", [elman.cells.GRU, elman.cells.LSTM], ids=lambda cell: cell.name)
def test_heads_have_products_of_their_own(cell: Any, reverse: bool) -> None:
    for dtype, heads in ((torch.float32, 3), (torch.float64, 2)):
        assert_right(*made(cell, (4, 3, 8), dtype, True, reverse, heads))


@pytest.mark.parametrize("heads", [1, 2])
def test_large_products_are_left_to_pytorch(monkeypatch: pytest.MonkeyPatch, heads: int) -> None:
    call = made(elman.cells.GRU, (3, 2, 16), torch.float32, True, False, heads)
    monkeypatch.setattr(trained, "MAX_PRODUCT", 0)
    monkeypatch.setattr(passes, "_trained", passes._trained.__wrapped__)
    spec, arguments, up, small = call
    large = passes.trained(spec, arguments)
    assert small.multiplies and not large.multiplies
    assert_right(spec, arguments, up, large)


def test_rows_of_x_and_of_the_outputs_gradient_may_lie_anywhere() -> None:
    spec, arguments, up, native = made(elman.cells.LSTM, (3, 2, 16), torch.float32, True, False)
    x = torch.randn(2, 3, 20)[..., :16].transpose(0, 1)
    for output in (up.output.transpose(0, 2).contiguous().transpose(0, 2), torch.ones(()).expand(3, 2, H)):
        assert_right(spec, arguments._replace(x=x), up._replace(output=output), native)


def test_only_what_is_needed_is_computed() -> None:
    _, arguments, up, native = made(elman.cells.PeepholeLSTM, (3, 2, 16), torch.float32, True, False)
    _, _, trace = through(native, arguments)
    everything = native.gradients(arguments, trace, up, all_needed(arguments))
    _, _, trace = through(native, arguments)
    nothing = Weights(*[None] * 7, (False,) * 3)
    only = Arguments(False, (False, False), nothing._replace(bias_hh=True, units=(False, True, False)))
    found = native.gradients(arguments, trace, up, only)
    assert torch.equal(found.weights.bias_hh, everything.weights.bias_hh)
    assert torch.equal(found.weights.units[1], everything.weights.units[1])
    assert sum(one is not None for one in flatten(found)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"lengths": torch.tensor([1, 2])},
        {"clear": torch.zeros(3, 2, dtype=torch.bool)},
        {"mask": torch.ones(2, H)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_calls_have_no_routines(change: dict[str, Any]) -> None:
    spec, arguments, _, native = made(elman.cells.LSTM, (3, 2, 16), torch.float32, True, False)
    assert native is not None
    assert passes.trained(spec, arguments._replace(**change)) is None
    for other in ({"every_state": True}, {"hidden": H - 1}, {"heads": 8}):  # heads of 4 units
        assert passes.trained(spec._replace(**other), arguments) is None


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_a_result_and_the_states_kept_have_the_bits_of_the_kernel_by_itself(cell: Any, reverse: bool) -> None:
    spec, arguments, _, native = made(cell, (4, 3, 5), torch.float32, True, reverse)
    result, kept = native.result(arguments)
    expected = passes.forward(spec, arguments, keep=True)
    assert all(torch.equal(a, b) for a, b in zip(kept.states, expected.states, strict=True))
    # other places of what is kept are written by the backward pass alone
    assert [None if one is None else one.shape for one in flatten(kept)] == [
        None if one is None else one.shape for one in flatten(expected)
    ]
    h, *_ = expected.states
    assert torch.equal(result.output, h[:-1] if reverse else h[1:])
    ends = [h[0 if reverse else -1], *[state[0 if reverse else -1] for state in expected.states[1:]]]
    assert all(torch.equal(a, b) for a, b in zip(result.state, ends, strict=True))
