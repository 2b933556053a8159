"""Fading changes: measured Jacobians beside autograd's and below the bound."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.lesson import bound
from elman.nn.recurrent import Recurrent


@given(st.floats(0.1, 3.0), st.integers(0, 1000))
def test_no_measurement_is_above_the_bound(largest: float, seed: int) -> None:
    one = bound.fading(largest, steps=3, seed=seed)
    assert all(m <= b for m, b in zip(one.measured, one.bound, strict=True))
    assert one.measured[0] == pytest.approx(1)
    assert "never above" in str(one)


def test_it_is_the_norm_of_autograds_jacobian() -> None:
    one = bound.fading(0.9, steps=2, seed=4)
    torch.manual_seed(4)
    layer = Recurrent("elman", bound.INPUTS, bound.HIDDEN, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_hh_l0 *= 0.9 / torch.linalg.svdvals(layer.weight_hh_l0)[0]
    x = torch.randn(3, bound.SEQUENCES, bound.INPUTS, dtype=torch.float64)
    norms = []
    for k in range(bound.SEQUENCES):
        h = layer(x[:1, k])[1]
        change = torch.autograd.functional.jacobian(lambda h, k=k: layer(x[1:, k], h)[1], h).squeeze()
        norms.append(torch.linalg.svdvals(change)[0].item())
    assert one.measured[2] == pytest.approx(max(norms), rel=1e-9)


def test_a_picture_and_plain_numbers(tmp_path: Path) -> None:
    one = bound.Fading(2.0, (1.0, 3.0), (1.0, 2.0))
    assert "ABOVE the bound" in str(one)
    assert one.to_dict() == {"largest": 2.0, "measured": (1.0, 3.0), "bound": (1.0, 2.0)}
    bound.plot([one], tmp_path / "bound.png")
    assert (tmp_path / "bound.png").stat().st_size
