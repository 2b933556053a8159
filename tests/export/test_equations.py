"""Each primitive as ONNX operators beside the torch function that it means."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.cells import GRU, LSTM, RAN
from elman.engine import trace
from elman.engine.ops import OPS
from elman.export.equations import ONNX, summed_gates
from elman.export.graph import Graph, write
from onnx_files import call, session


@pytest.mark.parametrize("name", OPS)
def test_a_primitive_computes_the_same(name: str, tmp_path: Path) -> None:
    graph, operands = Graph(), OPS[name].operands
    values: list[torch.Tensor] = [torch.linspace(-6, 6, 49), torch.linspace(3, -3, 49).sin()]
    if name in ("log", "sqrt"):
        values = [values[0].exp()]
    elif name == "div":
        values[1] += 1.5
    elif name == "where":
        values = [values[0] > 0.1, *values]
    values = values[:operands]
    names = [graph.input(f"x{k}", (49,), v.numpy().dtype) for k, v in enumerate(values)]
    expected = OPS[name].value(*values).numpy()
    graph.output("y", ONNX[name](graph, *names), (49,), expected.dtype)
    write(tmp_path / "g.onnx", graph.model(name, {}))
    found = call(session(tmp_path / "g.onnx"), **{f"x{k}": v for k, v in enumerate(values)})["y"]
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "summed", "alone"), [(LSTM, "i f g o", ""), (GRU, "r z", "n"), (RAN, "i f", "c")]
)
def test_gates_that_are_read_as_sums(cell: Any, summed: str, alone: str) -> None:
    assert summed_gates(trace(cell)) == (set(summed.split()), set(alone.split()))


@elman.cell(gates="a b", state="h")
def Reused(x, u, s):
    return (u.a + x.a) * x.a + (x.b + u.b) * s.h


def test_a_gate_may_be_read_both_ways() -> None:
    assert summed_gates(trace(Reused)) == ({"a", "b"}, {"a"})
