"""The products after the backward kernel, each against autograd, for cells with every kind of slot."""

import pytest
import torch
from torch import Tensor

from compare import assert_same
from elman.cells import CELLS
from elman.engine import eager, passes
from elman.engine.call import Arguments, Call, Noise, Result, Spec, Weights, flatten, unflatten
from scan_cases import block_diagonal

T, B, I, H = 4, 3, 2, 6  # noqa: E741


def arguments_of(spec: Spec, **more: Tensor) -> Arguments[Tensor]:
    torch.manual_seed(1)
    cell, rows, units = spec.cell, len(spec.cell.gates) * H, H // spec.heads

    def leaf(*size: int) -> Tensor:
        return torch.randn(size, dtype=torch.float64).requires_grad_()

    recurrent = cell.recurrent
    weights = Weights(
        weight_ih=leaf(rows, I),
        weight_hh=leaf(rows, units) if recurrent else None,
        bias_ih=leaf(rows),
        bias_hh=leaf(rows) if recurrent else None,
        units=tuple(leaf(H) for _ in cell.weights),
    )
    state = tuple(torch.rand(B, H, dtype=torch.float64).requires_grad_() for _ in cell.state)
    return Arguments(leaf(T, B, I), state, weights, **more)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("kind", "heads"),
    [("lstm", 1), ("gru", 1), ("gru", 2), ("peephole-lstm", 3), ("indrnn", 1), ("minlstm", 1)],
)
def test_every_gradient_has_its_name(kind: str, heads: int, reverse: bool) -> None:
    spec = Spec(CELLS[kind], H, reverse=reverse, heads=heads)
    arguments = arguments_of(spec, lengths=torch.tensor([4, 0, 2]))
    leaves = flatten(arguments)
    needed = unflatten(arguments, [t is not None and t.is_floating_point() for t in leaves])
    with torch.no_grad():
        result, trace = passes.forward(spec, arguments, keep=True)
        upstream = Result(torch.randn_like(result.output), tuple(torch.randn_like(s) for s in result.state))
        actual = passes.backward(spec, arguments, trace, upstream, needed)
    weights = block_diagonal(arguments.weights, len(spec.cell.gates), heads)
    scanned = eager.scan(
        spec.cell, arguments.x, arguments.state, weights, Call(arguments.lengths), Noise(), reverse
    )
    wanted = [t for t, n in zip(leaves, flatten(needed), strict=True) if n]
    expected = torch.autograd.grad(flatten(scanned), wanted, flatten(upstream))
    pairs = zip(flatten(actual), flatten(needed), strict=True)
    assert_same([g for g, n in pairs if n], list(expected))


@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
def test_only_what_is_needed_is_computed(name: str) -> None:
    spec = Spec(CELLS["lstm"], H)
    arguments = arguments_of(spec)
    nothing = unflatten(arguments, [False] * len(flatten(arguments)))
    needed = nothing._replace(weights=nothing.weights._replace(**{name: True}))
    with torch.no_grad():
        result, trace = passes.forward(spec, arguments, keep=True)
        upstream = Result(torch.ones_like(result.output), (None, None))
        gradients = passes.backward(spec, arguments, trace, upstream, needed)
    present = {field for field, g in gradients.weights._asdict().items() if isinstance(g, Tensor)}
    assert present == {name} and gradients.x is None and gradients.state == (None, None)
