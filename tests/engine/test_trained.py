"""Prepared training calls of one layer: what fits is computed, anything else is left to the general way."""

import torch
from torch import Tensor

import elman
from elman.engine import eager
from elman.engine.call import Call, Noise, Spec, State, Weights, flatten
from elman.engine.trained import PreparedTraining

T, B, I, H = 4, 3, 8, 16  # noqa: E741


def call() -> tuple[PreparedTraining, Tensor, State, Weights[Tensor]]:
    layer, x = elman.LSTM(I, H), torch.randn(T, B, I)
    weights = layer.stack().weights[0]
    training = PreparedTraining(Spec(layer.cell, H), x, weights)
    return training, x, (torch.randn(B, H), torch.randn(B, H)), weights


def present(weights: Weights[Tensor]) -> list[Tensor]:
    return [one for one in flatten(weights) if one is not None]


def test_a_step_equals_the_eager_engine() -> None:
    training, x, state, weights = call()
    result = training.run(x, present(weights), state)
    assert result is not None
    expected = eager.scan(elman.cells.LSTM, x, state, weights, Call(), Noise())
    final = [one.squeeze(0) for one in result[1]]
    for ours, theirs in zip((result[0], *final), (expected.output, *expected.state), strict=True):
        torch.testing.assert_close(ours, theirs)
    leaves = [weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh]
    ours = torch.autograd.grad(result[0].square().sum(), leaves)
    theirs = torch.autograd.grad(expected.output.square().sum(), leaves)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_what_does_not_fit_is_left_alone() -> None:
    training, x, state, full = call()
    weights = present(full)
    others = (
        (x[1:], weights, state),
        (x.double(), weights, state),
        (x.mT.contiguous().mT, weights, state),
        (x, weights, (state[0], state[1].mT.contiguous().mT)),
        (x, weights[:-1], state),
        (x, [*weights, torch.randn(2, H)], state),
        (x, [None, *weights[1:]], ()),
        (x, [w.detach() for w in weights], state),  # no gradient is needed
    )
    for other in others:
        assert training.run(*other) is None
