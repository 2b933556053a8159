"""Fit a training into minutes: the size of the network and the number of steps, by measuring some steps.

The choice is made before training begins and is part of the run's identity: a run that is killed and resumed
keeps it.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from elman.errors import UsageError
from elman.training import checkpoint, distributed
from elman.training.plan import Plan
from elman.training.problem import detached
from elman.training.progress import duration
from elman.training.signals import Interrupted, time_limit
from elman.training.stderr import say

RESERVE: Final = 0.1  # of the minutes, for scoring, for saving and for a machine that gets slower
# A network that can take this share of its usual steps is preferred to a smaller one that can take more.
ENOUGH: Final = 0.3
MEASURED_STEPS, MEASURED_SECONDS = 6, 2.0
VALIDATION_SECONDS: Final = 4.0  # at most, for a measured one
MIN_UNITS: Final = 64


class Trial(NamedTuple):
    """A training that could be run."""

    model: Any  # an `nn.Module` and a `Problem` of the task's classes, and its settings
    problem: Any
    plan: Plan
    settings: Any


def in_time(
    make: Callable[[Mapping[str, Any]], Trial],
    minutes: float | None,
    started: float,
    sizes: Sequence[Mapping[str, Any]],
    *,
    share: float = 1.0,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Trial:
    """Return a training that ends in time: with the first of the `sizes` that can take enough steps.

    Args:
        make: returns the training with some settings of its own.
        minutes: for everything since `started`, in seconds of `time.monotonic`; None is no limit.
        sizes: settings, those of the largest network first.
        share: of the time that is left, for this training; the others of the same `fit` take the rest.
        folder, resume: a run that is continued keeps what was chosen when it began.
        progress: whether to say what is chosen.

    Raises UsageError for several processes, or if the time is over before a step could be taken;
    TrainingError if there is no run to resume.
    """
    if minutes is None:
        return make({})
    if distributed.processes() > 1:
        raise UsageError("minutes fits a training of one process; give epochs or max_steps for several")
    if resume and folder is not None:
        return make(_chosen_before(checkpoint.identity(Path(folder)), sizes))
    for size in sizes:
        trial = make(size)
        batches, seconds = len(trial.problem.batches(0, 0, 1)), epoch_seconds(trial)
        usual = min(trial.plan.epochs, (trial.plan.max_steps or math.inf) / batches)
        epochs = min(share * seconds_left(minutes, started) / seconds, usual)
        if epochs >= ENOUGH * usual:
            break
    steps = int(epochs * batches)
    if steps < 1:
        step = f"a step takes {seconds / batches:.2g} s"
        raise UsageError(f"minutes={minutes:g} is too short for these data: {step}")
    if progress:
        part = f"{steps:,} steps, {epochs:.1f} of {usual:.3g} epochs"
        say(f"training {_phrase(size)}for {duration(epochs * seconds)}: {part}")
    return make(dict(size) | ({} if epochs == usual else {"max_steps": steps}))


def seconds_left(minutes: float, started: float) -> float:
    """Return the seconds that training may still take, of `minutes` since `started`."""
    return started + 60 * minutes * (1 - RESERVE) - time.monotonic()


def epoch_seconds(trial: Trial) -> float:
    """Return how long an epoch takes with its validations, measured on a few steps."""
    batches = trial.problem.batches(0, 0, 1)
    return len(batches) * _step_seconds(trial, batches) + trial.plan.validations * _validation_seconds(trial)


def smaller(values: Mapping[str, int], choices: Mapping[str, Any]) -> list[dict[str, int]]:
    """Return the sizes without those that are chosen, then their halves, until the first is MIN_UNITS."""
    free = {name: value for name, value in values.items() if name not in choices}
    sizes = [free]
    while free and next(iter(sizes[-1].values())) >= 2 * MIN_UNITS:
        sizes.append({name: max(value // 4 * 2, 2) for name, value in sizes[-1].items()})
    return sizes


def _chosen_before(identity: Mapping[str, Any], sizes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    plan, settings = identity.get("plan"), identity.get("settings")
    plan, settings = (values if isinstance(values, dict) else {} for values in (plan, settings))
    chosen = {name: settings[name] for name in sizes[0] if name in settings}
    return chosen | {"max_steps": plan.get("max_steps")}


def _step_seconds(trial: Trial, batches: Sequence[Any]) -> float:
    """Return the average time of an optimizer step, over batches from all parts of an epoch."""
    model, problem = trial.model.train(), trial.problem
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    count = min(MEASURED_STEPS, len(batches))
    chosen = [batches[k * len(batches) // count] for k in range(count)]
    times, state = [], None
    for batch in [chosen[0], *chosen]:  # the first compiles the kernels
        start = time.monotonic()
        total, items, state = problem.loss(model, batch, state)
        state = detached(state)
        (total / (items or 1.0)).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.monotonic() - start)
        if len(times) > 1 and sum(times) > MEASURED_SECONDS:
            break
    return sum(times[1:]) / len(times[1:])


def _validation_seconds(trial: Trial) -> float:
    """Return the time of a validation, at most VALIDATION_SECONDS."""
    start = time.monotonic()
    trial.model.eval()
    with torch.no_grad(), suppress(Interrupted), time_limit(VALIDATION_SECONDS):
        trial.problem.validate(trial.model)
    return time.monotonic() - start


def _phrase(size: Mapping[str, Any]) -> str:
    return "with " + ", ".join(f"{name} {value}" for name, value in size.items()) + " " if size else ""
