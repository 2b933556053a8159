from pathlib import Path

import numpy as np
import pytest
import torch

from elman import Recurrent
from elman.export.graph import Graph, write
from elman.export.stack import add_stack, is_operator
from onnx_files import call, session


@pytest.mark.parametrize("cell", ["lstm", "mgu"])
def test_states_that_are_not_given_are_zeros(cell: str, tmp_path: Path) -> None:
    layer = Recurrent(cell, 3, 4, 2, bidirectional=True, engine="eager").eval()
    graph = Graph()
    output, _ = add_stack(graph, layer.stack(), graph.input("x", ("t", "b", 3)))
    graph.output("y", output, ("t", "b", 8))
    write(tmp_path / "g.onnx", graph.model("stack", {}))
    x = torch.randn(5, 2, 3)
    with torch.no_grad():
        expected = layer(x)[0].numpy()
    assert np.abs(call(session(tmp_path / "g.onnx"), x=x)["y"] - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("cell", "options", "expected"),
    [
        ("gru", {}, True),
        ("mgu", {}, False),
        ("gru", {"layer_norm": True}, False),
        ("lstm", {"proj_size": 2}, False),
        ("lstm", {"zoneout": 0.1}, False),
    ],
)
def test_what_an_operator_computes(cell: str, options: dict[str, float], expected: bool) -> None:
    assert is_operator(Recurrent(cell, 3, 4, **options).stack()) is expected
