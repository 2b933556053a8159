"""Watch a run in the terminal."""

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from elman.training.loop import Outcome, Record, Run


def watch(run: Run, progress: bool = True, title: str = "training") -> Outcome:
    """Run to the end under a progress bar on standard error; without a terminal, a line a validation."""
    if not progress or run.rank != 0:
        for _ in run:
            pass
    elif sys.stderr.isatty():
        _bar(run, title)
    else:
        for record in run:
            if record.scores is not None:
                print(f"{title}: {_line(record)}", file=sys.stderr, flush=True)
    assert run.outcome is not None
    if progress and run.rank == 0 and run.outcome.stopped == "interrupted":
        further = "" if run.folder is None else ", from where resume goes on"
        print(f"{title}: interrupted after step {run.outcome.steps}{further}", file=sys.stderr, flush=True)
    return run.outcome


def _bar(run: Run, title: str) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}", markup=False),
    )
    score = ""
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=1.0, state="")
        for record in run:
            if record.scores is not None:
                score = f", {_scores(record)}"
            state = f"loss {record.loss:.4g}{score}, {_pace(record)}"
            bar.update(task, completed=record.done, state=state)


def _line(record: Record) -> str:
    place = f"epoch {record.epoch + 1}, step {record.step}"
    return f"{place}, loss {record.loss:.4g}, {_scores(record)}, {_pace(record)}"


def _scores(record: Record) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in (record.scores or {}).items())


def _pace(record: Record) -> str:
    return f"{record.rate:.0f} sequences/s, {_time(record.left)} left"


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    )
