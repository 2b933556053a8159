"""Layers whose kernels round h and x, as on processors with instructions for it: beside the formulas, and the
same in streams, batches and pools. Here the kernels may use generic instructions.

B sequences, I inputs.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import elman
from elman.cells import CELLS
from elman.engine.cpu import host
from elman.engine.cpu.emit.grouped import DEPTH
from elman.engine.cpu.emit.plan import plan_for
from elman.engine.cpu.emit.product import WIDE
from elman.engine.cpu.rounding import rounded, to_bytes
from grouped_products import in_groups

B, I = 3, 21  # noqa: E741


@pytest.fixture(autouse=True)
def rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "packing", in_groups)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def in_bytes(rows: Tensor) -> Tensor:
    """By the formula: every row's largest number becomes 127."""
    scale = rows.abs().amax(1, keepdim=True).clamp(min=2**-100) / 127
    return (rows / scale).round() * scale


def layers(name: str, hidden: int, **options: Any) -> tuple[elman.Recurrent, elman.Recurrent]:
    """An 8-bit layer, and one in float32 with the weights of the other as those are rounded."""
    torch.manual_seed(0)
    layer = elman.Recurrent(CELLS[name], I, hidden, int8=True, engine="compiled", **options)
    exact = elman.Recurrent(CELLS[name], I, hidden, engine="compiled", **options)
    exact.load_state_dict(layer.state_dict())
    with torch.no_grad():
        for weight in (exact.weight_ih_l0, exact.weight_hh_l0):
            weight.copy_(in_bytes(weight))
    return layer, exact


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("hidden", [16, 37])
@pytest.mark.parametrize("name", ["lstm", "gru", "elman", "slstm"])
def test_a_step_is_that_of_rounded_weights_inputs_and_state(name: str, hidden: int, norm: bool) -> None:
    """GRU has slots of W before those of U, 37 units fill no whole panel, and 21 inputs no whole group."""
    layer, exact = layers(name, hidden, layer_norm=norm)
    x = torch.randn(1, B, I) * torch.tensor([0.01, 1.0, 30.0]).view(1, B, 1)
    state = tuple(torch.rand(1, B, hidden) + 0.1 for _ in CELLS[name].state)
    with torch.no_grad():
        actual = layer(x, state if len(state) > 1 else state[0])
        half_way = exact(in_bytes(x[0])[None], state if len(state) > 1 else state[0])
        h = in_bytes(state[0][0])[None]
        others = exact(in_bytes(x[0])[None], (h, *state[1:]) if len(state) > 1 else h)
    mixes = name == "gru"  # whose equations, too, read h, as it is
    if not mixes:
        torch.testing.assert_close(actual[0], others[0], rtol=1e-4, atol=1e-5)
    assert (actual[0] - half_way[0]).abs().max() < 0.01


@pytest.mark.parametrize("name", ["lstm", "gru", "elman"])
def test_a_sequence_stays_near_that_of_floats(name: str) -> None:
    layer, exact = layers(name, 48)
    x, lengths = torch.randn(40, B, I), [40, 0, 17]
    with torch.no_grad():
        for more in ({}, {"lengths": lengths}):
            difference = (layer(x, **more)[0] - exact(x, **more)[0]).abs()
            assert 0 < difference.mean() < 0.004 and difference.max() < 0.05


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_streams_pools_rows_and_batches_have_the_same_bits(name: str, threads: int) -> None:
    layer, _ = layers(name, 300)  # so wide that few rows make threads share the units
    x = torch.randn(4, B, I)
    with torch.no_grad():
        whole = layer(x)[0]
        assert torch.equal(whole, layer(x, lengths=[4] * B)[0])
        assert torch.equal(whole, torch.cat([layer(x[:, k : k + 1])[0] for k in range(B)], 1))
        state, outputs = None, []
        for step in x:
            output, state = layer.step(step, state)
            outputs.append(output)
        assert torch.equal(whole, torch.stack(outputs))
        stream, pool = layer.stream(batch=B), layer.pool(capacity=B)
        assert torch.equal(whole, torch.stack([stream.push(step).clone() for step in x]))
        slots = [pool.open() for _ in range(B)]
        assert torch.equal(whole, torch.stack([pool.push(slots, step)[0] for step in x]))


def test_training_and_double_precision_see_the_weights_themselves() -> None:
    layer, exact = elman.LSTM(I, 32, int8=True), elman.LSTM(I, 32)
    exact.load_state_dict(layer.state_dict())
    x = torch.randn(6, B, I)
    assert torch.equal(layer(x)[0], exact(x)[0])
    with torch.no_grad():
        assert (layer.double()(x.double())[0] - exact.double()(x.double())[0]).abs().max() < 0.01


