"""The loop against a plain PyTorch loop, scripted validation scores, signals, and diverging losses."""

import json
import math
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from elman.errors import TrainingError, UsageError
from elman.training.loop import Outcome, Record, Run, schedule
from elman.training.plan import Plan
from elman.training.signals import STOPPING
from toy import Stream, Sums, Toy

PLAN = Plan(epochs=3, batch_size=6, learning_rate=0.05, weight_decay=0.3, clip=0.5, warmup=0.2, patience=99)


def weights(model: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def near(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.allclose(x, y, rtol=1e-5, atol=1e-7) for x, y in zip(a, b, strict=True))


def train(model: nn.Module, problem: Any, plan: Plan, **more: Any) -> tuple[list[Record], Outcome]:
    run = Run(model, problem, plan, **more)
    records = list(run)
    assert run.outcome is not None
    return records, run.outcome


class Scripted(Sums):
    """Take validation scores from a list; record the weights at each validation."""

    def __init__(self, plan: Plan, scores: list[float], maximize: bool = False) -> None:
        super().__init__(plan)
        self.scores, self.maximize, self.seen = scores, maximize, [[]]

    def validate(self, model: nn.Module) -> dict[str, float]:
        self.seen.append(weights(model))
        return {"other": -1.0, "error": self.scores[len(self.seen) - 2]}


class Broken(Sums):
    """Make the loss or the gradient of one step NaN or infinite, counted from 1."""

    def __init__(self, plan: Plan, step: int, value: float = math.nan, gradient: bool = False) -> None:
        super().__init__(plan)
        self.left, self.value, self.gradient = step, value, gradient

    def loss(self, model: nn.Module, batch: list[int], state: Any) -> tuple[Tensor, float, Any]:
        total, items, state = super().loss(model, batch, state)
        self.left -= 1
        if self.left == 0:
            weight = next(model.parameters())
            # the square root of 0 is finite, its derivative infinite
            spoil = (weight * 0).abs().sum().sqrt() if self.gradient else total * self.value
            total = total + spoil
        return total, items, state


class Interrupted(Sums):
    """Send this process signals during one step, or during the first validation (step 0)."""

    def __init__(self, plan: Plan, step: int, *numbers: int) -> None:
        super().__init__(plan)
        self.step, self.numbers, self.taken = step, numbers, 0

    def loss(self, model: nn.Module, batch: list[int], state: Any) -> tuple[Tensor, float, Any]:
        self.taken += 1
        if self.taken == self.step:
            self._send()
        return super().loss(model, batch, state)

    def validate(self, model: nn.Module) -> dict[str, float]:
        if self.step == 0 and self.taken:
            self.step = -1
            self._send()
        return super().validate(model)

    def _send(self) -> None:
        for number in self.numbers:
            os.kill(os.getpid(), number)


# ---- steps


def by_hand(model: nn.Module, problem: Any, plan: Plan) -> tuple[list[float], list[float]]:
    """Train by a plain loop without validation; return losses and learning rates."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    biases = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": plan.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    losses, rates, model = [], [], model.train()
    for epoch in range(plan.epochs):
        state, batches = None, problem.batches(epoch, 0, 1)
        for index, batch in enumerate(batches):
            done = (epoch + (index + 0.5) / len(batches)) / plan.epochs
            share_left = (1 - done) / (1 - plan.warmup)
            factor = min(done / plan.warmup, (1 - math.cos(math.pi * min(share_left, 1))) / 2)
            for group in optimizer.param_groups:
                group["lr"] = plan.learning_rate * factor
            total, items, state = problem.loss(model, batch, state)
            state = None if state is None else tuple(s.detach() for s in state)
            optimizer.zero_grad()
            (total / items).backward()
            nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
            optimizer.step()
            losses.append(total.item() / items)
            rates.append(plan.learning_rate * factor)
    return losses, rates


@pytest.mark.parametrize("kind", ["whole", "truncated"])
def test_run_is_the_plain_loop(kind: str) -> None:
    problem: Any = Sums(PLAN) if kind == "whole" else Stream()
    ours, plain, loose = (Toy(dropout=0.0) for _ in range(3))
    # each validation is better, so the last weights are the best
    scores = iter([1.0, 2.0, 3.0]) if problem.maximize else iter([3.0, 2.0, 1.0])
    problem.validate = lambda model: {problem.score: next(scores)}
    records, outcome = train(ours, problem, PLAN)
    losses, rates = by_hand(plain, problem, PLAN)
    assert outcome.stopped == "finished"
    assert [r.loss for r in records] == pytest.approx(losses, rel=1e-6)
    assert [r.learning_rate for r in records] == pytest.approx(rates, rel=1e-9)
    assert near(weights(ours), weights(plain))
    by_hand(loose, problem, replace(PLAN, clip=1e9))  # the oracle notices whether gradients are clipped
    assert not near(weights(ours), weights(loose))


def test_only_matrices_decay() -> None:
    class Flat(Sums):
        def loss(self, model: nn.Module, batch: list[int], state: Any) -> tuple[Tensor, float, Any]:
            return super().loss(model, batch, state)[0] * 0, len(batch), None

    model, plan = Toy(), Plan(epochs=1, batch_size=23, learning_rate=0.1, weight_decay=0.5, warmup=0.0)
    before = weights(model)
    [record], _ = train(model, Flat(plan), plan)
    assert record.learning_rate == pytest.approx(0.1 * 0.5)  # half-way down the cosine
    for old, new in zip(before, weights(model), strict=True):
        assert torch.allclose(new, old * (1 - 0.05 * 0.5) if old.dim() == 2 else old)


@given(warmup=st.floats(0, 0.99), done=st.floats(0, 1), later=st.floats(0, 1))
def test_schedule_rises_then_falls(warmup: float, done: float, later: float) -> None:
    done, later = sorted((done, later))
    assert 0 <= schedule(done, warmup) <= 1
    if later < warmup:
        assert schedule(done, warmup) <= schedule(later, warmup) == later / warmup
    if done >= warmup:
        assert schedule(done, warmup) >= schedule(later, warmup)
    assert schedule(warmup, warmup) == 1 and schedule(1.0, warmup) == pytest.approx(0, abs=1e-12)
    assert schedule((1 + warmup) / 2, warmup) == pytest.approx(0.5)


# ---- truncated backpropagation


def test_truncated_bptt_carries_values_and_cuts_gradients() -> None:
    class Watched(Stream):
        def __init__(self) -> None:
            super().__init__()
            self.outputs: list[Tensor] = []
            self.states: list[Any] = []

        def loss(self, model: nn.Module, batch: Tensor, state: Any) -> tuple[Tensor, float, Any]:
            output, after = model(batch.T[:-1], state)
            self.outputs.append(output.detach())
            self.states.append((state, after))
            return ((output - batch.T[1:]) ** 2).sum(), output.numel(), after

    problem, model = Watched(), Toy(dropout=0.0)
    # a learning rate too small to change a float32 weight: every piece sees the same model
    train(model, problem, Plan(epochs=2, learning_rate=1e-30, weight_decay=0.0, patience=9))
    whole = model(problem.series[:-1])[0]
    for epoch in range(2):
        pieces = torch.cat(problem.outputs[3 * epoch : 3 * epoch + 3])
        assert torch.allclose(pieces, whole, atol=1e-6)
    for index, (state, _) in enumerate(problem.states):
        assert (state is None) == (index % 3 == 0)  # a new epoch starts without a state
        if state is not None:
            before = problem.states[index - 1][1]
            assert all(torch.equal(a, b) for a, b in zip(state, before, strict=True))
            assert all(s.grad_fn is None and not s.requires_grad for s in state)
            assert all(s.grad_fn is not None for s in before)


# ---- validation, the best model, early stopping


@pytest.mark.parametrize(
    ("scores", "maximize", "best", "steps", "stopped"),
    [
        ([3.0, 2.0, 2.5, 2.0, 1.0], False, 2, 16, "early"),  # an equal score is not a better one
        ([3.0, 2.0, 2.5, 1.0, 4.0, 5.0], False, 4, 24, "early"),
        ([1.0, 2.0, 1.0, 3.0, 2.0, 4.0], True, 6, 24, "finished"),
        ([-math.inf, math.inf, 1.0, 2.0, 2.0, 2.0], True, 2, 16, "early"),
    ],
)
def test_best_model_and_early_stop(
    scores: list[float], maximize: bool, best: int, steps: int, stopped: str
) -> None:
    plan = Plan(epochs=6, batch_size=6, patience=2, learning_rate=0.05)
    problem, model = Scripted(plan, scores, maximize), Toy()
    records, outcome = train(model, problem, plan)
    assert (outcome.steps, len(records), outcome.stopped, outcome.error) == (steps, steps, stopped, None)
    assert outcome.best == {"other": -1.0, "error": scores[best - 1]}
    assert same(weights(model), problem.seen[best]) and not same(problem.seen[best - 1], problem.seen[best])
    assert not model.training
    validated = [r for r in records if r.scores is not None]
    assert [r.step for r in validated] == list(range(4, steps + 1, 4))
    assert max(i for i, r in enumerate(validated, 1) if r.best) == best


@pytest.mark.parametrize(
    ("size", "validations", "steps"),
    [
        (4, 3, [2, 4, 6]),
        (6, 3, [2, 3, 4]),
        (8, 1, [3]),
        (6, 9, [1, 2, 3, 4]),
        (23, 2, [1]),
        (4, 4, [2, 3, 5, 6]),
    ],
)
def test_validations_are_spread_over_an_epoch(size: int, validations: int, steps: list[int]) -> None:
    plan = Plan(epochs=2, batch_size=size, validations=validations, patience=99)
    records, _ = train(Toy(), Sums(plan), plan)
    length = math.ceil(23 / size)
    assert [r.step for r in records if r.scores] == [s + length * e for e in (0, 1) for s in steps]
    assert [r.epoch for r in records] == [e for e in (0, 1) for _ in range(length)]
    assert records[-1].done == 1 and records[-1].left == 0


def test_two_runs_are_alike_and_a_seed_matters() -> None:
    def final(seed: int) -> list[Tensor]:
        torch.rand(seed + 1)  # earlier draws don't matter
        model = Toy()
        train(model, Sums(PLAN), replace(PLAN, seed=seed))
        return weights(model)

    assert same(final(1), final(1)) and not same(final(1), final(2))


# ---- NaN and infinity


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_bad_loss_keeps_the_best_model(value: float, tmp_path: Path) -> None:
    problem, model = Broken(PLAN, 7, value), Toy()
    seen: list[list[Tensor]] = []
    validate = problem.validate
    problem.validate = lambda m: seen.append(weights(m)) or validate(m)  # type: ignore[func-returns-value]
    records, outcome = train(model, problem, PLAN, folder=tmp_path)
    assert isinstance(outcome.error, TrainingError)
    message = f"the loss became {value} at step 7: lower learning_rate (now 0.05) or clip (0.5), or look for"
    assert str(outcome.error).startswith(message)
    assert outcome.stopped == str(outcome.error) and len(records) == outcome.steps == 6
    assert not outcome.resumable
    assert same(weights(model), seen[0]) and not model.training
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 6


@pytest.mark.parametrize("gradient", [False, True])
def test_bad_number_before_any_validation(gradient: bool, tmp_path: Path) -> None:
    run = Run(Toy(), Broken(PLAN, 2, gradient=gradient), PLAN, folder=tmp_path)
    with pytest.raises(
        TrainingError, match=f"the {'gradient' if gradient else 'loss'} became .* at step 2: "
    ):
        list(run)
    assert not (tmp_path / "checkpoint.pt").exists()  # it would lead to the same end


def test_bad_gradient_spoils_no_weight() -> None:
    model = Toy()
    records, outcome = train(model, Broken(PLAN, 6, gradient=True), PLAN)
    assert "the gradient became" in outcome.stopped and "at step 6" in outcome.stopped
    assert all(w.isfinite().all() for w in weights(model)) and len(records) == 5


def test_bad_validation_score(tmp_path: Path) -> None:
    scores = [math.nan, 1.0]
    with pytest.raises(TrainingError, match="validation score error is NaN after step 4"):
        list(Run(Toy(), Scripted(PLAN, scores), PLAN, folder=tmp_path))
    _, outcome = train(Toy(), Scripted(PLAN, [1.0, math.nan]), PLAN)
    assert outcome.error is not None and outcome.best["error"] == 1.0


def test_other_scores_may_be_undefined(tmp_path: Path) -> None:
    problem = Sums(PLAN)
    problem.validate = lambda model: {"error": torch.tensor(2.0), "ratio": math.nan}  # type: ignore[assignment]
    train(Toy(), problem, PLAN, folder=tmp_path)
    text = (tmp_path / "metrics.jsonl").read_text()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert lines[3]["scores"] == {"error": 2.0, "ratio": None}


# ---- interruptions


def end_as_interrupted(run: Run, number: int) -> None:
    """Save an interrupted run as tasks do."""
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as raised:
        run.keep(lambda folder: None)
    sentence = (
        f"after step {run.progress.step}: {run.folder} holds the best model so far; resume=True (--resume)"
    )
    assert raised.value.args == (128 + number,) or sentence in str(raised.value)


@pytest.mark.parametrize("step", [2, 7])
@pytest.mark.parametrize("number", STOPPING)
def test_interrupted_run_stops_and_resumes(step: int, number: int, tmp_path: Path) -> None:
    """2: before the first validation, which is at step 4."""
    before = signal.getsignal(number)
    model, whole = Toy(), Toy()
    run = Run(model, Interrupted(PLAN, step, number), PLAN, folder=tmp_path)
    records, outcome = [*run], run.outcome
    assert outcome is not None and outcome.stopped == "interrupted" and outcome.signal == number
    assert outcome.steps == len(records) == step and outcome.resumable
    with torch.no_grad():
        assert outcome.best == Sums(PLAN).validate(model)  # there is a best model in any case
    assert signal.getsignal(number) is before
    run.require_model()
    end_as_interrupted(run, number)
    rest, resumed = train(model, Sums(PLAN), PLAN, folder=tmp_path, resume=True)
    assert [r.step for r in rest] == list(range(step + 1, 13))
    records, undisturbed = train(whole, Sums(PLAN), PLAN)
    assert same(weights(model), weights(whole)) and resumed.best == undisturbed.best
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13))


@pytest.mark.parametrize("first", [True, False])
def test_a_validation_is_broken_off_and_repeated_when_resumed(first: bool, tmp_path: Path) -> None:
    """It may take minutes. The run goes on from its last checkpoint."""
    problem, model, whole = Interrupted(PLAN, 0, signal.SIGTERM), Toy(), Toy()
    run = Run(model, problem, PLAN, folder=tmp_path, checkpoint_seconds=0 if first else 99)
    if not first:
        problem.step = -1
        steps = iter(run)
        for _ in range(5):
            next(steps)
        problem.step = 0
        assert [r.step for r in steps] == [6, 7]
    else:
        assert [r.step for r in run] == [1, 2, 3]
    assert run.outcome is not None and run.outcome.stopped == "interrupted" and run.outcome.best
    rest, _ = train(model, Sums(PLAN), PLAN, folder=tmp_path, resume=True)
    assert [r.step for r in rest] == list(range(4 if first else 5, 13))
    train(whole, Sums(PLAN), PLAN)
    assert same(weights(model), weights(whole))
    steps_kept = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps_kept == list(range(1, 13))


def test_a_slow_first_validation_does_not_delay_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elman.training.loop.LAST_VALIDATION_SECONDS", 0.05)
    problem: Any = Interrupted(PLAN, 2, signal.SIGINT)
    problem.validate = lambda model: time.sleep(60)
    run = Run(Toy(), problem, PLAN, folder=tmp_path)
    assert len([*run]) == 2 and run.outcome is not None and not run.outcome.best
    with pytest.raises(
        KeyboardInterrupt, match=r"holds a checkpoint, but no model yet; resume=True \(--resume\)"
    ):
        run.require_model()
    run = Run(Toy(), Sums(PLAN), PLAN, folder=tmp_path, resume=True)
    assert run.progress.step == 2


def test_without_a_folder_nothing_is_saved() -> None:
    run = Run(Toy(), Interrupted(PLAN, 7, signal.SIGINT), PLAN)
    list(run)
    with pytest.raises(KeyboardInterrupt, match="after step 7: nothing is saved, as there is no folder"):
        run.require_model()


def test_second_ctrl_c_acts_at_once(tmp_path: Path) -> None:
    problem = Interrupted(PLAN, 3, signal.SIGTERM, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        list(Run(Toy(), problem, PLAN, folder=tmp_path))
    assert problem.taken == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "metrics.jsonl"]


def test_in_another_thread_signals_are_left_to_the_caller() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        outcomes: list[Outcome] = []
        run = Interrupted(PLAN, 3, signal.SIGTERM)
        thread = threading.Thread(target=lambda: outcomes.append(train(Toy(), run, PLAN)[1]))
        thread.start()
        thread.join()
        assert outcomes[0].stopped == "finished" and heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


# ---- one training in a folder


def test_a_second_training_in_the_folder_is_refused(tmp_path: Path) -> None:
    run = Run(Toy(), Sums(PLAN), PLAN, folder=tmp_path)
    refused: list[str] = []

    def second() -> None:
        try:
            Run(Toy(), Sums(PLAN), PLAN, folder=tmp_path)
        except UsageError as error:
            refused.append(str(error))

    def in_another_thread() -> None:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    in_another_thread()
    list(run)
    in_another_thread()  # while the first one is scored
    run.keep(lambda folder: None)
    assert [
        f"{tmp_path} is in use by another training (process {os.getpid()}, since" in s for s in refused
    ] == [
        True,
        True,
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.jsonl"]
    in_another_thread()
    assert len(refused) == 2


# ---- an empty epoch, and the moving average of the weights


def test_an_empty_epoch(tmp_path: Path) -> None:
    problem = Sums(PLAN)
    problem.batches = lambda *_: []  # type: ignore[assignment]
    with pytest.raises(TrainingError, match="nothing to train on"):
        list(Run(Toy(), problem, PLAN, folder=tmp_path))


def test_the_moving_average_of_the_weights_is_validated_and_kept() -> None:
    decay = 0.9
    plan = Plan(epochs=2, batch_size=6, learning_rate=0.05, ema_decay=decay, patience=99, warmup=0.0)
    model, problem = Toy(), Sums(plan)
    steps, expected = 0, weights(model)

    class Watched(Run):
        """Computes the EMA by its formula, beside the loop."""

        def _step(self, *args: Any) -> Any:
            nonlocal steps
            result = super()._step(*args)
            weights = [p.detach().clone() for p in self.module.parameters()]
            steps += 1
            keep = min(decay, (1 + steps) / (10 + steps))
            if steps == 1:
                expected[:] = weights
            expected[:] = [keep * e + (1 - keep) * w for e, w in zip(expected, weights, strict=True)]
            return result

    run = Watched(model, problem, plan)
    list(run)
    assert run.progress.ema is not None and steps == 8
    for mine, theirs in zip(run.progress.ema, expected, strict=True):
        torch.testing.assert_close(mine, theirs)
    with torch.no_grad():
        score = problem.validate(model.eval())
    assert score["error"] == pytest.approx(run.progress.best_scores["error"])


@pytest.mark.parametrize("limit", [1, 5, 10**6])
def test_no_more_steps_than_the_most(limit: int) -> None:
    plan = replace(PLAN, max_steps=limit)
    records, outcome = train(Toy(), Sums(plan), plan)
    every, _ = train(Toy(), Sums(PLAN), PLAN)
    assert outcome.steps == len(records) == min(limit, len(every)) and outcome.stopped == "finished"
    assert records[-1].scores is not None and records[-1].done == 1.0
    middle = [
        schedule((k + 0.5) / len(records), plan.warmup) * plan.learning_rate for k in range(len(records))
    ]
    assert [record.learning_rate for record in records] == pytest.approx(middle)
