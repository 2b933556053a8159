"""A layer's inputs: every layout of them, lengths and resets, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import elman
from compare import assert_same
from elman.cells import CELLS

pytestmark = pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning")
T, B, I, H = 5, 3, 4, 6  # noqa: E741


def noise(*shape: int, seed: int = 0, **kind: Any) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **kind)


def test_layouts_agree() -> None:
    """(T, B, I), (B, T, I), one sequence, and a packed sequence, with lengths, resets and states."""
    layer = elman.Recurrent(CELLS["mgu"], I, H, 2, bidirectional=True)
    x, reset = noise(T, B, I), noise(T, B, seed=1) > 0.5
    output, final, every = layer(x, lengths=[2, 5, 0], reset=reset, return_states=True)
    layer.batch_first = True
    swapped, last, states = layer(
        x.transpose(0, 1), lengths=torch.tensor([2, 5, 0]), reset=reset.T, return_states=True
    )
    assert_same([swapped.transpose(0, 1), last, states], [output, final, every])
    one, last, states = layer(x[:, 1], final[:, 1], reset=reset[:, 1], return_states=True)
    layer.batch_first = False
    batch = layer(x[:, 1:2], final[:, 1:2], reset=reset[:, 1:2], return_states=True)
    assert_same([one, last, states], [batch[0][:, 0], batch[1][:, 0], batch[2][:, :, 0]])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [2, 5, 1], enforce_sorted=False)
    run, last = layer(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(run)
    assert_same([padded, last], layer(x, lengths=[2, 5, 1]))


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("lengths", {"lengths": [1, 2]}, "lengths must be whole numbers, one for each of the 3 sequences"),
    ("lengths", {"lengths": [1.0, 2.0, 3.0]}, "lengths must be whole numbers"),
    ("lengths", {"lengths": torch.ones(3, dtype=torch.bool)}, "lengths must be whole numbers"),
    ("lengths", {"lengths": [1, 2, 6]}, "lengths must lie between 0 and the 5 steps"),
    ("lengths", {"lengths": [-1, 2, 5]}, "lengths must lie between 0 and the 5 steps"),
    ("reset", {"reset": torch.zeros(5, 3)}, r"reset must be bool \(5, 3\), not torch.float32 \(5, 3\)"),
    ("reset", {"reset": torch.zeros(3, 5, dtype=torch.bool)}, r"reset must be bool \(5, 3\)"),
]


@pytest.mark.parametrize(("_", "call", "sentence"), REFUSED)
def test_calls_that_cannot_be_meant(_: str, call: dict[str, Any], sentence: str) -> None:
    with pytest.raises(elman.UsageError, match=sentence):
        elman.GRU(I, H)(noise(T, B, I), **call)


def test_under_autocast_a_type_of_its_own_is_refused_before_and_after_a_training_step() -> None:
    layer, x = elman.GRU(I, 16), noise(T, B, I)
    for _ in range(2):
        layer.bias_hh_l0 = nn.Parameter(layer.bias_hh_l0.detach().double())
        with torch.autocast("cpu", torch.bfloat16):
            with pytest.raises(elman.UsageError, match=r"bias_hh_l0 is torch\.float64"):
                layer(x)
            layer.bias_hh_l0 = nn.Parameter(layer.bias_hh_l0.detach().float())
            layer(x)[0].sum().backward()


WRONG_INPUTS: list[tuple[Any, Any, str]] = [
    (torch.zeros(5, 2, 4), None, "input_size 3, not 4"),
    (torch.zeros(5), None, r"\(T, B, I\) or \(T, I\), not \(5,\)"),
    (torch.zeros(5, 2, 3, dtype=torch.float64), None, r"torch.float64 but the weights are torch.float32"),
    (torch.zeros(5, 2, 3, dtype=torch.int64), None, r"torch.int64 but the weights are torch.float32"),
    (torch.zeros(5, 2, 3), torch.zeros(1, 2, 4), r"state of LSTM is the tensors \(h, c\), not 1"),
    (torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 3, 4)), r"state c must be \(1, 2, 4\)"),
    (torch.zeros(5, 3), (torch.zeros(1, 1, 4), torch.zeros(1, 4)), r"state h must be \(1, 4\)"),
    (
        torch.zeros(5, 3),
        (torch.zeros(1, 4).double(),) * 2,
        r"state h is torch.float64 but input is torch.float32",
    ),
]


@pytest.mark.parametrize(("x", "hx", "sentence"), WRONG_INPUTS, ids=lambda v: "")
def test_wrong_inputs(x: Tensor, hx: Any, sentence: str) -> None:
    with pytest.raises(elman.UsageError, match=sentence):
        elman.LSTM(3, 4)(x, hx)
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        nn.LSTM(3, 4)(x, hx)


def table_column() -> Tensor:
    return torch.tensor([[5, 1], [0, 2], [3, 3]])[:, 0]


LENGTHS: list[Any] = [
    table_column(),
    table_column().int(),
    table_column().to(torch.uint8),
    [np.int64(5), np.int32(0), np.uint8(3)],
    np.array([5, 0, 3], np.uint16),
    np.array([[5, 1], [0, 2], [3, 3]])[:, 0],
    (5, 0, 3),
    [torch.tensor(5), torch.tensor(0), torch.tensor(3)],
]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("engine", ["compiled", "vendor", "eager"])
def test_lengths_may_be_stored_in_any_way(engine: Any, lengths: Any) -> None:
    layer, x = elman.LSTM(I, H, engine=engine), noise(T, B, I)
    assert_same(layer(x, lengths=lengths), layer(x, lengths=[5, 0, 3]))


def test_lengths_repeated_by_expand_and_resets_of_any_strides() -> None:
    layer, x, reset = elman.LSTM(I, H), noise(T, B, I), noise(B, T) > 0.5
    assert_same(layer(x, lengths=torch.tensor([2]).expand(B)), layer(x, lengths=[2] * B))
    assert_same(layer(x, reset=reset.T), layer(x, reset=reset.T.contiguous()))
    wide = torch.stack([reset.T, ~reset.T], -1)[..., 0]
    assert_same(layer(x, reset=wide), layer(x, reset=reset.T))


def freed(tensor: Tensor, size: int = 0) -> Tensor:
    tensor.untyped_storage().resize_(size)
    return tensor


FLAGS = torch.zeros(T, B, dtype=torch.bool)
BAD_CALLS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "a list": (lambda: {"input": [[1.0] * I]}, "input must be a tensor or a PackedSequence, not list"),
    "meta": (lambda: {"input": noise(T, B, I).to("meta")}, "input is on meta but the weights are on cpu"),
    "freed": (lambda: {"input": freed(noise(T, B, I))}, "input needs 240 bytes, but its storage has only 0"),
    "sparse": (lambda: {"input": noise(T, B, I).to_sparse()}, "input must be a dense tensor"),
    "oneDNN's": (lambda: {"input": noise(T, B, I).to_mkldnn()}, "input must be a dense tensor"),
    "meta state": (
        lambda: {"hx": (noise(1, B, H), noise(1, B, H).to("meta"))},
        "state c is on meta but input is",
    ),
    "cut state": (lambda: {"hx": (freed(noise(1, B, H), 71), noise(1, B, H))}, "state h needs 72 bytes"),
    "sparse state": (lambda: {"hx": (noise(1, B, H).to_sparse(),) * 2}, "state h must be a dense tensor"),
    "None state": (
        lambda: {"hx": (noise(1, B, H), None)},
        "the state must be a tensor or a tuple of tensors",
    ),
    "number state": (lambda: {"hx": 5}, "the state must be a tensor or a tuple of tensors, not int"),
    "generator": (lambda: {"hx": (noise(1, B, H) for _ in "hc")}, "the state must be a tensor or a tuple"),
    "meta reset": (lambda: {"reset": FLAGS.to("meta")}, "reset is on meta but input is on cpu"),
    "list reset": (lambda: {"reset": FLAGS.tolist()}, "reset must be a tensor, bool"),
    "freed reset": (lambda: {"reset": freed(FLAGS.clone())}, "reset needs 15 bytes"),
    "meta lengths": (
        lambda: {"lengths": torch.ones(B, dtype=torch.long, device="meta")},
        "lengths must be whole",
    ),
    "freed lengths": (lambda: {"lengths": freed(torch.ones(B, dtype=torch.long))}, "lengths needs 24 bytes"),
    "sparse lengths": (
        lambda: {"lengths": torch.ones(B, dtype=torch.long).to_sparse()},
        "lengths must be a dense",
    ),
    "complex lengths": (lambda: {"lengths": torch.ones(B, dtype=torch.complex64)}, "lengths must be whole"),
    "huge lengths": (lambda: {"lengths": [2**64, 1, 1]}, "lengths must be whole"),
    "huge unsigned": (
        lambda: {"lengths": np.array([2**63 + 1, 1, 1], np.uint64)},
        "lengths must lie between",
    ),
    "None lengths": (lambda: {"lengths": [None] * 3}, "lengths must be whole"),
    "text lengths": (lambda: {"lengths": "123"}, "lengths must be whole"),
    "NaN lengths": (lambda: {"lengths": [float("nan")] * 3}, "lengths must be whole"),
}


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("engine", ["auto", "compiled", "vendor", "eager"])
@pytest.mark.parametrize("kind", BAD_CALLS)
def test_tensors_that_nothing_could_read(kind: str, engine: Any, prepared: bool) -> None:
    layer, (call, sentence) = elman.LSTM(I, H, engine=engine), BAD_CALLS[kind]
    with torch.set_grad_enabled(not prepared):
        layer(noise(T, B, I))
        with pytest.raises(elman.UsageError, match=sentence):
            layer(**{"input": noise(T, B, I)} | call())


@pytest.mark.parametrize("sizes", [[3, 4, 1], [30, 5, 1], [3, -5, 10], [3, 3, 2, 0], []])
def test_a_packed_sequence_made_by_hand(sizes: list[int]) -> None:
    packed = PackedSequence(noise(8, I), torch.tensor(sizes, dtype=torch.long))
    for engine in ("compiled", "vendor", "eager"):
        with pytest.raises(elman.UsageError, match="batch_sizes of a PackedSequence"):
            elman.LSTM(I, H, engine=engine)(packed)


@pytest.mark.parametrize("indices", [[9, 9, 9], [0, 0, 1], [0, 1], [-1, 0, 1]])
def test_a_packed_sequence_with_an_order_made_by_hand(indices: list[int]) -> None:
    packed = PackedSequence(noise(6, I), torch.tensor([3, 3]), torch.tensor(indices), torch.tensor(indices))
    with pytest.raises(elman.UsageError, match="must be a permutation of 3 sequences"):
        elman.LSTM(I, H)(packed, (noise(1, B, H),) * 2)


def assign(name: str, change: Callable[[Tensor], Any]) -> Callable[[Any], None]:
    def to(layer: Any) -> None:
        new = change(getattr(layer, name).detach())
        setattr(layer, name, nn.Parameter(new) if isinstance(new, Tensor) else new)

    return to


def renamed(**options: Any) -> Callable[[Any], None]:
    def to(layer: Any) -> None:
        for name, value in options.items():
            setattr(layer, name, value)

    return to


BAD_WEIGHTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "float64": (
        assign("weight_hh_l0", Tensor.double),
        "weight_hh_l0 is torch.float64 but must be torch.float32",
    ),
    "float64 above": (assign("bias_ih_l1_reverse", Tensor.double), "bias_ih_l1_reverse is torch.float64"),
    "meta": (assign("bias_hh_l0", lambda w: w.to("meta")), "bias_hh_l0 is on meta but must be on cpu"),
    "a part": (assign("weight_hh_l0", lambda w: w[:8, :8]), r"weight_hh_l0 must be \(24, 6\), not \(8, 6\)"),
    "one bias": (
        assign("bias_ih_l0_reverse", lambda w: w[:1]),
        r"bias_ih_l0_reverse must be \(24,\), not \(1,\)",
    ),
    "narrow above": (assign("weight_ih_l1", lambda w: w[:, :H]), r"weight_ih_l1 must be \(24, 12\)"),
    "turned": (assign("weight_ih_l0", lambda w: w.T), r"weight_ih_l0 must be \(24, 4\)"),
    "None": (renamed(bias_hh_l0=None), "bias_hh_l0 must be a tensor"),
    "sparse": (assign("weight_hh_l0", Tensor.to_sparse), "weight_hh_l0 must be a dense tensor"),
    "freed": (
        lambda layer: freed(layer.weight_hh_l0),
        "weight_hh_l0 needs 576 bytes, but its storage has only 0",
    ),
    "cut": (
        lambda layer: freed(layer.bias_hh_l1, 95),
        "bias_hh_l1 needs 96 bytes, but its storage has only 95",
    ),
    "hidden_size": (renamed(hidden_size=1024), r"weight_ih_l0 must be \(4096, 4\), not \(24, 4\)"),
    "input_size": (renamed(input_size=5), r"weight_ih_l0 must be \(24, 5\)|input_size 5"),
    "num_layers": (renamed(num_layers=3), "num_layers and bidirectional can't change"),
    "bidirectional": (renamed(bidirectional=False), "num_layers and bidirectional can't change"),
    "cell": (renamed(cell=CELLS["peephole-lstm"]), "cell, bias, layer_norm and proj_size can't change"),
    "bias": (renamed(bias=False), "cell, bias, layer_norm and proj_size can't change"),
}


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("engine", ["auto", "compiled", "vendor", "eager"])
@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_weights_that_do_not_fit_the_layer(kind: str, engine: Any, grad: bool, used: bool) -> None:
    change, sentence = BAD_WEIGHTS[kind]
    layer, x = elman.LSTM(I, H, 2, bidirectional=True, engine=engine), noise(T, B, I)
    with torch.set_grad_enabled(grad):
        if used:
            layer(x)
        change(layer)
        for call in ({}, {"lengths": [5, 0, 3]}):
            with pytest.raises(elman.UsageError, match=sentence):
                layer(x, **call)


@pytest.mark.parametrize(
    "kind", [k for k in BAD_WEIGHTS if "above" not in k and "_" not in k and "bi" not in k]
)
def test_steps_look_at_changed_weights(kind: str) -> None:
    change, sentence = BAD_WEIGHTS[kind]
    if kind in ("cut", "bidirectional"):
        return
    layer, x = elman.LSTM(I, 32), noise(B, I)
    with torch.no_grad():
        layer.step(x)
        change(layer)
        with pytest.raises(elman.UsageError, match=sentence.split(" must")[0].split(" needs")[0]):
            layer.step(x)


def test_a_default_device_is_not_that_of_the_kernels() -> None:
    layer, x = elman.LSTM(I, 32), noise(T, B, I)
    calls: list[dict[str, Any]] = [{}, {"lengths": [5, 0, 3]}, {"return_states": True}]
    expected = [layer(x, **call) for call in calls]
    for grad in (True, False):
        fresh = elman.LSTM(I, 32)
        fresh.load_state_dict(layer.state_dict())
        with torch.set_grad_enabled(grad), torch.device("meta"):
            for call, result in zip(calls, expected, strict=True):
                assert_same(fresh(x, **call), result)
            assert_same(fresh.step(x[0])[0], expected[0][0][0])
