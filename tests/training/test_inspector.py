"""When the loop looks into a network, and that looking changes nothing."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elman.errors import TrainingError, UsageError
from elman.training.inspector import LOOK_STEPS, Unwrapped, look_due
from elman.training.loop import Run
from elman.training.plan import Plan
from toy import Stream, Sums, Toy

PLAN = Plan(epochs=3, batch_size=6, learning_rate=0.05, warmup=0.2, patience=99, watch_memory=True)


class Scripted:
    """Runs the loss with gradients twice, and says what it is told to."""

    unit = "words"

    def __init__(self, phrase: str = "", error: Exception | None = None) -> None:
        self.phrase, self.error, self.losses = phrase, error, list[float]()

    def explain(self, network: nn.Module, loss: Callable[[], Tensor]) -> str:
        assert network.training
        self.losses.append(loss().item())
        if self.error is not None:
            raise self.error
        return self.phrase

    def horizon(self, network: nn.Module, loss: Callable[[], Tensor]) -> float | None:
        assert not network.training
        value, again = loss(), loss()
        assert torch.equal(value, again)
        torch.autograd.grad(value, [*network.parameters()])
        self.losses.append(value.item())
        return 4.5 if len(self.losses) > 1 else None


def test_it_is_due_at_ends_of_epochs_that_are_far_apart() -> None:
    for batches in (1, 7, 99, 100, 101, 1000):
        due = [(e, i) for e in range(250) for i in range(batches) if look_due(e, i, batches)]
        assert due[0] == (0, batches - 1) and all(index == batches - 1 for _, index in due)
        gaps = {(b - a) * batches for (a, _), (b, _) in pairwise(due)}
        assert all(LOOK_STEPS <= gap < LOOK_STEPS + batches for gap in gaps)


@pytest.mark.parametrize("problem", [Sums(PLAN), Stream()])
def test_looking_changes_nothing(problem: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elman.training.inspector.LOOK_STEPS", 1)
    ends = []
    for name, inspector in (("without", None), ("with", Scripted())):
        model = Toy()
        run = Run(model, problem, PLAN, folder=tmp_path / name, inspector=inspector)
        records = list(run)
        ends.append([p.detach().clone() for p in model.parameters()])
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        memories = [json.loads(line).get("memory") for line in lines]
        assert memories == [record.memory for record in records]
        looked = [one for one in memories if one is not None]
        assert looked == ([] if inspector is None else [{"words": 4.5}] * 2)
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_it_looks_only_where_asked() -> None:
    inspector = Scripted()
    list(Run(Toy(), Sums(PLAN), replace(PLAN, watch_memory=False), inspector=inspector))
    assert inspector.losses == []


def test_a_run_may_be_resumed_with_or_without_looking(tmp_path: Path) -> None:
    for _ in zip(range(2), Run(Toy(), Sums(PLAN), PLAN, folder=tmp_path, checkpoint_seconds=0), strict=False):
        pass
    plan = replace(PLAN, watch_memory=False)
    assert Run(Toy(), Sums(plan), plan, folder=tmp_path, resume=True).progress.step >= 1


class Broken(Sums):
    """The loss of the third step is NaN."""

    steps = 0

    def loss(self, model: nn.Module, batch: list[int], state: Any) -> tuple[Tensor, float, Any]:
        total, items, state = super().loss(model, batch, state)
        if model.training and not isinstance(model, Unwrapped):
            self.steps += 1
        return total * (math.nan if self.steps >= 3 else 1), items, state


def test_an_explanation_stands_in_the_error() -> None:
    inspector = Scripted("unit 3 of f of layer l0 is NaN, first at step 2 of sequence 1")
    with pytest.raises(TrainingError) as caught:
        list(Run(Toy(), Broken(PLAN), replace(PLAN, watch_memory=False), inspector=inspector))
    assert f"the loss became nan at step 3 ({inspector.phrase}): lower learning_rate" in str(caught.value)
    assert math.isnan(inspector.losses[0])  # the same loss, computed again


@pytest.mark.parametrize("error", [UsageError("no layer"), RuntimeError("no memory")])
def test_an_explanation_that_fails_hides_nothing(error: Exception) -> None:
    with pytest.raises(TrainingError, match="the loss became nan at step 3: lower"):
        plan = replace(PLAN, watch_memory=False)
        list(Run(Toy(), Broken(PLAN), plan, inspector=Scripted("", error)))


def test_unwrapped_calls_in_the_precision_of_the_training() -> None:
    plan = replace(PLAN, precision="bf16-true")
    run = Run(Toy(), Sums(plan), plan)
    result = Unwrapped(run.module, run.fabric.strategy.precision)(torch.randn(4, 2))[0]
    assert result.dtype == torch.float32 and result.requires_grad
