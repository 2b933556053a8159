"""Fit a training into minutes: the size of the network and the number of steps, by measuring some steps.

The choice is made before training begins and is part of the run's identity: a run that is killed and resumed
keeps it.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from elman.errors import UsageError, counted
from elman.settings import is_whole
from elman.training import checkpoint, distributed
from elman.training.inspector import Inspector
from elman.training.loop import Run
from elman.training.optimizer import adamw
from elman.training.plan import Plan
from elman.training.problem import detached
from elman.training.progress import duration
from elman.training.stderr import say

RESERVE: Final = 0.1  # of the minutes, for scoring, for saving and for a machine that gets slower
# A network that can take this share of its usual steps is preferred to a smaller one that can take more.
ENOUGH: Final = 0.3
MEASURED_STEPS, MEASURED_SECONDS = 6, 2.0
MIN_UNITS: Final = 64


class Trial(NamedTuple):
    """A training that could be run."""

    model: Any  # an `nn.Module` of the task's class
    problem: Any  # a `Problem` of the task's class
    plan: Plan
    settings: Any  # of the task; `to_dict` returns them as JSON values


def in_time(
    make: Callable[[Mapping[str, Any]], Trial],
    minutes: float | None,
    started: float,
    sizes: Sequence[Mapping[str, Any]],
    *,
    share: float = 1.0,
    least: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Trial:
    """Return a training that ends in time: with the first of the `sizes` that can take enough steps.

    Args:
        make: returns the training with some settings of its own.
        minutes: for everything since `started`, in seconds of `time.monotonic`; None is no limit.
        sizes: settings, those of the largest network first.
        least: steps that are taken in any case, as where a network is only a part of the answer.
        share: of the time that is left, for this training; the others of the same `fit` take the rest.
        folder, resume: a run that is continued keeps what was chosen when it began.
        progress: whether to say what is chosen.

    Raises UsageError for several processes, or if the time is over before a step could be taken;
    TrainingError if there is no run to resume.
    """
    if minutes is None:
        return make({})
    before = chosen_before(minutes, folder, resume)
    if before is not None:
        return _continued(make, before, sizes)
    for size in sizes:
        trial = make(size)
        batches, seconds = len(trial.problem.batches(0, 0, 1)), epoch_seconds(trial)
        left = seconds_left(minutes, started)
        usual = min(trial.plan.epochs, (trial.plan.max_steps or math.inf) / batches)
        epochs = min(share * left / seconds, usual)
        if epochs >= ENOUGH * usual:
            break
    steps = max(int(epochs * batches), least)
    if steps < 1:
        missing = (seconds / batches / share - left) / (60 * (1 - RESERVE))
        enough = math.ceil(100 * (minutes + missing)) / 100
        raise UsageError(f"minutes={minutes:g} is too short for these data: give {enough:g} or more")
    epochs = max(epochs, steps / batches)
    if progress:
        part = f"{counted(steps, 'step')}, {epochs:.1f} of {usual:.3g} epochs"
        say(f"training {_phrase(size)}for {duration(epochs * seconds)}: {part}")
    return make(dict(size) | ({} if epochs == usual else {"max_steps": steps}))


def run_in_time(
    make: Callable[[Mapping[str, Any]], Trial],
    minutes: float | None,
    started: float,
    sizes: Sequence[Mapping[str, Any]],
    identity: Mapping[str, Any],
    *,
    share: float = 1.0,
    least: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
    inspector: Inspector | None = None,
) -> tuple[Run, Trial]:
    """Return the training that `in_time` returns, and the run of it. `identity` is what must be equal, beside
    the settings, for a checkpoint to fit: the data's fingerprint. `inspector` is one of `Run`."""
    trial = in_time(
        make,
        minutes,
        started,
        sizes,
        share=share,
        least=least,
        folder=folder,
        resume=resume,
        progress=progress,
    )
    identity = {"settings": trial.settings.to_dict(), **identity}
    run = Run(
        trial.model,
        trial.problem,
        trial.plan,
        folder=folder,
        resume=resume,
        identity=identity,
        inspector=inspector,
    )
    return run, trial


def chosen_before(minutes: float | None, folder: str | Path | None, resume: bool) -> dict[str, Any] | None:
    """Return the identity of the run that is continued in minutes, if one is. Raises as `in_time` does."""
    if minutes is not None and distributed.processes() > 1:
        raise UsageError("minutes works with one process only; give epochs or max_steps for several")
    if minutes is None or not resume or folder is None:
        return None
    return checkpoint.identity(Path(folder))


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


def _continued(
    make: Callable[[Mapping[str, Any]], Trial],
    identity: Mapping[str, Any],
    sizes: Sequence[Mapping[str, Any]],
) -> Trial:
    """Return the training that a run chose. Sizes above the largest of `sizes`, and more steps than the
    caller's `max_steps`, can't be its choice: they are left out, and `Run` refuses to resume."""
    plan, settings = identity.get("plan"), identity.get("settings")
    plan, settings = (values if isinstance(values, dict) else {} for values in (plan, settings))
    chosen = {
        name: settings[name]
        for name, most in sizes[0].items()
        if is_whole(settings.get(name)) and settings[name] <= most
    }
    steps, asked = plan.get("max_steps"), make({}).plan.max_steps
    if steps is None or not is_whole(steps) or (asked is not None and asked < steps):
        return make(chosen)
    return make(chosen | {"max_steps": steps})


def _step_seconds(trial: Trial, batches: Sequence[Any]) -> float:
    """Return the average time of an optimizer step, over batches from all parts of an epoch, on the device
    and in the precision of the plan."""
    fabric, problem = distributed.fabric(trial.plan.device, trial.plan.precision), trial.problem
    still = adamw(trial.model, 0.0, 0.0, fabric.device)
    model, optimizer = fabric.setup(trial.model.train(), still)
    count = min(MEASURED_STEPS, len(batches))
    chosen = [batches[k * len(batches) // count] for k in range(count)]
    times, state = [], None
    for batch in [chosen[0], *chosen]:  # the first compiles the kernels
        start = time.monotonic()
        total, items, state = problem.loss(model, batch, state)
        state = detached(state)
        fabric.backward(total / (items or 1.0))
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.monotonic() - start)
        if len(times) > 1 and sum(times) > MEASURED_SECONDS:
            break
    return sum(times[1:]) / len(times[1:])


def _validation_seconds(trial: Trial) -> float:
    start = time.monotonic()
    trial.model.eval()
    with torch.no_grad():
        trial.problem.validate(trial.model)
    return time.monotonic() - start


def _phrase(size: Mapping[str, Any]) -> str:
    return "with " + ", ".join(f"{name} {value}" for name, value in size.items()) + " " if size else ""
