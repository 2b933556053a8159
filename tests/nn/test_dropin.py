"""`elman.nn` against torch.nn: the same arguments, weights, outputs and gradients."""

import copy
import inspect
import io
import itertools
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

import elman
from compare import assert_equal, assert_same, gradients, tensors
from elman.engine import torch_internals
from elman.engine.cpu import host

# Said once in a process.
pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning"),
]


T, B, I, H, P = 3, 3, 3, 4, 2  # noqa: E741


LENGTHS = [2, 3, 1]


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "gru": ("GRU", {}),
    "lstm": ("LSTM", {}),
    "lstm+proj": ("LSTM", {"proj_size": P}),
}
KERNELS = [kind for kind in KINDS if kind != "lstm+proj"]  # with a kernel of ours


def both(kind: str, *sizes: Any, **options: Any) -> tuple[nn.RNNBase, elman.Recurrent]:
    """torch.nn's layer and elman's with the very same weights."""
    name, own = KINDS[kind]
    engine = options.pop("engine", "auto")
    theirs = getattr(nn, name)(*sizes, **own, **options)
    ours = getattr(elman, name)(*sizes, **own, **options, engine=engine)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def initial(layer: Any, batch: int | None, dtype: torch.dtype) -> Any:
    """A random initial state as torch.nn's layer wants it; batch None is the form for one sequence."""
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    middle = [] if batch is None else [batch]
    h = torch.randn(rows, *middle, layer.proj_size or layer.hidden_size, dtype=dtype, requires_grad=True)
    c = torch.randn(rows, *middle, layer.hidden_size, dtype=dtype, requires_grad=True)
    return (h, c) if isinstance(layer, nn.LSTM) else h


