"""What a tuning has tried: a table for people, JSON for machines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from elman.atomic import null_if_infinite

DEFAULTS: Final = "defaults"


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        settings: those that were tried; none of the first trial, which has the defaults.
        score: on the held-out data; None where the training failed.
        failure: why it failed, or stopped early.
        cut: whether its minutes were too few for all of its epochs.
    """

    settings: Mapping[str, Any]
    score: float | None
    seconds: float
    failure: str | None = None
    cut: bool = False

    @property
    def phrase(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.settings.items()) or DEFAULTS


@dataclass(frozen=True, eq=False)
class Tuning:
    """The result of a tuning.

    Attributes:
        task: name of the task.
        score: name of the score on the held-out data by which trials are compared; `lower` if less is better.
        trials: in the order in which they were made; the first has the defaults.
        model: that of the best trial.
    """

    task: str
    score: str
    lower: bool
    trials: tuple[Trial, ...]
    model: Any

    @property
    def best(self) -> Trial:
        """The trial with the best score, of equals the first."""
        scored = [trial for trial in self.trials if trial.score is not None]
        return min(scored, key=lambda trial: sign(self.lower) * (trial.score or 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Return the trials as JSON values."""
        trials = [asdict(trial) for trial in self.trials]
        best = self.trials.index(self.best)
        values: dict[str, Any] = null_if_infinite(
            {"task": self.task, "score": self.score, "lower": self.lower, "best": best, "trials": trials}
        )
        return values

    def __str__(self) -> str:
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.settings))
        heading = ["trial", *names, self.score, "seconds", ""]
        rows = [heading, *(self._row(number, names) for number in range(len(self.trials)))]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, "", *self._facts()])

    def _row(self, number: int, names: list[str]) -> list[str]:
        trial = self.trials[number]
        settings = [str(trial.settings[name]) if trial.settings else "default" for name in names]
        score = trial.failure or "failed" if trial.score is None else f"{trial.score:.4f}"
        mark = "best" if trial is self.best else ""
        return [str(number), *settings, score, f"{trial.seconds:.0f}", mark]

    def _facts(self) -> list[str]:
        cut = sum(trial.cut for trial in self.trials)
        few = f"Note: the minutes cut {cut} of {len(self.trials)} trials short: give more, or train in full"
        return [*self._verdict(), *([few] if cut else [])]

    def _verdict(self) -> list[str]:
        best, first = self.best, self.trials[0]
        if best is first:
            return [f"No trial is better than the defaults, whose {self.score} is {first.score:.4f}."]
        beside = "failed" if first.score is None else f"have {first.score:.4f}"
        count = len(self.trials)
        return [
            f"Best: {best.phrase}, with {self.score} {best.score:.4f}; the defaults {beside}.",
            f"Note: the best score of {count} trials is flattered by the choice: score it on other data",
        ]


def sign(lower: bool) -> float:
    """Return what a score is multiplied by, so that less is better."""
    return 1.0 if lower else -1.0
