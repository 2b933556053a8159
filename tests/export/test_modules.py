from pathlib import Path

import numpy as np
import torch
from torch import nn

from elman import Recurrent
from elman.export.graph import Graph, write
from elman.export.modules import linear, log_softmax, rows, scaled_rows, stateful, tied_logits, token_input
from elman.nn.embedding import scaled_vectors
from onnx_files import call, session


def test_modules_compute_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    table, first, second = nn.Embedding(7, 4), nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
    bias = torch.randn(7)
    graph = Graph()
    ids = token_input(graph, step=False)
    graph.output("plain", rows(graph, table.weight, ids), ("t", "b", 4))
    x = linear(graph, second, linear(graph, first, scaled_rows(graph, table, ids)))
    graph.output("log_probs", log_softmax(graph, tied_logits(graph, x, table, bias)), ("t", "b", 7))
    write(tmp_path / "g.onnx", graph.model("modules", {}))
    numbers = torch.randint(0, 7, (3, 2))
    found = call(session(tmp_path / "g.onnx"), ids=numbers)
    with torch.no_grad():
        x = second(first(scaled_vectors(table, numbers)))
        expected = nn.functional.linear(x, table.weight, bias).log_softmax(-1)
        assert np.array_equal(found["plain"], table(numbers).numpy())
    assert np.abs(found["log_probs"] - expected.numpy()).max() <= 1e-5


def test_states_are_inputs_and_outputs(tmp_path: Path) -> None:
    layers = [Recurrent(cell, 3, 3, engine="eager").eval() for cell in ("gru", "ugrnn")]
    graph = Graph()
    x = graph.input("x", ("t", "b", 3))
    for k, layer in enumerate(layers):
        x = stateful(graph, layer, x, step=False, first=k, prefix="a_")
    graph.output("y", x, ("t", "b", 3))
    write(tmp_path / "g.onnx", graph.model("states", {}))
    run = session(tmp_path / "g.onnx")
    values = torch.randn(4, 2, 3)
    with torch.no_grad():
        expected = layers[1](layers[0](values)[0])[0].numpy()
    first = call(run, x=values[:3])
    assert {*first} == {"y", "state_out_a_l0_h", "state_out_a_l1_h"}
    state = {k.replace("_out", "_in"): v for k, v in first.items() if k != "y"}
    assert np.abs(call(run, x=values[3:], **state)["y"] - expected[3:]).max() <= 1e-6
