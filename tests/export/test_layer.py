"""Exported layers in onnxruntime beside elman's eager engine."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import elman
from elman import Recurrent, UsageError, cells
from elman.cells import CELLS
from elman.export.graph import OPSET
from onnx_files import call, metadata, session

FIRST = [*CELLS.values()][:12]
TOLERANCE = 1e-5


@elman.cell(gates="a b", state="h m", weights="p")
def Leaky(x, u, s, w):
    m = 0.9 * s.m + 0.1 * F.gelu(x.a + u.b)
    return torch.clamp(w.p * m + F.silu(u.a) - x.b, -1, 1), torch.maximum(m, s.h)


@elman.cell(gates="a b c", state="h k")
def Everything(x, u, s):
    a = F.gelu(x.a, approximate="tanh") + torch.sin(u.a) * torch.cos(x.a)
    b = torch.log(F.softplus(u.b) + 1) / (1 + abs(x.b)) - torch.sqrt(torch.exp(-x.c * x.c))
    return torch.where(a > b, a, -b) + F.softsign(s.k), torch.minimum(torch.special.ndtr(a), torch.relu(x.c))


@elman.cell(gates="a", state="h last")
def Passing(x, s):
    return 0.5 * s.h + x.a, x.a


OWN = [Leaky, Everything, Passing]


def names(layer: Recurrent, prefix: str) -> list[list[str]]:
    """The names of inputs or outputs: for every state of the cell, those of all layers and directions."""
    places = [
        f"l{k}{direction}"
        for k in range(layer.num_layers)
        for direction in ("", "_reverse")[: layer.directions]
    ]
    return [[f"{prefix}_{place}_{name}" for place in places] for name in layer.cell.state]


def make(cell: Any, layers: int = 1, bidirectional: bool = False, **options: Any) -> Recurrent:
    torch.manual_seed(layers)
    options = {"engine": "eager", "bidirectional": bidirectional} | options
    return Recurrent(cell, 3, 5, layers, **options).eval()


@functools.lru_cache(1)
def exported(layer: Recurrent, **options: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        elman.export_onnx(layer, Path(folder) / "layer.onnx", **options)
        return session(Path(folder) / "layer.onnx")


def difference(layer: Recurrent, steps: int, batch: int, seed: int, lengths: bool, began: bool) -> float:
    """The largest difference between the exported layer and elman's, of outputs and states."""
    torch.manual_seed(seed)
    x = torch.randn(batch, steps, 3) if layer.batch_first else torch.randn(steps, batch, 3)
    rows, widths = layer.num_layers * layer.directions, [layer.output_size, 5, 5, 5]
    # of SLSTM a state n that no steps lead to may be near 0, and divides
    state = tuple(torch.rand(rows, batch, w) + 0.5 for _, w in zip(layer.cell.state, widths, strict=False))
    feeds: dict[str, Any] = {"input": x}
    if lengths:
        feeds["lengths"] = torch.randint(0, steps + 1, (batch,))
    if began:
        for listed, values in zip(names(layer, "state_in"), state, strict=True):
            feeds |= dict(zip(listed, values, strict=True))
    found = call(exported(layer), **feeds)
    hx = (state if len(state) > 1 else state[0]) if began else None
    with torch.no_grad():
        output, final = layer(x, hx, feeds.get("lengths"))
    finals = (final,) if isinstance(final, torch.Tensor) else final
    off = [np.abs(found["output"] - output.numpy()).max()]
    for listed, values in zip(names(layer, "state_out"), finals, strict=True):
        off += [np.abs(found[name] - row.numpy()).max() for name, row in zip(listed, values, strict=True)]
    assert found["output"].shape == tuple(output.shape)
    return float(max(off))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", [*FIRST, *OWN], ids=lambda c: c.name)
def test_it_computes_the_same(cell: Any, layers: int, bidirectional: bool) -> None:
    layer = make(cell, layers, bidirectional)

    @settings(max_examples=4, deadline=None)
    @given(st.integers(1, 7), st.integers(1, 4), st.integers(0, 2**31), st.booleans(), st.booleans())
    def check(steps: int, batch: int, seed: int, lengths: bool, began: bool) -> None:
        assert difference(layer, steps, batch, seed, lengths, began) <= TOLERANCE

    check()


@pytest.mark.parametrize("cell", [*CELLS.values()][12:], ids=lambda c: c.name)
def test_further_cells(cell: Any) -> None:
    layer = make(cell)
    for seed, (steps, batch) in enumerate([(1, 1), (5, 3), (7, 2)]):
        assert difference(layer, steps, batch, seed, lengths=seed > 0, began=seed < 2) <= TOLERANCE


