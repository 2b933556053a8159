"""Normalised products after the backward kernel, against autograd."""

import torch
import torch.nn.functional as F

from compare import assert_same
from elman.cells import CELLS
from elman.engine.call import Arguments, Spec, Trace, Weights
from elman.engine.gpu import norm
from elman.engine.gpu.emit.plan import plan_for

STEPS, BATCH, INPUTS, HIDDEN = 3, 2, 4, 5


def test_gradients_of_normalised_products_become_those_of_the_products() -> None:
    torch.manual_seed(1)
    spec, rows = Spec(CELLS["gru"], HIDDEN), 3 * HIDDEN
    plan = plan_for(spec.cell, norm=True, backward=True)
    gains = torch.rand(rows) + 0.5, torch.rand(rows) + 0.5
    w = Weights(torch.randn(rows, INPUTS), torch.randn(rows, HIDDEN), gain_ih=gains[0], gain_hh=gains[1])
    request = Arguments(torch.randn(STEPS, BATCH, INPUTS), (torch.zeros(BATCH, HIDDEN),), w)
    states = torch.randn(STEPS + 1, BATCH, HIDDEN)
    kept = torch.randn(STEPS, BATCH, plan.places, HIDDEN)
    given = kept.clone()
    sides = norm.sides(plan, spec, request, Trace((states,), kept, None, None, None))
    assert [side.letter for side in sides] == ["x", "u"]
    inputs = request.x.flatten(0, 1), states[:-1].flatten(0, 1)
    for side, rows_of, weight, gain in zip(sides, inputs, (w.weight_ih, w.weight_hh), gains, strict=True):
        assert weight is not None
        product, gain = (rows_of @ weight.t()).requires_grad_(), gain.clone().requires_grad_()
        low, high = side.places
        upstream = given[:, :, low:high].flatten(0, 1).flatten(1)
        normalised = F.layer_norm(product, gain.shape, gain)
        expected = torch.autograd.grad(normalised, (product, gain), upstream)
        assert_same(side.hat * gain, normalised)
        found = side.finish(kept)
        assert_same([kept[:, :, low:high].reshape(product.shape), found.flatten()], list(expected))
