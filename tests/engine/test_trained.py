"""Prepared training calls of one layer: what fits is computed, anything else is left to the general way."""

import torch
from torch import Tensor

import elman
from elman.engine import eager
from elman.engine.call import Call, Noise, Spec, State, Weights
from elman.engine.trained import PreparedTraining

T, B, I, H = 4, 3, 5, 16  # noqa: E741


def call() -> tuple[PreparedTraining, Tensor, State, Weights[Tensor]]:
    layer, x = elman.LSTM(I, H), torch.randn(T, B, I)
    weights = layer.stack().weights[0]
    training = PreparedTraining(Spec(layer.cell, H), x, weights)
    return training, x, (torch.randn(B, H), torch.randn(B, H)), weights


def test_a_step_equals_the_eager_engine() -> None:
    training, x, state, weights = call()
    result = training.run(x, state, weights)
    assert result is not None
    expected = eager.scan(elman.cells.LSTM, x, state, weights, Call(), Noise())
    for ours, theirs in zip((result[0], *result[1]), (expected.output, *expected.state), strict=True):
        torch.testing.assert_close(ours, theirs)
    leaves = [weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh]
    ours = torch.autograd.grad(result[0].square().sum(), leaves)
    theirs = torch.autograd.grad(expected.output.square().sum(), leaves)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_what_does_not_fit_is_left_alone() -> None:
    training, x, state, weights = call()
    others = (
        (x[1:], state, weights),
        (x.double(), state, weights),
        (x.mT.contiguous().mT, state, weights),
        (x, (state[0], state[1].mT.contiguous().mT), weights),
        (x, state, weights._replace(bias_ih=None)),
        (x, state, weights._replace(weight_hr=torch.randn(2, H))),
        (x, state, Weights(*[w if w is None else w.detach() for w in weights[:7]])),  # no gradient is needed
    )
    for other in others:
        assert training.run(*other) is None