def compare(theirs: nn.RNNBase, ours: elman.Recurrent, x: Any, leaf: Tensor, hx: Any, note: object) -> None:
    expected, actual = theirs(x, hx), ours(x, hx)
    assert_same(actual, expected, note)
    inputs = [leaf, *tensors(hx)]
    grads = gradients(expected, [*inputs, *theirs.parameters()])
    assert_same(gradients(actual, [*inputs, *ours.parameters()]), grads, (note, "gradients"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("engine", ["eager", "vendor", "compiled"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "two"])
def test_outputs_and_gradients(
    kind: str, engine: str, dtype: torch.dtype, layers: int, bidirectional: bool
) -> None:
    if (kind, engine) == ("lstm+proj", "compiled"):
        pytest.skip("kernels have no projection")
    torch.manual_seed(1)
    flags = itertools.product((True, False), repeat=4)
    for bias, batch_first, packed, given in flags:
        options = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        theirs, ours = both(kind, I, H, layers, **options, dtype=dtype, engine=engine)
        leaf = torch.randn(*((B, T) if batch_first else (T, B)), I, dtype=dtype, requires_grad=True)
        hx = initial(theirs, B, dtype) if given else None
        x = pack_padded_sequence(leaf, LENGTHS, batch_first, enforce_sorted=False) if packed else leaf
        compare(theirs, ours, x, leaf, hx, (bias, batch_first, packed, given))
    for given in (True, False):
        leaf = torch.randn(T, I, dtype=dtype, requires_grad=True)
        compare(theirs, ours, leaf, leaf, initial(theirs, None, dtype) if given else None, "one sequence")


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("kind", KINDS)
def test_vendor_engine_is_bitwise_torch(kind: str, training: bool) -> None:
    torch.manual_seed(2)
    theirs, ours = both(kind, 5, 24, 2, bidirectional=True, engine="vendor")
    theirs.train(training)
    ours.train(training)
    padded = torch.randn(9, 6, 5)
    for x in (padded, pack_padded_sequence(padded, [9, 9, 5, 4, 4, 1])):
        pairs = [(ours(x), theirs(x))]
        pairs += [(gradients(pairs[0][0], ours.parameters()), gradients(pairs[0][1], theirs.parameters()))]
        with torch.no_grad():
            pairs += [(ours(x), theirs(x))]
        for actual, expected in pairs:
            assert all(torch.equal(a, b) for a, b in zip(tensors(actual), tensors(expected), strict=True))


@pytest.mark.parametrize("grad", [False, True], ids=["no_grad", "grad"])
@pytest.mark.parametrize("hidden", [16, H])
@pytest.mark.parametrize("engine", ["auto", "vendor", "eager"])
@pytest.mark.parametrize("kind", KINDS)
def test_strides_are_torchs(kind: str, engine: str, hidden: int, grad: bool) -> None:
    x = torch.randn(T, B, I)
    with torch.set_grad_enabled(grad):
        for batch_first in (False, True):
            theirs, ours = both(kind, I, hidden, batch_first=batch_first, engine=engine)
            for actual, expected in zip(tensors(ours(x)), tensors(theirs(x)), strict=True):
                assert actual.stride() == expected.stride()


@pytest.mark.parametrize("engine", ["eager", "vendor"])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_draws_what_torch_draws(kind: str, engine: str) -> None:
    theirs, ours = both(kind, I, H, 3, dropout=0.4, bidirectional=True, engine=engine)
    x = torch.randn(T, B, I)
    inputs = [x] if engine == "eager" else [x, pack_padded_sequence(x, [3, 2, 2])]
    for given in inputs:
        torch.manual_seed(3)
        expected = theirs(given)
        torch.manual_seed(3)
        assert_same(ours(given), expected)
    assert not torch.equal(ours(x)[0], ours(x)[0])
    ours.eval()
    assert torch.equal(ours(x)[0], ours(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_weights_and_names(kind: str) -> None:
    name, own = KINDS[kind]
    for options in ({}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "dtype": torch.float64}):
        torch.manual_seed(4)
        theirs = getattr(nn, name)(I, H, **own, **options)
        torch.manual_seed(4)
        ours = getattr(elman, name)(I, H, **own, **options)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert a.dtype == b.dtype and torch.equal(a, b)
        theirs.load_state_dict(ours.state_dict(), strict=True)
        ours.load_state_dict(theirs.state_dict(), strict=True)
        for mine, yours in zip(ours.all_weights, theirs.all_weights, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(mine, yours, strict=True))


def test_positional_arguments_stand_where_torch_has_them() -> None:
    lstm = elman.LSTM(3, 8, 2, False, True, 0.5, True, 4, "cpu", torch.float64)
    gru = elman.GRU(3, 8, 2, False, True, 0.5, True, "cpu", torch.float64)
    rnn = elman.RNN(3, 8, 2, "relu", False, True, 0.5, True, "cpu", torch.float64)
    for layer in (lstm, gru, rnn):
        assert (layer.input_size, layer.hidden_size, layer.num_layers) == (3, 8, 2)
        assert (layer.bias, layer.batch_first, layer.dropout, layer.bidirectional) == (False, True, 0.5, True)
        assert all(p.dtype == torch.float64 for p in layer.parameters())
    assert lstm.proj_size == 4 and rnn.nonlinearity == "relu"
    meta = elman.GRU(3, 8, device="meta")
    assert all(p.is_meta for p in meta.parameters())
    names = list(inspect.signature(elman.LSTM.forward).parameters)
    assert names[:3] == list(inspect.signature(nn.LSTM.forward).parameters)


def test_printed_form_is_torchs() -> None:
    for options in ({}, {"num_layers": 2, "bias": False, "batch_first": True}, {"proj_size": 2}):
        assert repr(elman.LSTM(3, 4, **options)) == repr(nn.LSTM(3, 4, **options))
    layer = elman.Recurrent(elman.cells.MGU, 3, 4, zoneout=0.1)
    assert repr(layer) == "Recurrent(MGU, 3, 4, zoneout=0.1)"


@pytest.mark.parametrize("kind", KINDS)
def test_copies_pickles_and_casts(kind: str) -> None:
    theirs, ours = both(kind, I, H, 2, bidirectional=True)
    x = torch.randn(T, B, I)
    expected = ours(x)
    saved = io.BytesIO()
    torch.save(ours, saved)
    saved.seek(0)
    loaded = torch.load(saved, weights_only=False)
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), loaded):
        assert_same(twin(x), expected)
        assert twin.cell is ours.cell
    assert_same(ours.double()(x.double()), theirs.double()(x.double()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
@pytest.mark.parametrize("kind", KERNELS)
def test_half_precision(kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where products don't round their operands, the kernel computes in float32: as exact as the results can
    be. torch.nn's rounds at every step."""
    monkeypatch.setattr(host, "packing", lambda *args, **options: "float")
    torch.manual_seed(5)
    theirs, ours = both(kind, I, H, 2, dtype=dtype)
    _, vendor = both(kind, I, H, 2, dtype=dtype, engine="vendor")
    vendor.load_state_dict(ours.state_dict())
    x = torch.randn(T, B, I, dtype=dtype)
    assert_equal(vendor(x), theirs(x))
    assert ours.explain(x).startswith("compiled: ") and ours.explain(x).endswith(", in float32")
    exact = copy.deepcopy(ours).float()(x.float())
    eps = torch.finfo(dtype).eps
    for a, b, c in zip(tensors(ours(x)), tensors(exact), tensors(theirs(x)), strict=True):
        assert a.dtype == dtype and (a - b).abs().max() <= eps and (a - c).abs().max() <= 8 * eps
    ours(x)[0].sum().backward()
    assert all(p.grad is not None and p.grad.dtype == dtype for p in ours.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
@pytest.mark.parametrize("kind", KERNELS)
def test_autocast(kind: str, dtype: torch.dtype) -> None:
    """Types are torch.nn's and numbers those of float32, on any processor, in both passes."""
    torch.manual_seed(6)
    theirs, ours = both(kind, I, H)
    x = torch.randn(T, B, I)
    for call in ({}, {"lengths": LENGTHS}, {"return_states": True}):
        exact = ours(x, **call)
        gradients_exact = gradients(exact, ours.parameters())
        with torch.autocast("cpu", dtype):
            for given in (x, x.to(dtype)):
                actual = ours(given, **call)
                for a, b in zip(tensors(actual), tensors(exact), strict=True):
                    assert a.dtype in (dtype, given.dtype) and (a - b).abs().max() < 0.05
            # inside autocast, too, the backward pass is that of float32
            for g, e in zip(gradients(ours(x, **call), ours.parameters()), gradients_exact, strict=True):
                assert g.dtype == torch.float32 and (g - e).abs().max() <= 0.02 * e.abs().max()
            outside = gradients(exact, ours.parameters())
        assert_same(outside, gradients_exact)
    with torch.autocast("cpu", dtype):
        packed, state = theirs(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
        pairs = [(ours(x, lengths=LENGTHS), (pad_packed_sequence(packed)[0], state))]
        if kind != "lstm" or torch_internals.has_half_lstm(dtype):  # otherwise torch.nn's raises
            pairs.append((ours(x), theirs(x)))
    for actual, expected in pairs:
        for a, b in zip(tensors(actual), tensors(expected), strict=True):
            assert a.dtype == b.dtype and (a.float() - b.float()).abs().max() < 0.05


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
def test_half_precision_with_a_projection_is_torchs(dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    theirs, ours = both("lstm+proj", I, H, 2, dtype=dtype)
    x = torch.randn(T, B, I, dtype=dtype)
    assert_equal(ours(x), theirs(x))
    theirs, ours, x = theirs.float(), ours.float(), x.float()
    with torch.autocast("cpu", dtype):
        assert_equal(ours(x), theirs(x))
        ours(x)[0].sum().backward()


@pytest.mark.parametrize("supported", [False, True])
def test_autocast_needs_no_lstm_of_onednn(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_internals, "has_half_lstm", lambda dtype: supported)
    layer, x = elman.LSTM(I, H), torch.randn(T, B, I)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x)[0]
    assert output.dtype == (torch.bfloat16 if supported else torch.float32)
    output.float().sum().backward()
    assert layer.weight_hh_l0.grad is not None


def test_autocast_leaves_double_precision_alone() -> None:
    layer, x = elman.LSTM(I, H, dtype=torch.float64), torch.randn(T, B, I, dtype=torch.float64)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert_equal(layer(x), exact)
        for other in (x.float(), x.bfloat16(), x.int()):
            with pytest.raises(elman.UsageError, match=r"but the weights are torch.float64"):
                layer(other)
        with pytest.raises(elman.UsageError, match=r"input is torch.int32 but the weights are torch.float32"):
            elman.LSTM(I, H)(x.int())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
@pytest.mark.parametrize("kind", KINDS)
def test_autocast_takes_the_states_of_any_engine(kind: str, dtype: torch.dtype) -> None:
    """One engine's state may be bfloat16 and another one's float32: each goes on from both."""
    torch.manual_seed(6)
    theirs, ours = both(kind, I, H)
    x, hx = torch.randn(T, B, I), initial(theirs, B, torch.float32)
    exact = ours(x, hx)[0]
    state = tuple(s.to(dtype) for s in hx) if isinstance(hx, tuple) else hx.to(dtype)
    no_reset = torch.zeros(T, B, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        for call in ({}, {"lengths": [T] * B}, {"reset": no_reset}, {"return_states": True}):
            output = ours(x, state, **call)[0]
            assert (output.float() - exact).abs().max() < 0.05
        outputs = []
        for x_t in x:
            output, state = ours.step(x_t, state)
            outputs.append(output.float())
    assert (torch.stack(outputs) - exact).abs().max() < 0.05


def test_functional_call_and_trained_weights_are_seen() -> None:
    theirs, ours = both("lstm", I, H)
    doubled = {name: 2 * p for name, p in ours.named_parameters()}
    x = torch.randn(T, B, I)
    assert_same(torch.func.functional_call(ours, doubled, x), torch.func.functional_call(theirs, doubled, x))
    with torch.no_grad():
        for layer in (theirs, ours):
            layer.weight_hh_l0.mul_(3)
    assert_same(ours(x), theirs(x))


def test_vmap_over_eager_matches_a_loop() -> None:
    layer = elman.GRU(I, H, engine="eager")
    x = torch.randn(5, T, B, I)
    alone = [layer(one)[0] for one in x]
    assert_same(torch.func.vmap(lambda one: layer(one)[0])(x), torch.stack(alone))


def test_packed_keeps_its_own_order() -> None:
    theirs, ours = both("gru", I, H)
    packed = pack_sequence([torch.randn(n, I) for n in (3, 3, 1)])
    actual, expected = ours(packed)[0], theirs(packed)[0]
    assert isinstance(actual, PackedSequence) and actual.sorted_indices is None
    assert_same(actual, expected)


WRONG_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"input_size": 0}, "input_size must be a whole number from 1, not 0"),
    ({"hidden_size": -1}, "hidden_size must be a whole number from 1, not -1"),
    ({"hidden_size": 2.5}, "hidden_size must be a whole number from 1, not 2.5"),
    ({"num_layers": 0}, "num_layers must be a whole number from 1"),
    ({"num_layers": True}, "num_layers must be a whole number from 1, not True"),
    ({"bias": 1}, "bias must be True or False, not 1"),
    ({"batch_first": None}, "batch_first must be True or False, not None"),
    ({"dropout": 1.5}, "dropout must be a number between 0 and 1, not 1.5"),
    ({"dropout": "0.1"}, "dropout must be a number between 0 and 1, not '0.1'"),
    ({"dropout": True}, "dropout must be a number between 0 and 1, not True"),
    ({"dropout": float("nan")}, "dropout must be a number between 0 and 1, not nan"),
    ({"proj_size": 4}, "proj_size must be smaller than hidden_size 4, not 4"),
    ({"proj_size": -1}, "proj_size must be a whole number from 0, not -1"),
    ({"zoneout": -0.1}, "zoneout must be a number between 0 and 1"),
    ({"recurrent_init": "zeros"}, 'recurrent_init must be "uniform" or "orthogonal", not \'zeros\''),
    ({"engine": "fast"}, "engine must be"),
]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG_ARGUMENTS, ids=lambda v: "")
def test_wrong_arguments(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(elman.UsageError, match=sentence):
        elman.LSTM(**({"input_size": 3, "hidden_size": 4} | wrong))


def test_arguments_of_other_layers_are_refused() -> None:
    with pytest.raises(elman.UsageError, match='nonlinearity must be "tanh" or "relu", not \'sin\''):
        elman.RNN(3, 4, nonlinearity="sin")
    with pytest.raises(elman.UsageError, match="forget_bias needs bias=True and a gate f"):
        elman.GRU(3, 4, forget_bias=1.0)
    with pytest.raises(elman.UsageError, match=r"GRU combines s\.h unit by unit"):
        elman.Recurrent(elman.cells.GRU, 3, 4, proj_size=2)
    with pytest.warns(UserWarning, match="num_layers=1"):
        elman.GRU(3, 4, dropout=0.1)


# ---- traces and graphs of other tools


def traced(layer: nn.Module, *arguments: Any) -> Any:
    """Trace with PyTorch's own check, save and load."""
    module, saved = torch.jit.trace(layer, arguments), io.BytesIO()
    torch.jit.save(module, saved)
    saved.seek(0)
    return torch.jit.load(saved)


def some(layer: Any, *shape: int) -> tuple[Tensor, Any]:
    """An input (T, B, I) or (B, T, I), and an initial state."""
    batch = shape[0 if layer.batch_first else 1]
    state = tuple(torch.randn(layer.num_layers * layer.directions, batch, H) for _ in layer.cell.state)
    return torch.randn(*shape, I), state if len(state) > 1 else state[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("kind", KERNELS)
def test_a_trace_is_the_layer_for_any_steps_and_sequences(kind: str, training: bool) -> None:
    torch.manual_seed(8)
    for options in ({}, {"num_layers": 2, "bidirectional": True, "batch_first": True}):
        _, layer = both(kind, I, H, **options)
        layer.train(training)
        x, hx = some(layer, 5, 3)
        for arguments in ((x,), (x, hx)):
            module = traced(layer, *arguments)
            for shape in ((5, 3), (7, 2), (1, 1)):
                others = some(layer, *shape)[: len(arguments)]
                assert_same(module(*others), layer(*others))
                with torch.no_grad():
                    assert_same(module(*others), layer(*others))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("kind", KERNELS)
def test_a_trace_keeps_no_lengths_as_constants(kind: str) -> None:
    """More running sequences than were traced must not be read from beyond the end of the traced state."""
    torch.manual_seed(9)
    _, layer = both(kind, I, H)
    layer.eval()
    x, hx = some(layer, 5, 3)
    module = traced(layer, x, hx, torch.tensor([5, 2, 0]))
    for lengths in ([5, 2, 0], [3, 3, 3], [0, 0, 1], [1, 5, 4]):
        assert_same(module(x, hx, torch.tensor(lengths)), layer(x, hx, lengths))

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, data: Tensor, batch_sizes: Tensor) -> Tensor:
            result: Tensor = self.layer(PackedSequence(data, batch_sizes))[0].data
            return result

    whole = Packed()
    module = traced(whole, *pack_sequence([torch.randn(n, I) for n in (3, 2)])[:2])
    for sizes in ((3, 2), (6, 5, 5, 1), (2,)):
        packed = pack_sequence([torch.randn(n, I) for n in sizes])[:2]
        assert_same(module(*packed), whole(*packed))


@pytest.mark.filterwarnings("ignore")  # of the exporters, about themselves
@pytest.mark.parametrize("dynamo", [False, True], ids=["trace", "dynamo"])
@pytest.mark.parametrize("kind", ["tanh", "gru", "lstm", "slstm"])
def test_onnx_of_a_bare_layer(kind: str, dynamo: bool) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(10)
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    layer = both(kind, I, H, **options)[1] if kind in KINDS else elman.Recurrent(kind, I, H, **options)
    layer.eval()
    x, hx = some(layer, 3, 2)
    for arguments in ((x,), (x, hx)):
        saved = io.BytesIO()
        torch.onnx.export(layer, arguments, saved, dynamo=dynamo)
        session = runtime.InferenceSession(saved.getvalue())
        names = [one.name for one in session.get_inputs()]
        feed = dict(zip(names, [t.numpy() for t in tensors(arguments)], strict=True))
        results = [torch.from_numpy(array) for array in session.run(None, feed)]
        assert_same(results, [t.detach() for t in tensors(layer(*arguments))])
