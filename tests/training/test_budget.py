"""Trainings that are cut to minutes: which size is chosen, how many steps, and what a resumed run keeps."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

import elman
from elman.errors import TrainingError, UsageError
from elman.training import budget
from elman.training.budget import ENOUGH, MIN_UNITS, RESERVE, Trial, in_time, smaller
from elman.training.loop import Run
from elman.training.plan import Plan
from toy import Sums, Toy

PLAN = Plan(epochs=4, batch_size=6)
STEPS = PLAN.epochs * len(Sums(PLAN).batches(0, 0, 1))  # that it usually takes


class Clock:
    """A clock that only the toy trainings move on."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(budget, "time", clock)
    return clock


class Slow(Sums):
    """Steps and validations that take a given time."""

    def __init__(self, plan: Plan, clock: Clock, seconds: float, validation: float) -> None:
        super().__init__(plan)
        self.clock, self.seconds, self.validation = clock, seconds, validation

    def loss(self, *arguments: Any) -> tuple[Tensor, float, Any]:
        self.clock.now += self.seconds
        return super().loss(*arguments)

    def validate(self, model: nn.Module) -> dict[str, float]:
        self.clock.now += self.validation
        return super().validate(model)


def slow(clock: Clock, validation: float = 0.0) -> Any:
    """Return a function that makes trainings whose step takes a second a unit."""

    def make(size: Mapping[str, Any]) -> Trial:
        values = {"units": 1} | dict(size)
        plan = replace(PLAN, max_steps=values.get("max_steps"))
        return Trial(Toy(), Slow(plan, clock, values["units"], validation), plan, values)

    return make


SIZES = [{"units": 4}, {"units": 1}]


def test_without_minutes_nothing_is_measured(clock: Clock) -> None:
    assert in_time(slow(clock), None, clock.now, [{"units": 5}]).settings == {"units": 1}
    assert clock.now == Clock.now


def test_with_time_enough_nothing_is_cut(clock: Clock) -> None:
    trial = in_time(slow(clock), 10, clock.now, SIZES)
    assert trial.settings == {"units": 4} and trial.plan.max_steps is None


@pytest.mark.parametrize(("seconds", "units"), [(50.0, 4), (40.0, 4), (30.0, 1), (20.0, 1)])
def test_the_largest_size_that_can_take_enough_steps_is_chosen(
    clock: Clock, seconds: float, units: int
) -> None:
    """Of the 16 steps, 4.8 are enough: 20 s with 4 units, after the two steps that are measured."""
    started = clock.now
    trial = in_time(slow(clock), seconds / 60, started, SIZES)
    steps = STEPS if trial.plan.max_steps is None else trial.plan.max_steps
    assert trial.settings["units"] == units
    assert steps >= ENOUGH * STEPS or units == 1
    assert clock.now - started + steps * units <= seconds * (1 - RESERVE)
    assert clock.now - started + (steps + 1) * units > seconds * (1 - RESERVE) or steps == STEPS


def test_validations_take_time(clock: Clock) -> None:
    """Four steps of a second come with one validation of 4 seconds."""
    trial = in_time(slow(clock, 4.0), 30 / 60, clock.now, [{}])
    assert trial.plan.max_steps == int((30 * (1 - RESERVE) - 3 - 4) / 2)


def test_too_short_a_time_is_refused(clock: Clock) -> None:
    with pytest.raises(
        UsageError, match=r"minutes=0\.05 is too short for these data: give \S+ or more"
    ) as told:
        in_time(slow(clock), 3 / 60, clock.now, [{}])
    enough = float(str(told.value).split()[-3])
    assert in_time(slow(clock), enough, clock.now, [{}]).plan.max_steps >= 1


def test_several_processes_are_refused(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="minutes works with one process only; give epochs or max_steps"):
        in_time(slow(clock), 1, clock.now, [{}])


def test_a_resumed_run_keeps_what_was_chosen(clock: Clock, tmp_path: Path) -> None:
    plan = replace(PLAN, max_steps=7)
    Run(Toy(), Sums(plan), plan, folder=tmp_path, identity={"settings": {"units": 3, "other": 1}})
    trial = in_time(slow(clock), 1, clock.now, SIZES, folder=tmp_path, resume=True)
    assert trial.settings == {"units": 3, "max_steps": 7} and clock.now == Clock.now
    with pytest.raises(TrainingError, match=r"has no checkpoint\.pt to resume from"):
        in_time(slow(clock), 1, clock.now, SIZES, folder=tmp_path / "none", resume=True)


def test_smaller_sizes() -> None:
    assert smaller({"hidden": 512, "embedding": 128}, {}) == [
        {"hidden": 512 // k, "embedding": 128 // k} for k in (1, 2, 4, 8)
    ]
    assert smaller({"hidden": 384}, {})[-1]["hidden"] >= MIN_UNITS
    assert smaller({"hidden": 512, "embedding": 128}, {"hidden": 512}) == [
        {"embedding": 128}, {"embedding": 64},
    ]  # fmt: skip
    assert smaller({"hidden": 512}, {"hidden": 512}) == [{}]


def test_a_training_in_time_says_what_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text("they love deep learning.\n" * 60)
    elman.LanguageModel.fit(
        tmp_path / "text.txt", tokenizer="character", hidden=8, bptt=16, epochs=2, minutes=2
    )
    sentence = capsys.readouterr().err.partition("\n")[0]
    assert sentence.startswith("training with embedding 128 for ")
    assert sentence.endswith(" steps, 2.0 of 2 epochs")


def test_some_steps_are_taken_in_any_case(clock: Clock) -> None:
    assert in_time(slow(clock), 3 / 60, clock.now, [{}], least=2).plan.max_steps == 2
