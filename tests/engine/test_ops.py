"""The rows of the primitives: complete, and true of torch."""

import inspect

import pytest
import torch
from torch import Tensor

from elman.engine.ops import MEANING, OPS, VARIANTS

ROWS = list(OPS)


@pytest.mark.parametrize("name", ROWS)
def test_a_gradient_takes_every_operand_and_answers_for_each(name: str) -> None:
    op = OPS[name]
    assert len(inspect.signature(op.gradient).parameters) == 2 + op.operands
    assert op.text.count("{") == op.operands
    assert all(f"{{{k}}}" in op.latex.replace("{{", "").replace("}}", "") for k in range(op.operands))
    values = [torch.rand(3, dtype=torch.float64) + 0.5 for _ in range(op.operands)]
    if name == "where":
        values[0] = values[0] > 1
    assert len(op.gradient(torch.ones(3), op.value(*values), *values)) == op.operands


@pytest.mark.parametrize("name", [name for name in ROWS if OPS[name].method])
def test_methods_of_tensors_mean_the_row(name: str) -> None:
    op = OPS[name]
    first, *others = (torch.rand(3, dtype=torch.float64) + 0.5 for _ in range(op.operands))
    assert torch.equal(getattr(first, name)(*others), op.value(first, *others))


def test_rows_that_are_no_methods() -> None:
    """Tensors have no `softplus`, and their `where` takes the condition second."""
    lacking = ["softplus", "silu", "softsign", "ndtr", "gelu", "gelu_tanh"]
    assert [name for name in ROWS if not OPS[name].method] == [*lacking, "where"]
    assert not any(hasattr(Tensor, name) for name in lacking)
    condition, a, b = torch.tensor([True]), torch.ones(1), torch.zeros(1)
    assert torch.equal(a.where(condition, b), OPS["where"].value(condition, a, b))


@pytest.mark.parametrize("name", [name for name in ROWS if not OPS[name].numbers])
def test_rows_that_take_no_numbers_are_torchs_that_refuse_them(name: str) -> None:
    with pytest.raises(TypeError):
        OPS[name].value(torch.ones(1), 1.0)


def test_variants_are_their_rows() -> None:
    x = torch.linspace(-3, 3, 20)
    for (function, option, value), name in VARIANTS.items():
        assert torch.equal(function(x, **{option: value}), OPS[name].value(x))


def test_aliases_compute_the_same() -> None:
    assert len(MEANING) >= len(OPS)
    for function, name in MEANING.items():
        values = [torch.rand(3) + 0.5 for _ in range(OPS[name].operands)]
        if name == "where":
            values[0] = values[0] > 1
        assert torch.equal(function(*values), OPS[name].value(*values))
