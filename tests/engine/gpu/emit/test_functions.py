"""Every primitive has its text, which computes what PyTorch's function does."""

import math

import pytest
import torch

from elman.engine.gpu.emit.functions import EMIT, FUNCTIONS, called
from elman.engine.ops import OPS
from interpreted import needs_triton, run

INF, NAN = math.inf, math.nan
SPECIAL = torch.tensor([0.0, -0.0, 1.0, -2.5, INF, -INF, NAN, 0.1])
RANGES = {"log": (1e-6, 50.0), "sqrt": (0.0, 50.0), "exp": (-80.0, 20.0)}


def test_every_primitive_has_its_row_in_each_table() -> None:
    assert set(EMIT) == set(OPS)


@needs_triton
@pytest.mark.parametrize("name", [name for name in OPS if OPS[name].operands == 1])
def test_functions_are_as_precise_as_float32_is(name: str) -> None:
    """Beside the numbers of a cell, which are about 1."""
    low, high = RANGES.get(name, (-12.0, 12.0))
    x = torch.linspace(low, high, 1024)
    expected = OPS[name].value(x.double())
    error = (run(name, x).double() - expected).abs() / expected.abs().clamp(min=1.0)
    assert error.max() < 5e-7


@needs_triton
@pytest.mark.parametrize("name", ["tanh", "softplus", "softsign", "sigmoid"])
def test_small_numbers_keep_their_digits(name: str) -> None:
    """A result near 0 is as precise as one near 1."""
    x = torch.logspace(-8, -0.3, 512) if name in ("tanh", "softsign") else torch.linspace(-40, -2, 512)
    expected = OPS[name].value(x.double())
    assert ((run(name, x).double() - expected) / expected).abs().max() < 2e-6


@needs_triton
@pytest.mark.parametrize("name", [name for name in OPS if OPS[name].operands == 2])
def test_operations_of_two_operands_are_torchs(name: str) -> None:
    """With every pair of special values among the operands."""
    operands = list(torch.cartesian_prod(SPECIAL, SPECIAL).T.contiguous())
    expected, actual = OPS[name].value(*operands).to(torch.float32), run(name, *operands)
    assert torch.equal(actual.isnan(), expected.isnan())
    assert torch.equal(actual.nan_to_num(7), expected.nan_to_num(7))


@needs_triton
def test_choices_and_limits_treat_special_values_as_torch_does() -> None:
    """A chosen NaN, an ignored one, and functions of infinities."""
    condition = torch.tensor([1.0, 0.0, 1.0, 0.0])
    a, b = torch.tensor([NAN, NAN, 2.0, INF]), torch.tensor([3.0, 4.0, NAN, -INF])
    assert run("where", condition, a, b).nan_to_num(7, 8, 9).tolist() == [7, 4, 2, 9]
    for name in ("sigmoid", "tanh", "exp", "relu", "abs", "neg", "softplus"):
        expected, actual = OPS[name].value(SPECIAL), run(name, SPECIAL)
        assert torch.equal(actual.isnan(), expected.isnan()), name
        finite = expected.isfinite()
        assert torch.equal(actual[~finite].nan_to_num(7), expected[~finite].nan_to_num(7)), name


def test_a_text_brings_the_functions_that_it_calls_and_no_other() -> None:
    assert called("v = tl.exp(x)") == ""
    text = called("v = gelu_tanh(x)")
    assert "def gelu_tanh" in text and text.index("def sigmoid") < text.index("def gelu_tanh")
    assert all(f"def {name}" in FUNCTIONS[name] for name in FUNCTIONS)
