"""Show the progress of a run in the terminal."""

import math
from collections.abc import Mapping
from signal import SIGINT

from elman.errors import counted
from elman.training.loop import Outcome, Record, Run
from elman.training.stderr import say, stderr

NARROW_COLUMNS, NARROW_TITLE = 100, 16  # in a narrower terminal, a longer title would displace the bar


def watch(run: Run, progress: bool = True, title: str = "training") -> Outcome:
    """Run to the end, with a progress bar on standard error; without a terminal, a line per validation."""
    progress = progress and run.rank == 0
    if progress:
        saving = " and saving the best model" if run.folder is not None else ""
        run.heard = lambda number: say(f"{title}: {_hint(number, saving)}")
    if progress and stderr().isatty():
        _bar(run, title)
    else:
        for record in run:
            if progress and record.scores is not None:
                say(f"{title}: {_line(record)}")
    assert run.outcome is not None
    if progress and run.outcome.stopped == "early":
        say(f"{title}: {_early(run, run.outcome)}")
    return run.outcome


def _early(run: Run, outcome: Outcome) -> str:
    """Return why a run has stopped early."""
    score, patience = run.problem.score, counted(run.plan.patience, "validation")
    best = f"the best, {score} {outcome.best[score]:.4g}, is kept"
    position = f"epoch {math.ceil(outcome.epochs)} of {run.plan.epochs}"
    return f"stopped early in {position}: {patience} without a better held-out {score}; {best}"


def _hint(number: int, saving: str) -> str:
    if number == SIGINT:
        return f"Ctrl-C: finishing this step{saving}; again to end at once"
    return f"told to end: finishing this step{saving}"


def _bar(run: Run, title: str) -> None:
    from rich.console import Console  # slow to import; a model that only answers does without
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(file=stderr())
    if console.width < NARROW_COLUMNS and len(title) > NARROW_TITLE:
        title = title[: NARROW_TITLE - 1] + "…"
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}", markup=False),
    )
    scores = memory = ""
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=1.0, state="")
        for record in run:
            if record.scores is not None:
                chosen = run.problem.score  # the only one, as more would not fit
                scores = _held_out({chosen: record.scores[chosen]}) or _held_out(record.scores)
            memory = _memory(record) or memory
            state = f"loss {record.loss:.4g}{scores}{memory}, {duration(record.left)} left"
            bar.update(task, completed=record.done, state=state)


def _line(record: Record) -> str:
    position = f"epoch {record.epoch + 1}, step {record.step}"
    pace = f"{record.rate:.0f} sequences/s, {duration(record.left)} left"
    scores = _held_out(record.scores or {})
    return f"{position}, loss {record.loss:.4g}{scores}{_memory(record)}, {pace}"


def _memory(record: Record) -> str:
    return "".join(f", memory {value:.3g} {unit}" for unit, value in (record.memory or {}).items())


def _held_out(scores: Mapping[str, float]) -> str:
    """Format held-out scores, to follow the training loss. A score named epoch only makes the latest best."""
    values = ", ".join(f"{name} {value:.4g}" for name, value in scores.items() if name != "epoch")
    return values and f", held-out {values}"


def duration(seconds: float) -> str:
    """Return a time as a person would say it, such as 2 min 5 s."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
