"""The engines against each other, and which one runs what, and why."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses import FakeTensorMode

import elman
from compare import assert_same, gradients, tensors
from elman.cells import CELLS
from elman.engine import compiled
from elman.engine.call import Call, Stack, Weights
from elman.engine.cpu import host
from elman.engine.gpu import measured
from elman.engine.gpu.sizes import Gpu
from elman.engine.scan import SlowPathWarning, _warn, choose

pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning"),
]


CLASSIC = ("elman", "elman-relu", "gru", "lstm")


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    """In float64: at random, float32 meets gradients that cancel."""
    steps, batch = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    lengths = st.lists(st.integers(0, steps), min_size=batch, max_size=batch)
    flags = st.lists(st.booleans(), min_size=steps * batch, max_size=steps * batch)
    return {
        "shape": (steps, batch, draw(st.integers(1, 3))),
        "hidden": draw(st.integers(1, 5)),
        "layers": draw(st.integers(1, 3)),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "lengths": draw(st.none() | lengths),
        "reset": torch.tensor(draw(flags)).view(steps, batch),
        "seed": draw(st.integers(0, 1000)),
    }


def layer_of(kind: str, drawn: dict[str, Any], **more: Any) -> tuple[elman.Recurrent, Tensor, Any]:
    """A layer, an input and an initial state that ask for gradients."""
    torch.manual_seed(drawn["seed"])
    options = {"bias": drawn["bias"], "bidirectional": drawn["bidirectional"], "dtype": torch.float64}
    inputs, hidden, layers = drawn["shape"][2], drawn["hidden"], drawn["layers"]
    layer = elman.Recurrent(CELLS[kind], inputs, hidden, layers, **options, **more)
    x = torch.randn(drawn["shape"], dtype=torch.float64, requires_grad=True)
    rows = layers * layer.directions
    state = [torch.rand(rows, x.shape[1], hidden, dtype=x.dtype) for _ in layer.cell.state]
    state = [s.requires_grad_() for s in state]
    return layer, x, tuple(state) if len(state) > 1 else state[0]


slow_machine = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])


@slow_machine
@given(st.sampled_from(CLASSIC), calls())
def test_vendor_and_compiled_are_eager(kind: str, drawn: dict[str, Any]) -> None:
    layer, x, state = layer_of(kind, drawn)
    all_empty = drawn["lengths"] is not None and not any(drawn["lengths"])
    results = {}
    for engine in ("eager", "compiled", *["vendor"] * (not all_empty)):
        layer.engine = engine
        assert layer.explain(x, lengths=drawn["lengths"]).startswith(engine)
        result = layer(x, state, lengths=drawn["lengths"])
        results[engine] = result, gradients(result, [x, *tensors(state), *layer.parameters()])
    for engine, found in results.items():
        assert_same(found, results["eager"], engine)


@slow_machine
@given(st.sampled_from(sorted(CELLS)), calls(), st.booleans())
def test_lengths_are_every_sequence_alone(kind: str, drawn: dict[str, Any], normalised: bool) -> None:
    """Outputs, states and gradients; what lies beyond a length has no say, even if it is not a number."""
    layer, x, state = layer_of(kind, drawn, layer_norm=normalised)
    lengths = drawn["lengths"] or [x.shape[0]] * x.shape[1]
    inside = torch.arange(x.shape[0]).unsqueeze(1) < torch.tensor(lengths)
    padded = torch.where(inside.unsqueeze(2), x, torch.nan)
    together = layer(padded, state, lengths=lengths)
    parts = []
    for k, n in enumerate(lengths):
        own = tuple(s[:, k : k + 1] for s in tensors(state))
        output, *final = tensors(layer(x[:n, k : k + 1], own if len(own) > 1 else own[0]))
        parts.append((torch.nn.functional.pad(output, (0, 0, 0, 0, 0, x.shape[0] - n)), *final))
    alone = [torch.cat(tensors_, 1) for tensors_ in zip(*parts, strict=True)]
    assert_same(together, alone)
    inputs = [x, *tensors(state), *layer.parameters()]
    assert_same(gradients(tensors(together), inputs), gradients(alone, inputs))


@slow_machine
@given(st.sampled_from(sorted(CELLS)), calls())
def test_resets_are_every_segment_alone(kind: str, drawn: dict[str, Any]) -> None:
    """Forwards the given state enters the first segment, backwards the last one."""
    drawn["layers"] = 1
    layer, x, state = layer_of(kind, drawn)
    lengths = drawn["lengths"] or [x.shape[0]] * x.shape[1]
    output, *final = tensors(layer(x, state, lengths=lengths, reset=drawn["reset"]))
    for k, n in enumerate(lengths):
        # A flag at 0 clears what comes in from before; flags beyond the length mean nothing.
        flags = drawn["reset"][:n, k].tolist()
        cuts = [0, *[t for t in range(1, n) if flags[t]], n]
        for first, last in itertools.pairwise(cuts):
            start = [torch.zeros_like(s[:, k : k + 1]) for s in tensors(state)]
            for whole, own in zip(tensors(state), start, strict=True):
                with torch.no_grad():
                    if first == 0 and not (flags and flags[0]):
                        own[0] = whole[0, k]
                    if last == n and drawn["bidirectional"]:
                        own[1] = whole[1, k]
            alone, *ends = tensors(
                layer(x[first:last, k : k + 1], tuple(start) if len(start) > 1 else start[0])
            )
            assert_same(output[first:last, k : k + 1], alone)
            for whole, end in zip(final, ends, strict=True):
                if last == n:
                    assert_same(whole[0, k], end[0, 0])
                if first == 0 and drawn["bidirectional"]:
                    assert_same(whole[1, k], end[1, 0])
        assert not output[n:, k].any()
        if n == 0:
            assert_same([f[:, k] for f in final], [s[:, k] for s in tensors(state)])


@slow_machine
@given(st.sampled_from(sorted(CELLS)), calls(), st.sampled_from(["compiled", "eager"]))
def test_steps_are_the_scan(kind: str, drawn: dict[str, Any], engine: str) -> None:
    drawn["bidirectional"] = False
    layer, x, state = layer_of(kind, drawn, engine=engine)
    output, final = layer(x, state)
    outputs = []
    for x_t in x:
        y, state = layer.step(x_t, state)
        outputs.append(y)
    stepped = [torch.stack(outputs), state]
    pairs = zip(tensors([output, final]), tensors(stepped), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@slow_machine
@given(st.sampled_from(sorted(CELLS)), calls())
def test_every_state_of_every_step(kind: str, drawn: dict[str, Any]) -> None:
    """Also every state is what a shorter run ends with."""
    drawn["bidirectional"] = False
    layer, x, state = layer_of(kind, drawn)
    output, final, every = layer(x, state, lengths=drawn["lengths"], return_states=True)
    lengths = drawn["lengths"] or [x.shape[0]] * x.shape[1]
    assert_same([s[-1] for s in tensors(every)], final)
    for t in range(x.shape[0]):
        shorter = layer(x[: t + 1], state, lengths=[min(n, t + 1) for n in lengths])[1]
        assert_same([s[t] for s in tensors(every)], shorter)
    inside = torch.arange(x.shape[0]).unsqueeze(1) < torch.tensor(lengths)
    assert_same(torch.where(inside.unsqueeze(2), tensors(every)[0][:, -1], 0), output)


def test_every_state_backwards_starts_at_the_end() -> None:
    layer = elman.GRU(2, 3, bidirectional=True)
    x = torch.randn(4, 2, 2)
    output, final, every = layer(x, return_states=True)
    assert every.shape == (4, 2, 2, 3)
    assert_same(every[:, 0], output[..., :3])
    assert_same(every[:, 1], output[..., 3:])
    assert_same(final, torch.stack([every[-1, 0], every[0, 1]]))


@pytest.mark.filterwarnings("error")
def test_the_slow_path_is_warned_of_once() -> None:
    """Once in a process and for each reason; never where there is nothing to do."""
    _warn.cache_clear()
    x = torch.zeros(3, 2, 2)
    small, normalised = elman.RNN(2, 3, proj_size=2), elman.LSTM(2, 3, proj_size=2, layer_norm=True)
    for engine, kernels in (("eager", small), ("auto", elman.GRU(2, 3, layer_norm=True))):
        kernels.engine = engine
        kernels(x)
    small.engine = "auto"
    small(x[:0])
    small(x[:, :0])
    with pytest.warns(SlowPathWarning, match="by step, which is slow: kernels have no projection") as w:
        small(x)
    assert len(w) == 1
    small(x)
    small.step(x[0])
    with pytest.warns(SlowPathWarning, match="kernels have no projection; .* no layer normalisation"):
        normalised(x)
    normalised(x)
    with torch.autocast("cpu", torch.bfloat16):
        elman.Recurrent(CELLS["mgu"], 2, 3)(x)
    elman.Recurrent(CELLS["mgu"], 2, 3, dtype=torch.float16)(x.half())
    _warn.cache_clear()


@pytest.mark.parametrize("kind", CELLS)
def test_no_steps_and_no_sequences(kind: str) -> None:
    layer = elman.Recurrent(CELLS[kind], 2, 3, 2, bidirectional=True)
    state = tuple(torch.rand(4, 5, 3) for _ in layer.cell.state)
    hx = state if len(state) > 1 else state[0]
    output, final, every = layer(torch.zeros(0, 5, 2), hx, lengths=[0] * 5, return_states=True)
    assert output.shape == (0, 5, 6) and all(e.shape == (0, 4, 5, 3) for e in tensors(every))
    assert all(torch.equal(a, b) for a, b in zip(tensors(final), state, strict=True))
    output, final = layer(torch.zeros(6, 0, 2), lengths=[])
    assert output.shape == (6, 0, 6) and tensors(final)[0].shape == (4, 0, 3)


@pytest.mark.parametrize("how", ["layer", "autocast"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
@pytest.mark.parametrize("kind", CELLS)
def test_half_precision_of_any_cell_is_float32_rounded(
    kind: str, dtype: torch.dtype, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where products don't round their operands."""
    monkeypatch.setattr(host, "packing", lambda *args, **options: "float")
    torch.manual_seed(7)
    layer = elman.Recurrent(kind, 2, 3, 2, bidirectional=True, batch_first=True, zoneout=0.1).eval()
    x, half = torch.randn(4, 5, 2), elman.Recurrent(kind, 2, 3, 2, bidirectional=True, batch_first=True)
    half.load_state_dict(layer.state_dict())
    half.eval().zoneout = 0.1
    if how == "layer":
        half, x = half.to(dtype), x.to(dtype)
        layer.load_state_dict(half.state_dict())
    resets = torch.rand(4, 5) > 0.5
    for call in ({}, {"lengths": [5, 2, 0, 1]}, {"reset": resets}, {"return_states": True}):
        exact = layer(x.float(), **call)
        with torch.autocast("cpu", dtype, enabled=how == "autocast"):
            rounded = half(x, **call)
        pairs = zip(tensors(rounded), tensors(exact), strict=True)
        assert all(torch.equal(a, b.to(a.dtype)) for a, b in pairs)


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that makes the stack of one layer, and an input, of a GPU that need not be there."""
    monkeypatch.setattr(compiled.support, "obstacle", lambda device: "")
    monkeypatch.setattr(compiled.torch_internals, "obstacle", lambda *tensors: "")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(measured, "gpu_of", lambda device: Gpu(132, 227 * 1024))

    def stack(
        kind: str, engine: Any = "auto", dtype: torch.dtype = torch.float32, hidden: int = 4
    ) -> tuple[Stack, Tensor]:
        cell = CELLS[kind]
        shapes = (len(cell.gates) * hidden, 3), (len(cell.gates) * hidden, hidden)
        matrices = [torch.empty(shape, device="cuda", dtype=dtype) for shape in shapes]
        none = dict.fromkeys(("dropout", "recurrent_dropout", "weight_dropout", "zoneout"), 0.0)
        weights = (Weights(*matrices),)
        made = Stack(cell, weights, directions=1, training=False, **none, engine=engine)
        return made, torch.empty(5, 32, 3, device="cuda", dtype=dtype)

    with FakeTensorMode():
        yield stack


def test_on_a_gpu_pytorchs_kernels_come_first_where_ours_were_not_measured_to_be_faster(on_cuda: Any) -> None:
    assert choose(*on_cuda("lstm"), Call()).engine == "vendor"
    assert choose(*on_cuda("lstm", "compiled"), Call()).engine == "compiled"
    assert choose(*on_cuda("lstm", hidden=512), Call()).engine == "compiled"
    assert choose(*on_cuda("lstm", hidden=64), Call()).engine == "vendor"
    assert choose(*on_cuda("mgu"), Call()).reason.endswith("whole sequence, in Triton")
    resets = Call(reset=torch.empty(5, 32, dtype=torch.bool, device="cuda"))
    assert choose(*on_cuda("lstm"), resets).engine == "compiled"


def test_packed_sequences_are_as_many_as_begin(on_cuda: Any) -> None:
    stack, _ = on_cuda("lstm", hidden=512)
    packed = torch.empty(96, 3, device="cuda")
    sizes: Any  # numbers: FakeTensorMode has no values
    for sizes, engine in (([32, 32, 32], "compiled"), ([2] * 48, "vendor")):
        assert choose(stack, packed, Call(batch_sizes=sizes)).engine == engine


def test_on_another_gpu_kernels_are_said_to_be_unmeasured(
    on_cuda: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "gpu_of", lambda device: Gpu(78, 227 * 1024))
    assert choose(*on_cuda("lstm", hidden=512), Call()).engine == "vendor"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert choose(*on_cuda("lstm", hidden=512), Call()).engine == "vendor"
    choice = choose(*on_cuda("mgu", dtype=torch.bfloat16), Call())
    assert choice.reason.endswith("in Triton, which was measured on an NVIDIA H100 only")


def test_on_a_gpu_what_kernels_can_not_do_is_said(on_cuda: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    double = choose(*on_cuda("mgu", dtype=torch.float64), Call())
    assert double.engine == "eager" and "kernels are float32, float16 or bfloat16, not" in double.reason
    monkeypatch.setattr(compiled.support, "obstacle", lambda device: "kernels for a GPU need triton")
    assert choose(*on_cuda("mgu"), Call()).reason.startswith("kernels for a GPU need triton")


def test_under_autocast_a_gpu_computes_in_its_precision(
    on_cuda: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, x = on_cuda("mgu")
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: kind == "cuda")
    monkeypatch.setattr(torch, "get_autocast_dtype", lambda kind: torch.bfloat16)
    assert choose(stack, x, Call()).reason.endswith(", in bfloat16")
    assert compiled.working_type(stack, x) == torch.bfloat16
    assert compiled.working_type(stack, x.double()) is None
