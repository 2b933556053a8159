"""The compiled engine under `torch.compile` and `torch.export`: one node for each layer and direction."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import elman
from compare import assert_equal, assert_same, gradients, tensors
from elman.cells import CELLS, cell
from elman.engine import operator
from elman.engine.call import Arguments, Spec, Weights, flatten

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*", "ignore::FutureWarning:torch.*")


class Model(nn.Module):
    def __init__(self, layer: elman.Recurrent) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(layer.directions * layer.hidden_size, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0])


MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("lstm", {}),
    "gru": ("gru", {"num_layers": 2, "bidirectional": True}),
    "slstm": ("slstm", {"zoneout": 0.2}),
    "norm": ("lstm", {"layer_norm": True}),
}


def model_of(kind: str) -> tuple[Model, Tensor]:
    torch.manual_seed(1)
    name, options = MODELS[kind]
    model = Model(elman.Recurrent(CELLS[name], 5, 10, **options, engine="compiled")).eval()
    return model, torch.randn(7, 3, 5, requires_grad=True)


@pytest.mark.parametrize("kind", MODELS)
def test_compiled_models_are_the_same(kind: str) -> None:
    torch._dynamo.reset()
    model, x = model_of(kind)
    fast = torch.compile(model, fullgraph=True, backend="aot_eager")
    leaves = [x, *model.parameters()]
    for _ in range(2):
        expected, actual = model(x), fast(x)
        assert_same(actual, expected)
        assert_same(gradients(actual, leaves), gradients(expected, leaves))
    with torch.no_grad():
        assert_same(fast(x), expected)


@pytest.mark.parametrize("kind", MODELS)
def test_exported_models_hold_a_node_for_each_layer_and_direction(kind: str) -> None:
    model, x = model_of(kind)
    exported = torch.export.export(model, (x.detach(),))
    nodes = [node for node in exported.graph.nodes if str(node.target).startswith("elman.scan")]
    assert len(nodes) == len(model.layer.stack().weights)
    assert_same(exported.module()(x), model(x))
    other = torch.randn_like(x)
    assert_same(exported.module()(other), model(other))


def test_cells_of_one_name_stay_apart() -> None:
    def declared(sign: float) -> Any:
        @cell(gates="a", state="h")
        def Namesake(x: Any, u: Any) -> Any:
            return torch.tanh(x.a + u.a) * sign

        return Namesake

    torch._dynamo.reset()
    x = torch.randn(4, 2, 5)
    for sign in (1.0, -1.0):
        layer = elman.Recurrent(declared(sign), 5, 8, engine="compiled")
        fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
        assert_same(fast(x), layer(x))


def arguments_of(spec: Spec, mask: bool = False, norm: bool = False) -> Arguments[Tensor]:
    """What a scan of 4 steps and 2 sequences of 3 inputs takes."""
    hidden, rows = spec.hidden, len(spec.cell.gates) * spec.hidden

    def leaf(*size: int) -> Tensor:
        return torch.rand(size, dtype=torch.float64, requires_grad=True)

    return Arguments(
        x=leaf(4, 2, 3),
        state=tuple(leaf(2, hidden) for _ in spec.cell.state),
        weights=Weights(
            weight_ih=leaf(rows, 3),
            weight_hh=leaf(rows, hidden),
            bias_ih=leaf(rows),
            bias_hh=leaf(rows),
            gain_ih=leaf(rows) if norm else None,
            gain_hh=leaf(rows) if norm else None,
            units=tuple(leaf(hidden) for _ in spec.cell.weights),
        ),
        lengths=torch.tensor([4, 2]) if spec.reverse else None,
        mask=torch.ones(2, hidden, dtype=torch.float64) if mask else None,
    )


@pytest.mark.parametrize("hidden", [10, 16])
def test_a_compiled_layer_with_recurrent_dropout_trains(hidden: int) -> None:
    torch._dynamo.reset()
    layer = elman.GRU(5, hidden, recurrent_dropout=0.5, engine="compiled")
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 2, 5)
    torch.manual_seed(2)
    output = fast(x)[0]
    output.sum().backward()
    torch.manual_seed(2)
    assert_same(output, layer(x)[0])


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("kind", ["gru", "peephole-lstm"])
def test_the_operator_keeps_pytorchs_rules(kind: str, every: bool, norm: bool) -> None:
    """Its schema, its shapes without numbers, its gradients."""
    c = CELLS[kind]
    spec = Spec(c, 16, reverse=every, every_state=every, shares=(0.25,) * len(c.state) if every else ())
    tensors = flatten(arguments_of(spec, every, norm))
    given = [t for t in tensors if t is not None]
    torch.library.opcheck(torch.ops.elman.scan.default, (operator._text(spec, tensors, True), given))
    without = [t.detach() for t in given]
    torch.library.opcheck(torch.ops.elman.scan.default, (operator._text(spec, tensors, False), without))


@pytest.mark.parametrize("asked", ["every", "some"])
def test_the_backward_operator_computes_what_it_is_asked_for(asked: str) -> None:
    text, tensors, spec = call_by_hand()
    results = torch.ops.elman.scan(text, tensors)
    count = len(flatten(spec.result([None] * 2)))
    operands = tensors, results[count:], [torch.rand_like(t) for t in results[:count]]
    needed = {"every": "1" * len(tensors), "some": "01" * 9}[asked][: len(tensors)]
    every = torch.ops.elman.scan_backward(text, "1" * len(tensors), *operands)
    expected = [g for g, digit in zip(every, needed, strict=True) if digit == "1"]
    assert_equal(torch.ops.elman.scan_backward(text, needed, *operands), expected)
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(torch.ops.elman.scan_backward.default, (text, needed, *operands), test_utils=checks)
    assert torch.ops.elman.scan_backward(text, "0" * len(tensors), *operands) == []
    for wrong in ("", needed + "0", "x" * len(tensors)):
        with pytest.raises(elman.UsageError, match="0 or 1 for each"):
            torch.ops.elman.scan_backward(text, wrong, *operands)


def test_a_saved_graph_computes_gradients_that_nobody_needed_when_it_was_made() -> None:
    model, x = model_of("gru")
    exported = torch.export.export(model, (x.detach(),)).module()
    leaves = [x, *model.parameters()]
    assert_same(gradients(exported(x), [x, *exported.parameters()]), gradients(model(x), leaves))


def test_a_graph_is_not_compiled_anew_for_what_the_layer_does_besides() -> None:
    torch._dynamo.reset()
    layer, x = elman.LSTM(5, 16), torch.randn(4, 2, 5)
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
    fast(x)
    for batch in (1, 2, 3):
        with torch.no_grad():
            layer(torch.randn(4, batch, 5))
        layer(torch.randn(4, batch, 5))
        with torch._dynamo.config.patch(error_on_recompile=True):
            fast(x)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_graph_sees_changed_weights(layers: int) -> None:
    torch._dynamo.reset()
    layer, x = elman.LSTM(5, 16, layers, bidirectional=True), torch.randn(4, 2, 5)
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            before = fast(x)
            assert_equal(before, layer(x))
            parameter.data.view(-1)[-1] += 3
            assert_equal(fast(x), layer(x), name)
            parameter.mul_(0.5)
            assert_equal(fast(x), layer(x), name)
            assert not torch.equal(fast(x)[0], before[0])


def call_by_hand() -> tuple[str, list[Tensor], Spec]:
    spec = Spec(CELLS["gru"], 16)
    leaves = [t if t is None else t.detach() for t in flatten(arguments_of(spec))]
    return operator._text(spec, leaves, True), [t for t in leaves if t is not None], spec


TEXTS = ["", "GRU", "|||||", "nobody|16|1||000001|111111000000", "GRU|x|1||000001|111111000000"]
TEXTS += [
    "GRU|||||",
    "|16|1||000001|111111000000",
    "GRU|16|1|000001",
    "GRU|16|1||000001|111111000000|",
    "GRU|16|1|a|000001|111111000000",
    "GRU|16|1||0000|111111000000",
    "GRU|16|1||00001|111111000000",
    "GRU|16|1||0000011|111111000000",
    "GRU|16|1||000001|",
    "GRU|16|1||000001|" + "1" * 99,
    "GRU|-16|1||000001|111111000000",
    "GRU|1000000000000|1||000001|111111000000",
    "GRU|16|1|0.5 0.5 0.5|000001|111111000000",
    "GRU|16|1||000011|111111000000",
    "GRU|16|x||000001|111111000000",
    "GRU|16|0||000001|111111000000",
    "GRU|16|3||000001|111111000000",
    "GRU|16|2||000001|111111000000",  # whose matrix would be half as wide
    "GRU|16|2||000000|111111000000",
    "GRU|16|0||000000|111111000000",
]


@pytest.mark.parametrize("keep", [False, True])
def test_units_that_heads_cannot_share_are_refused(keep: bool) -> None:
    """Though the matrix is as narrow as the text says: a kernel would read all of H columns."""
    weights = [torch.zeros(768, 5), torch.zeros(768, 85), torch.zeros(768), torch.zeros(768)]
    request = [torch.zeros(4, 2, 5), torch.zeros(2, 256), *weights]
    with pytest.raises(elman.UsageError, match="3 heads can't share 256 units equally"):
        torch.ops.elman.scan(f"GRU|256|3||00000{int(keep)}|111111000000", request)


def test_a_text_of_a_graph_saved_before_there_were_heads_has_one() -> None:
    text, tensors, _ = call_by_hand()
    before = text.replace("|16|1|", "|16|")
    assert before == "GRU|16||000001|111111000000"
    assert_equal(torch.ops.elman.scan(before, tensors), torch.ops.elman.scan(text, tensors))


@pytest.mark.parametrize("text", TEXTS)
def test_a_call_by_hand_with_another_text_is_refused(text: str) -> None:
    _, tensors, _ = call_by_hand()
    for call in (
        lambda: torch.ops.elman.scan(text, tensors),
        lambda: torch.ops.elman.scan_backward(text, "1" * len(tensors), tensors, tensors, tensors),
    ):
        with pytest.raises(elman.UsageError):
            call()


NONSENSE: dict[str, Any] = {
    "meta": lambda t: t.to("meta"),
    "half": lambda t: t.half(),
    "float32": lambda t: t.float(),
    "int64": lambda t: t.long(),
    "a number": lambda t: torch.tensor(1.0, dtype=t.dtype),
    "nothing": lambda t: t.new_empty(0),
    "a row less": lambda t: t[1:],
    "a row more": lambda t: torch.cat([t, t[:1]]),
    "sparse": lambda t: t.to_sparse(),
    "freed": lambda t: freed(t.clone()),
}


def freed(t: Tensor) -> Tensor:
    t.untyped_storage().resize_(0)
    return t


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_call_by_hand_with_other_tensors_is_refused(nonsense: str) -> None:
    text, tensors, spec = call_by_hand()
    without = text.replace("000001", "000000")  # a call that keeps nothing for gradients
    results = torch.ops.elman.scan(text, tensors)
    outputs, every = len(flatten(spec.result([None] * 2))), "1" * len(tensors)
    trace, upstream = results[outputs:], [torch.ones_like(t) for t in results[:outputs]]
    for which in range(len(tensors)):
        changed = [NONSENSE[nonsense](t) if k == which else t for k, t in enumerate(tensors)]
        if (which, nonsense) not in ((0, "a row less"), (0, "a row more")):  # these are as good as any x
            for each in (text, without):
                with pytest.raises(elman.UsageError):
                    torch.ops.elman.scan(each, changed)
        with pytest.raises(elman.UsageError):
            torch.ops.elman.scan_backward(text, every, changed, trace, upstream)
    for which in range(len(trace)):
        changed = [NONSENSE[nonsense](t) if k == which else t for k, t in enumerate(trace)]
        if trace[which].numel():
            with pytest.raises(elman.UsageError):
                torch.ops.elman.scan_backward(text, every, tensors, changed, upstream)
    for which in range(len(upstream)):
        changed = [NONSENSE[nonsense](t) if k == which else t for k, t in enumerate(upstream)]
        with pytest.raises(elman.UsageError):
            torch.ops.elman.scan_backward(text, every, tensors, trace, changed)


def test_a_call_by_hand_needs_all_its_tensors() -> None:
    text, tensors, _ = call_by_hand()
    results, every = torch.ops.elman.scan(text, tensors), "1" * len(tensors)
    for some in ([], tensors[1:], [*tensors, tensors[0]]):
        with pytest.raises(elman.UsageError, match="elman::scan needs"):
            torch.ops.elman.scan(text, some)
    for trace, upstream in ((results[2:-1], results[:2]), (results[2:], results[:1]), ([], [])):
        with pytest.raises(elman.UsageError, match="elman::scan_backward needs"):
            torch.ops.elman.scan_backward(text, every, tensors, trace, upstream)
    with pytest.raises(RuntimeError):
        torch.ops.elman.scan(text, [None, *tensors[1:]])


@pytest.mark.parametrize("how", ["layer", "autocast"])
@pytest.mark.parametrize("kind", ["lstm", "mgu"])
def test_half_precision_trains_in_a_graph(kind: str, how: str) -> None:
    """On any processor, whether or not oneDNN has an LSTM in bfloat16 there."""
    torch._dynamo.reset()
    torch.manual_seed(2)
    layer, x = elman.Recurrent(kind, 4, 8), torch.randn(5, 3, 4)
    if how == "layer":
        layer, x = layer.bfloat16(), x.bfloat16()
    fast = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        actual, expected = fast(x), layer(x)
        with torch.no_grad():
            assert_equal(fast(x), expected)
    assert_equal(actual, expected)
    results = [[t.float() for t in tensors(result)] for result in (actual, expected)]
    found = [gradients(result, layer.parameters()) for result in results]
    assert_same(*found, within={torch.float32: 1e-5, torch.bfloat16: 0.02})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
def test_pytorchs_lstm_is_not_trained_in_a_graph(dtype: torch.dtype) -> None:
    """There PyTorch puts oneDNN's LSTM for inference into the graph, whose backward pass fails."""
    torch._dynamo.reset()
    layer, x = elman.LSTM(4, 8, dtype=dtype, engine="vendor"), torch.randn(5, 3, 4, dtype=dtype)
    layer(x)[0].float().sum().backward()
    fast = torch.compile(layer, backend="aot_eager")
    with pytest.raises(elman.UsageError, match=r"no half-precision LSTM|can't be trained inside"):
        fast(x)
    with torch.no_grad():
        if dtype == torch.float32:
            assert_same(fast(x), layer(x))


def test_a_saved_program_runs_in_a_process_that_imports_elman(tmp_path: Path) -> None:
    layer, x = elman.Recurrent("mgu", 3, 4).eval(), torch.randn(6, 2, 3)
    free = {0: torch.export.Dim("T", min=2, max=99), 1: torch.export.Dim("B", min=2, max=99)}
    exported = torch.export.export(layer, (x,), dynamic_shapes={"input": free}, strict=False)
    torch.export.save(exported, tmp_path / "layer.pt2")
    other = torch.randn(9, 5, 3)  # T and B stay free
    with torch.no_grad():
        torch.save((other, layer(other)[0]), tmp_path / "expected.pt")
    program = """if True:
        import elman.nn, sys, torch
        run = torch.export.load(sys.argv[1] + "/layer.pt2").module()
        x, expected = torch.load(sys.argv[1] + "/expected.pt")
        torch.testing.assert_close(run(x)[0], expected)"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
