"""Names, shapes and first values of parameters."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import elman
from compare import assert_same, tensors
from elman.cells import CELLS

pytestmark = pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning")
T, B, I, H = 5, 3, 4, 6  # noqa: E741


def noise(*shape: int, seed: int = 0, **kind: Any) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **kind)


@pytest.mark.parametrize("kind", CELLS)
def test_names_shapes_and_one_seed(kind: str) -> None:
    cell = CELLS[kind]
    options = {"num_layers": 2, "bidirectional": True, "layer_norm": True}
    torch.manual_seed(0)
    layer = elman.Recurrent(cell, I, H, **options)
    rows, shapes = len(cell.gates) * H, {name: tuple(p.shape) for name, p in layer.named_parameters()}
    for k, suffix in itertools.product(range(2), ("", "_reverse")):
        place = f"_l{k}{suffix}"
        assert shapes.pop("weight_ih" + place) == (rows, 2 * H if k else I)
        names = ["bias_ih", "gain_ih"] + ["bias_hh", "gain_hh"] * cell.recurrent
        assert all(shapes.pop(name + place) == (rows,) for name in names)
        assert all(shapes.pop(name + place) == (H,) for name in cell.weights)
        assert not cell.recurrent or shapes.pop("weight_hh" + place) == (rows, H)
    assert not shapes
    torch.manual_seed(0)
    twin = elman.Recurrent(cell, I, H, **options)
    for (name, a), b in zip(layer.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)
        alone = not cell.recurrent and name.rsplit("_l", 1)[0] in cell.weights
        low, high = (0, 1) if alone else (-(H**-0.5), H**-0.5)
        assert torch.equal(a, torch.ones_like(a)) if "gain" in name else low <= a.min() < a.max() <= high
    output, final = layer(noise(T, B, I))
    assert output.shape == (T, B, 2 * H) and len(tensors(final)) == len(cell.state)
    assert all(s.shape == (4, B, H) for s in tensors(final))


def test_first_values() -> None:
    options = {"forget_bias": 1.5, "recurrent_init": "orthogonal"}
    layer = elman.LSTM(I, H, 2, bidirectional=True, **options)
    for name, p in layer.named_parameters():
        blocks = p.detach().chunk(4)
        if name.startswith("weight_hh"):
            assert_same([b @ b.T for b in blocks], [torch.eye(H)] * 4)
        elif name.startswith("bias"):
            forget, expected = blocks[1], 1.5 if name.startswith("bias_ih") else 0.0
            assert (forget == expected).all()
            assert all((b != expected).any() for k, b in enumerate(blocks) if k != 1)
    projected = elman.LSTM(I, H, proj_size=2, recurrent_init="orthogonal")
    assert_same([b.T @ b for b in projected.weight_hh_l0.detach().chunk(4)], [torch.eye(2)] * 4)
    half = elman.LSTM(I, H, recurrent_init="orthogonal", dtype=torch.bfloat16)
    assert (half.weight_hh_l0[:H] @ half.weight_hh_l0[:H].T - torch.eye(H)).abs().max() < 0.02
    assert (elman.Recurrent(CELLS["minlstm"], I, H, forget_bias=2.0).bias_ih_l0[:H] == 2).all()
    before = layer.weight_hh_l0.clone()
    layer.reset_parameters()
    assert not torch.equal(before, layer.weight_hh_l0)
