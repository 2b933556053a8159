"""AdamW for a model's parameters."""

import pytest
import torch
from torch import nn

from elman.training.optimizer import adamw

CPU = torch.device("cpu")


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 4), nn.LayerNorm(4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_those_of_pytorchs_default(dtype: torch.dtype) -> None:
    ours, theirs = model().to(dtype), model().to(dtype)
    fused = adamw(ours, 0.1, 0.5, CPU)
    matrices = [p for p in theirs.parameters() if p.dim() > 1]
    vectors = [p for p in theirs.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.5}, {"params": vectors, "weight_decay": 0.0}]
    plain = torch.optim.AdamW(groups, lr=0.1, foreach=False)
    for _ in range(3):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        fused.step()
        plain.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_gpu_scales_gradients_before_a_step() -> None:
    fused = {
        device: adamw(model(), 0.1, 0.0, torch.device(device)).defaults["fused"] for device in ("cpu", "cuda")
    }
    assert fused == {"cpu": True, "cuda": None}


def test_there_may_be_no_vectors_and_frozen_weights() -> None:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    net[0].requires_grad_(False)
    groups = adamw(net, 0.1, 0.1, CPU).param_groups
    assert [len(group["params"]) for group in groups] == [1]
