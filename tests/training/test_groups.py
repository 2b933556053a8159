"""Groups of parameters against their definition."""

import torch
from torch import nn

import toy
from elman.training.groups import Pace, parameter_groups, set_learning_rate
from elman.training.loop import Run
from elman.training.plan import Plan


def test_matrices_decay_and_vectors_do_not() -> None:
    model = nn.Linear(2, 3)
    matrices, vectors = parameter_groups(model, 0.3)
    assert [*map(id, matrices["params"])] == [id(model.weight)] and matrices["weight_decay"] == 0.3
    assert [*map(id, vectors["params"])] == [id(model.bias)] and vectors["weight_decay"] == 0.0


def test_every_parameter_learns_at_its_pace_from_its_start() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    groups = parameter_groups(model, 0.0, lambda name: Pace(0.5, 0.4) if name == "0.weight" else Pace())
    set_learning_rate(groups, 0.1, 0.3)
    assert [group["lr"] for group in groups] == [0.0, 0.1]
    set_learning_rate(groups, 0.1, 0.4)
    assert [group["lr"] for group in groups] == [0.05, 0.1]


def test_a_run_leaves_a_waiting_parameter_as_it_is() -> None:
    plan = Plan(epochs=2, batch_size=6, learning_rate=0.05, device="cpu")
    model = toy.Toy()
    before = [p.detach().clone() for p in model.parameters()]
    # the start is a share that no run reaches
    run = Run(model, toy.Sums(plan), plan, pace=lambda name: Pace(1.0, 0.0 if "head" in name else 2.0))
    list(run)
    same = [torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert same == ["head" not in name for name, _ in model.named_parameters()]
