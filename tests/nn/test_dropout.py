"""Variational dropout: one mask for all steps."""

import torch
import torch.nn.functional as F

from elman.nn.dropout import variational_dropout


def test_a_value_is_dropped_at_all_steps_or_at_none() -> None:
    torch.manual_seed(0)
    x = torch.rand(5, 3, 40) + 1
    dropped = variational_dropout(x, 0.25)
    assert ((dropped == 0).all(0) | (dropped != 0).all(0)).all()
    assert 0.1 < (dropped == 0).float().mean() < 0.4
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], x[kept] / 0.75)


def test_the_mask_is_torchs_own_draw() -> None:
    x = torch.randn(4, 2, 3)
    torch.manual_seed(1)
    expected = x * F.dropout(torch.ones(1, 2, 3), 0.5)
    torch.manual_seed(1)
    assert torch.equal(variational_dropout(x, 0.5, training=True), expected)


def test_nothing_is_drawn_without_training_or_a_share() -> None:
    x = torch.randn(4, 2, 3)
    before = torch.get_rng_state()
    assert variational_dropout(x, 0.5, training=False) is x
    assert variational_dropout(x, 0.0) is x
    assert torch.equal(torch.get_rng_state(), before)