@pytest.mark.parametrize(
    "options",
    [
        {"layer_norm": True},
        {"layer_norm": True, "bias": False},
        {"bias": False},
        {"zoneout": 0.3},
        {"heads": 5},
        {"batch_first": True},
        {"dropout": 0.5, "recurrent_dropout": 0.5, "weight_dropout": 0.5},  # which act in training only
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", [cells.LSTM, cells.GRU, cells.Elman, Everything], ids=lambda c: c.name)
def test_options(cell: Any, options: dict[str, Any]) -> None:
    layer = make(cell, 2, True, **options)
    assert difference(layer, 5, 3, 0, lengths=True, began=True) <= TOLERANCE
    assert difference(layer, 4, 1, 1, lengths=False, began=False) <= TOLERANCE


@pytest.mark.parametrize("cell", [cells.LSTM, cells.Elman], ids=lambda c: c.name)
def test_projection(cell: Any) -> None:
    layer = make(cell, 2, True, proj_size=2)
    assert difference(layer, 5, 3, 0, lengths=True, began=True) <= TOLERANCE


@pytest.mark.parametrize("cell", [cells.LSTM, cells.GRU, cells.Elman, cells.ElmanReLU], ids=lambda c: c.name)
def test_built_in_cells_become_operators(cell: Any, tmp_path: Path) -> None:
    kind = {"Elman": "RNN", "ElmanReLU": "RNN"}.get(cell.name, cell.name)
    elman.export_onnx(make(cell), tmp_path / "layer.onnx")
    model = onnx.load(tmp_path / "layer.onnx")
    assert [n.op_type for n in model.graph.node if n.op_type in ("LSTM", "GRU", "RNN", "Scan")] == [kind]
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]


@pytest.mark.parametrize("cell", [cells.LSTM, cells.MGU], ids=lambda c: c.name)
def test_no_operator_is_in_vain(cell: Any, tmp_path: Path) -> None:
    elman.export_onnx(make(cell, 2, True), tmp_path / "layer.onnx")
    graph = onnx.load(tmp_path / "layer.onnx").graph
    bodies = [a.g for node in graph.node for a in node.attribute if a.name == "body"]
    nodes = [node for part in (graph, *bodies) for node in part.node]
    read = {name for node in nodes for name in node.input} | {o.name for o in graph.output}
    read |= {output.name for body in bodies for output in body.output}
    unread = [node.name for node in nodes if not read & {*node.output}]
    assert unread == []


def test_the_product_with_the_input_is_outside_the_loop(tmp_path: Path) -> None:
    elman.export_onnx(make(cells.MGU), tmp_path / "layer.onnx")
    graph = onnx.load(tmp_path / "layer.onnx").graph
    scan = next(n for n in graph.node if n.op_type == "Scan")
    body = next(a.g for a in scan.attribute if a.name == "body")
    products = [[n.op_type for n in part.node].count("MatMul") for part in (graph, body)]
    assert products == [1, 1]  # W x of all steps; U h of all gates


@pytest.mark.parametrize("cell", [cells.LSTM, cells.GRU, Leaky, cells.SLSTM], ids=lambda c: c.name)
def test_a_stream_of_steps_is_the_whole_sequence(cell: Any, tmp_path: Path) -> None:
    layer = make(cell, 2)
    elman.export_onnx(layer, tmp_path / "step.onnx", step=True)
    elman.export_onnx(layer, tmp_path / "whole.onnx", lengths=False)
    whole, step = session(tmp_path / "whole.onnx"), session(tmp_path / "step.onnx")
    x = torch.randn(6, 2, 3)
    expected = call(whole, input=x)
    with torch.no_grad():
        assert np.abs(expected["output"] - layer(x)[0].numpy()).max() <= TOLERANCE
    for stepped, pieces in ((step, list(x)), (whole, [x[:1], x[1:4], x[4:]])):
        state: dict[str, Any] = {}
        outputs = []
        for piece in pieces:
            found = call(stepped, input=piece, **state)
            outputs.append(np.atleast_3d(found.pop("output")).reshape(-1, 2, 5))
            state = {name.replace("state_out", "state_in"): value for name, value in found.items()}
        assert np.abs(np.concatenate(outputs) - expected["output"]).max() <= TOLERANCE
        for name, value in state.items():
            assert np.abs(value - expected[name.replace("state_in", "state_out")]).max() <= TOLERANCE


def test_metadata(tmp_path: Path) -> None:
    elman.export_onnx(make("mgu"), tmp_path / "layer.onnx")
    found = metadata(session(tmp_path / "layer.onnx"))
    assert (found["kind"], found["cell"], found["hidden_size"]) == ("layer", "MGU", 5)
    assert found["version"] == elman.__version__ and "f = sigmoid(x.f + u.f)" in found["equations"]


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    path = tmp_path / "layer.onnx"
    for layer, options, message in (
        (make("lstm", int8=True), {}, "int8=True rounds weights inside elman's kernels"),
        (make("lstm").double(), {}, "the layer has weights of torch.float64"),
        (make("lstm", bidirectional=True), {"step": True}, "a bidirectional layer can't step"),
        (nn.LSTM(3, 5), {}, "not LSTM: elman.replace makes one of torch.nn's"),
    ):
        with pytest.raises(UsageError, match=message):
            elman.export_onnx(layer, path, **options)
    assert not list(tmp_path.iterdir())


def test_the_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "layer.onnx"
    path.write_bytes(b"an older file")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(UsageError, match=r"layer\.onnx can't be written \(No space left on device\)"):
        elman.export_onnx(make("lstm"), path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"an older file"]
    with pytest.raises(UsageError, match="name a file in a folder that exists"):
        elman.export_onnx(make("lstm"), tmp_path / "missing" / "layer.onnx")
