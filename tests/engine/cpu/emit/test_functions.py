"""Every primitive has its instructions, and those of several operands are PyTorch's."""

import math

import pytest
import torch

from elman.engine.cpu.emit.functions import EMIT
from elman.engine.ops import OPS
from vector_functions import COMPARISONS, DTYPES, assert_accurate, run, sizes

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("name", [name for name in OPS if OPS[name].operands > 1])
def test_operations_of_several_operands_are_torchs(name: str, dtype: torch.dtype) -> None:
    """Bit for bit, with every pair of special values among the operands."""
    values = torch.tensor([0.0, -0.0, 1.0, -2.5, 3e-39, INF, -INF, NAN, 1e30, 0.1], dtype=dtype)
    operands = list(torch.cartesian_prod(*[values] * OPS[name].operands).T)
    given = [operands[0] != 0, *operands[1:]] if name == "where" else operands
    expected = OPS[name].value(*given).to(dtype)
    if name == "where":
        operands[0] = torch.where(operands[0].isnan(), 1.0, operands[0])  # not a comparison's result
    actual = run(name, *operands)
    assert torch.equal(actual.isnan(), expected.isnan())
    assert torch.equal(actual.nan_to_num(7), expected.nan_to_num(7))


def test_comparisons_with_nan_are_false() -> None:
    for name in COMPARISONS:
        assert run(name, torch.tensor([NAN, 1.0, NAN]), torch.tensor([1.0, NAN, NAN])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
def test_precision_of_softsign(dtype: torch.dtype) -> None:
    x = torch.cat([sizes(torch.finfo(dtype).tiny, torch.finfo(dtype).max / 4), torch.linspace(-9, 9, 9999)])
    given = torch.cat([x, -x]).to(dtype)
    assert_accurate("softsign", given, given.double() / (1 + given.double().abs()))


def test_every_primitive_has_its_row_in_each_table() -> None:
    assert set(EMIT) == set(OPS)
