"""Equations as data compute what the function computed, on tensors and on symbols."""

import pickle

import pytest
import torch

import elman
from elman.cells import CELLS
from elman.engine import trace
from elman.engine.equations import Equations
from elman.engine.portable import from_json, to_json


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_the_same_bits_as_the_function(kind: str, engine: str) -> None:
    twin = from_json(to_json(CELLS[kind]))
    assert isinstance(twin.equations, Equations) and twin is not CELLS[kind]
    x = torch.randn(5, 3, 2)
    outputs = []
    for one in (CELLS[kind], twin):
        torch.manual_seed(0)
        layer = elman.Recurrent(one, 2, 4, engine=engine)  # type: ignore[arg-type]
        output, _ = layer(x)
        output.sum().backward()
        outputs.append([output, *(p.grad for p in layer.parameters())])
    for a, b in zip(*outputs, strict=True):
        assert torch.equal(a, b)


def test_a_cell_of_data_prints_its_equations_and_is_pickled() -> None:
    twin = from_json(to_json(elman.cells.MGU))
    assert str(twin) == str(trace(elman.cells.MGU)) and twin.recurrent
    again = pickle.loads(pickle.dumps(twin))
    assert again.equations == twin.equations and str(again) == str(twin)
    assert trace(twin).nodes == trace(elman.cells.MGU).nodes
