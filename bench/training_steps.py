"""The time of a training's steps on public data, with all that a task does at one: batch, network, loss,
gradients, AdamW.

    ELMAN_DATA=... python bench/training_steps.py                       # all four
    ELMAN_DATA=... python bench/training_steps.py ptb --precision bf16-mixed --steps 50

Prints one line of JSON per task: median and mean of the processor time of a step in milliseconds, after three
steps that don't count. Settings are those of `bench/quality.py`, but IMDB's network reads 2,500 reviews.
Other revisions are timed by `PYTHONPATH=THEIR/src`, in turns with this one.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import elman
import quality_language
import quality_series
import quality_text
import quality_translate
from elman.training.loop import Run

REVIEWS: Final = 2_500
UNCOUNTED: Final = 3


def imdb(**settings: Any) -> None:
    """Train on some reviews: the linear model beside the network takes long to choose on all of them."""
    train = quality_text.imdb().train
    rows = random.Random(0).sample(range(len(train["text"])), REVIEWS)
    sample = {name: [values[row] for row in rows] for name, values in train.items()}
    elman.Classifier.fit(sample, text="text", label="label", progress=False, **settings)


TASKS: Final[dict[str, Callable[..., Any]]] = {
    "imdb": imdb,
    "m4_hourly": quality_series.RUNS["m4_hourly"],
    "german": quality_translate.RUNS["german"],
    "ptb": quality_language.RUNS["ptb"],
}


class _Enough(BaseException):
    """Ends a training where it stands."""


def times(train: Callable[..., Any], steps: int, **settings: Any) -> list[float]:
    """Return the processor seconds of the first steps of a training, without the first three."""
    seconds: list[float] = []
    step = Run._step

    def timed(run: Run, *arguments: Any) -> Any:
        start = time.process_time()
        result = step(run, *arguments)
        seconds.append(time.process_time() - start)
        if len(seconds) == UNCOUNTED + steps:
            raise _Enough
        return result

    Run._step = timed  # type: ignore[method-assign]
    try:
        train(**settings)
    except _Enough:
        pass
    finally:
        Run._step = step  # type: ignore[method-assign]
    return seconds[UNCOUNTED:]


def main() -> None:
    """Time the named trainings, or all."""
    parser = argparse.ArgumentParser(description="Processor time of training steps, a line of JSON each.")
    parser.add_argument("names", nargs="*", help=", ".join(TASKS))
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--precision", default="32-true")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(TASKS):
        parser.error(f"there is no task {unknown.pop()!r}: there are {', '.join(TASKS)}")
    for name in arguments.names or TASKS:
        seconds = times(TASKS[name], arguments.steps, precision=arguments.precision)
        median, mean = statistics.median(seconds) * 1e3, statistics.mean(seconds) * 1e3
        line = {"task": name, "precision": arguments.precision, "steps": len(seconds)}
        print(json.dumps(line | {"median ms": round(median, 1), "mean ms": round(mean, 1)}), flush=True)


if __name__ == "__main__":
    main()
