"""Packed weights: remembered while they are unchanged; rounded to 8 bits only where nothing is learned."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

import elman
from elman.cells import CELLS
from elman.engine.call import Weights
from elman.engine.cpu import host
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.plan import plan_for
from elman.engine.cpu.weights import Snapshot, heads_of, is_countable, remembered


def rounded(weight: torch.Tensor) -> torch.Tensor:
    """By the formula: every row's largest number becomes 127."""
    scale = weight.abs().amax(1, keepdim=True) / 127
    return (weight / scale).round() * scale


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("hidden", [16, 37])
@pytest.mark.parametrize("name", ["lstm", "gru", "elman", "slstm"])
def test_outputs_are_those_of_rounded_weights(
    name: str, hidden: int, norm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where products don't round x and h, too."""
    monkeypatch.setattr(host, "packing", lambda dtype, int8=False, bf16=False: "int8" if int8 else "float")
    torch.manual_seed(0)
    layer = elman.Recurrent(CELLS[name], 5, hidden, layer_norm=norm, int8=True, engine="compiled")
    exact = elman.Recurrent(CELLS[name], 5, hidden, layer_norm=norm, engine="compiled")
    exact.load_state_dict(layer.state_dict())
    x, lengths = torch.randn(7, 3, 5), [7, 0, 4]
    with torch.no_grad():
        plain = exact(x, lengths=lengths)[0], exact(x)[0]
        for weight in (exact.weight_ih_l0, exact.weight_hh_l0):
            weight.copy_(rounded(weight))
        for actual, expected, full in zip(
            (layer(x, lengths=lengths)[0], layer(x)[0]),
            (exact(x, lengths=lengths)[0], exact(x)[0]),
            plain,
            strict=True,
        ):
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=2e-6)
            assert 0 < (actual - full).abs().max() < 0.03


def weights_of(layer: elman.Recurrent) -> Weights[torch.Tensor]:
    return layer.stack().weights[0]


def test_weights_are_packed_once_while_they_are_unchanged() -> None:
    layer = elman.LSTM(5, 32)
    plan = plan_for(layer.cell, host.vector(torch.float32))
    first = remembered(plan, weights_of(layer))
    assert remembered(plan, weights_of(layer)) is first
    layer.bias_hh_l0.data.mul_(2)
    second = remembered(plan, weights_of(layer))
    assert second is not first and remembered(plan, weights_of(layer)) is second
    rounded_plan = plan_for(layer.cell, plan.vector, packing="int8")
    assert remembered(rounded_plan, weights_of(layer)).W.dtype == torch.int8


VECTOR = host.vector(torch.float32)


@pytest.mark.parametrize("whole", [True, False])
def test_a_snapshot_notices_what_is_replaced_or_changed(whole: bool) -> None:
    tensors = [torch.randn(8, 4), torch.randn(8)]
    snapshot = Snapshot(VECTOR, tensors)
    assert snapshot.holds(tensors, whole)
    for others in (tensors[:1], [tensors[0], tensors[1].clone()]):
        assert not snapshot.holds(others, whole)
    assert not snapshot.holds([tensors[0], tensors[1].detach()], whole)  # another tensor of the same memory
    tensors[1].data.add_(1)
    assert not snapshot.holds(tensors, whole)
    other = Snapshot(VECTOR, tensors)
    tensors[0].add_(0)
    assert not other.holds(tensors, whole)


def turned(weight: torch.Tensor) -> None:
    weight.data = weight.data.T


def narrowed(weight: torch.Tensor) -> None:
    weight.data = weight.data[:4]


def one_number(weight: torch.Tensor) -> None:
    weight.data[17, 5] += 3


@pytest.mark.parametrize("change", [turned, narrowed, one_number], ids=lambda f: f.__name__)
def test_a_whole_look_notices_what_a_sample_may_not(change: Any) -> None:
    weight = torch.randn(64, 64)
    snapshot = Snapshot(VECTOR, [weight])
    change(weight)
    assert not snapshot.holds([weight], whole=True)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("size", [0, 32, 4 * 64 * 64])
def test_a_snapshot_reads_no_freed_memory(size: int, whole: bool) -> None:
    weight = torch.randn(64, 64)
    snapshot = Snapshot(VECTOR, [weight])
    weight.untyped_storage().resize_(0)
    weight.untyped_storage().resize_(size)
    assert not snapshot.holds([weight], whole)


def test_a_snapshot_keeps_memory_that_another_thread_may_free_while_it_is_read() -> None:
    weight = torch.randn(64, 64)
    snapshot = Snapshot(VECTOR, [weight])
    alive = weakref.ref(weight.untyped_storage())
    weight.data = torch.randn(64, 64)
    gc.collect()
    assert not snapshot.holds([weight], whole=True) and alive() is not None


def test_a_snapshot_keeps_no_tensor_alive() -> None:
    tensors = [torch.randn(8, 4)]
    alive = weakref.ref(tensors[0])
    snapshot = Snapshot(VECTOR, tensors)
    tensors.clear()
    gc.collect()
    assert alive() is None and not snapshot.holds([torch.randn(8, 4)], whole=True)


def test_weights_that_pytorch_does_not_count_or_that_have_gaps_are_not_remembered() -> None:
    whole, gaps, wide = torch.randn(4, 4), torch.randn(4, 8)[:, ::2], torch.randn(1, 4).expand(4, 4)
    assert is_countable([whole], torch.float32)
    assert not any(is_countable([t], torch.float32) for t in (gaps, wide, whole.double(), whole.to("meta")))
    with torch.inference_mode():
        assert not is_countable([torch.randn(4)], torch.float32)


def test_a_stream_gives_the_numbers_of_the_sequence() -> None:
    layer = elman.LSTM(5, 32, 2, int8=True)
    x, state, outputs = torch.randn(6, 2, 5), None, []
    with torch.no_grad():
        for t in range(6):
            output, state = layer.step(x[t], state)
            outputs.append(output)
        assert torch.equal(torch.stack(outputs), layer(x)[0])


def test_training_sees_the_weights_themselves() -> None:
    layer = elman.LSTM(5, 32, int8=True)
    exact = elman.LSTM(5, 32)
    exact.load_state_dict(layer.state_dict())
    x = torch.randn(6, 2, 5)
    assert torch.equal(layer(x)[0], exact(x)[0])


def test_a_saved_model_can_be_read_so(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": f"the film was {word} {k}", "label": word} for k in range(30) for word in ("good", "bad")
    ]
    import polars

    elman.Classifier.fit(polars.DataFrame(rows), folder=tmp_path / "m", epochs=2, progress=False)
    loaded = elman.load(tmp_path / "m", int8=True)
    assert isinstance(loaded, elman.Classifier) and all(m.layers.int8 for m in loaded.network.members)
    assert not any(m.layers.int8 for m in elman.load(tmp_path / "m").network.members)


@pytest.mark.parametrize(
    ("size", "packing", "expected"), [(16, "float", 4), (24, "float", 1), (8, "float", 1), (16, "int8", 1)]
)
def test_heads_that_fill_panels_are_multiplied_one_by_one(size: int, packing: Any, expected: int) -> None:
    """A panel of AVX2 has 16 numbers of float32."""
    assert heads_of(4, 4 * size, Vector("float", 8), packing) == expected
