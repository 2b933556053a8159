"""A layer in one direction through its kernels: results and what is kept for the backward pass."""

import itertools

import pytest
import torch

from elman.cells import CELLS
from elman.engine import passes
from elman.engine.call import Arguments, Spec, Weights, flatten

STEPS, BATCH, INPUTS, HIDDEN = 4, 3, 2, 5


def request(kind: str, spec: Spec, lengths: list[int] | None, norm: bool) -> Arguments[torch.Tensor]:
    torch.manual_seed(1)
    rows = len(spec.cell.gates) * HIDDEN
    recurrent = torch.randn(rows, HIDDEN) if spec.cell.recurrent else None
    gain = torch.ones(rows) if norm else None
    weights = Weights(
        torch.randn(rows, INPUTS),
        recurrent,
        gain_ih=gain,
        gain_hh=gain if spec.cell.recurrent else None,
        units=tuple(torch.randn(HIDDEN) for _ in spec.cell.weights),
    )
    state = tuple(torch.rand(BATCH, HIDDEN) for _ in spec.cell.state)
    few = None if lengths is None else torch.tensor(lengths)
    return Arguments(torch.randn(STEPS, BATCH, INPUTS), state, weights, few)


@pytest.mark.parametrize("kind", ["lstm", "peephole-lstm", "mingru"])
def test_an_empty_trace_has_the_form_of_the_real_one(kind: str) -> None:
    """Which is what a graph is told before anything runs."""
    for norm, shares in itertools.product((False, True), ((), (0.1, 0.2))):
        spec = Spec(CELLS[kind], HIDDEN, shares=shares[: len(CELLS[kind].state)])
        arguments = request(kind, spec, None, norm)
        kept, empty = passes.forward(spec, arguments, keep=True)[1], passes.empty_trace(spec, arguments)
        for real, form in zip(flatten(kept), flatten(empty), strict=True):
            assert (real is None) == (form is None)
            assert real is None or (real.shape, real.dtype) == (form.shape, form.dtype)


@pytest.mark.parametrize("reverse", [False, True])
def test_steps_that_are_not_taken_have_no_output_and_leave_the_state(reverse: bool) -> None:
    spec = Spec(CELLS["lstm"], HIDDEN, reverse, every_state=True)
    arguments = request("lstm", spec, [4, 0, 2], norm=False)
    result, _ = passes.forward(spec, arguments, keep=False)
    assert not result.output[2:, 2].any() and not result.output[:, 1].any()
    for k in range(2):
        assert torch.equal(result.state[k][1], arguments.state[k][1])
        rest = arguments.state[k][2] if reverse else result.state[k][2]
        assert torch.equal(result.every[k][2:, 2], rest.expand(2, HIDDEN))