@pytest.mark.parametrize("depth", [1, 4, 7, 4 * DEPTH, 4 * DEPTH + 3])
def test_bytes_are_in_fours_behind_the_first_values_of_their_sums(depth: int) -> None:
    vector = host.vector(torch.float32)
    columns = WIDE * vector.lanes
    panels = torch.randn(2, depth, columns)
    groups, scales = rounded(panels, plan_for(CELLS["elman"], vector, packing="int8 groups"))
    integers, expected = to_bytes(panels)
    assert scales is not None and torch.equal(scales, expected)
    for start in range(0, depth, 4 * DEPTH):
        part = groups[:, start // 4 + start // (4 * DEPTH) :][:, : DEPTH + 1]
        first = part[:, 0].flatten(1).view(torch.int32)
        chunk = integers[:, start : start + 4 * DEPTH]
        assert torch.equal(first, -128 * chunk.sum(1, dtype=torch.int32))
        whole = part[:, 1:].transpose(2, 3).flatten(1, 2)
        assert torch.equal(whole[:, : chunk.shape[1]], chunk) and not whole[:, chunk.shape[1] :].any()


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_halves_are_pytorchs_in_pairs(depth: int) -> None:
    vector = host.vector(torch.float32)
    columns = WIDE * vector.lanes
    panels = torch.randn(2, depth, columns)
    panels[0, 0, :4] = torch.tensor([torch.nan, torch.inf, 3.4e38, 1e-45])
    pairs, scales = rounded(panels, plan_for(CELLS["elman"], vector, packing="bf16 groups"))
    whole = pairs.transpose(2, 3).flatten(1, 2)
    assert scales is None and not whole[:, depth:].any()
    torch.testing.assert_close(whole[:, :depth], panels.bfloat16(), rtol=0, atol=0, equal_nan=True)


def both(name: str, hidden: int, **options: Any) -> tuple[elman.Recurrent, elman.Recurrent]:
    torch.manual_seed(1)
    layer = elman.Recurrent(CELLS[name], I, hidden, **options)
    exact = elman.Recurrent(CELLS[name], I, hidden, **options)
    exact.load_state_dict(layer.state_dict())
    return layer, exact


def of_bfloat(t: Tensor) -> Tensor:
    return t.bfloat16().float()


@pytest.mark.parametrize("how", ["autocast", "layer"])
@pytest.mark.parametrize("name", ["lstm", "elman", "slstm"])
def test_a_step_in_half_precision_is_that_of_rounded_operands(name: str, how: str) -> None:
    layer, exact = both(name, 37)
    x = torch.randn(1, B, I)
    state = tuple(torch.rand(1, B, 37) + 0.1 for _ in layer.cell.state)
    if how == "layer":
        layer, x, state = layer.bfloat16(), x.bfloat16(), tuple(s.bfloat16() for s in state)
    with torch.no_grad():
        for weight in (exact.weight_ih_l0, exact.weight_hh_l0):
            weight.copy_(of_bfloat(weight))
        if how == "layer":
            exact.load_state_dict(layer.state_dict())
        h = of_bfloat(state[0])
        rounded_state = (h, *[s.float() for s in state[1:]]) if len(state) > 1 else h
        expected = exact(of_bfloat(x), rounded_state)[0]
        with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
            actual = layer(x, state if len(state) > 1 else state[0])[0]
            reason = layer.explain(x)
    assert reason.endswith("in float32 with products of bfloat16")
    half = actual.dtype == torch.bfloat16
    torch.testing.assert_close(actual.float(), expected, rtol=1e-2 if half else 1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"layer_norm": True}, {"recompute": True}], ids=str)
@pytest.mark.parametrize("name", ["lstm", "gru", "elman"])
def test_gradients_in_half_precision_are_near(name: str, options: dict[str, bool]) -> None:
    layer, exact = both(name, 37, **options)
    x = torch.randn(30, B, I)
    results = []
    for one, half in ((layer, True), (exact, False)):
        given = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = one(given, lengths=[30, 0, 12])[0]
        output.float().square().sum().backward()
        results.append([given.grad, *[p.grad for p in one.parameters()]])
    for actual, expected in zip(*results, strict=True):
        assert actual is not None and expected is not None and actual.dtype == torch.float32
        assert 0 < (actual - expected).norm() < 0.02 * expected.norm()


def test_float16_stays_float32() -> None:
    layer, exact = both("lstm", 37)
    x = torch.randn(5, B, I)
    with torch.autocast("cpu", torch.float16):
        assert layer.explain(x).endswith(", in float32")
        assert torch.equal(layer(x)[0].float(), exact(x)[0].to(layer(x)[0].dtype).float())


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*", "ignore::FutureWarning:torch.*")
def test_a_compiled_model_has_the_same_bits() -> None:
    torch._dynamo.reset()
    layer, _ = both("gru", 37)
    x = torch.randn(5, B, I)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(torch.compile(layer, backend="aot_eager", fullgraph=True)(x)[0], layer(x)[0])
