"""Show the progress of a run: a bar in a terminal and in a notebook, some lines in a pipe."""

import math
import sys
from collections.abc import Mapping
from html import escape
from importlib import import_module
from signal import SIGINT
from time import monotonic
from typing import Any, Final

from elman.errors import counted
from elman.training.loop import Outcome, Record, Run
from elman.training.stderr import say, stderr

NARROW_COLUMNS, NARROW_TITLE = 100, 16  # in a narrower terminal, a longer title would displace the bar
MIN_BAR_COLUMNS: Final = 10
BETWEEN_COLUMNS: Final = 7  # of a bar: " 100% " and the blank after the title
LINES: Final = 10  # of a run in a pipe, beside one a minute
LINE_SECONDS: Final = 60.0
REFRESH_SECONDS: Final = 0.25  # of a notebook's bar


def watch(run: Run, progress: bool = True, title: str = "training", about: str = "") -> Outcome:
    """Run to the end, and show how it goes on standard error or in the notebook.

    Args:
        run: what to train.
        progress: whether to show anything.
        title: what is trained, in a word or two.
        about: what is trained, for a line before it begins; "" for no such line.
    """
    progress = progress and run.rank == 0
    if progress:
        saving = ", then scoring and saving the best model" if run.folder is not None else ""
        run.heard = lambda number: say(f"{title}: {_hint(number, saving)}")
    if not progress:
        for _ in run:
            pass
    elif _is_notebook():
        _in_notebook(run, title, about)
    else:
        if about:
            say(f"{title}: {about}; {_amount(run)}")
        (_bar if stderr().isatty() else _lines)(run, title)
    assert run.outcome is not None
    if progress and run.outcome.stopped == "early" and not _is_notebook():
        say(f"{title}: {_early(run, run.outcome)}")
    return run.outcome


def _amount(run: Run) -> str:
    """Return how large the network is and how much it reads."""
    parameters = counted(sum(parameter.numel() for parameter in run.module.parameters()), "parameter")
    sequences = counted(sum(map(len, run.problem.batches(0, run.rank, run.world))) * run.world, "sequence")
    steps, epochs = run.plan.max_steps, counted(run.plan.epochs, "epoch")
    most = epochs if steps is None else f"{counted(steps, 'step')}, {epochs}"
    return f"{parameters}, {sequences}, at most {most}"


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


class _State:
    """What a run has told so far."""

    def __init__(self, run: Run) -> None:
        self._chosen = run.problem.score
        self._all: Mapping[str, float] = {}
        self._memory = ""

    def add(self, record: Record) -> None:
        self._all = self._all if record.scores is None else record.scores
        self._memory = _memory(record) or self._memory

    def text(self, record: Record, room: float = math.inf) -> str:
        """Return training loss, held-out score and time left, of as many as there is room for; of several
        scores the one that chooses the best model."""
        held_out = _held_out({name: x for name, x in self._all.items() if name == self._chosen})
        held_out = held_out or _held_out(self._all)
        loss, left = f"loss {record.loss:.4g}", f"{duration(record.left)} left"
        choices = [
            f"training {loss}{held_out}{self._memory}, {left}",
            f"training {loss}{held_out}, {left}",
            f"{loss}{held_out}, {left}",
            f"{(held_out or f', {loss}').removeprefix(', ')}, {left}",
        ]
        return next((text for text in choices if len(text) <= room), left)


def _bar(run: Run, title: str) -> None:
    from rich.console import Console  # a model that only predicts can do without
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
    state = _State(run)
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=1.0, state="")
        for record in run:
            state.add(record)
            room = console.width - len(title) - MIN_BAR_COLUMNS - BETWEEN_COLUMNS
            bar.update(task, completed=record.done, state=state.text(record, room))


def _lines(run: Run, title: str) -> None:
    """Print a line after a validation, at most LINES of them, and one a minute."""
    printed, last = -1, monotonic()
    for record in run:
        part = int(LINES * record.done + 1e-9)
        if (record.scores is not None and part > printed) or monotonic() - last >= LINE_SECONDS:
            printed, last = part, monotonic()
            say(f"{title}: {_line(record)}")


def _line(record: Record) -> str:
    position = f"epoch {record.epoch + 1}, step {record.step}"
    pace = f"{record.rate:.0f} sequences/s, {duration(record.left)} left"
    scores = _held_out(record.scores or {})
    return f"{position}, training loss {record.loss:.4g}{scores}{_memory(record)}, {pace}"


def _is_notebook() -> bool:
    """Return whether this is a kernel of Jupyter, which shows HTML."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _in_notebook(run: Run, title: str, about: str) -> None:
    """Show a bar that the page draws in its own colours, and update it in its place."""
    shown = import_module("IPython.display")
    state, last, done = _State(run), -math.inf, 0.0
    first = f"{title}: {about}; {_amount(run)}" if about else ""
    handle: Any = shown.display(shown.HTML(_html(first, title, 0.0, "")), display_id=True)
    text = ""
    for record in run:
        state.add(record)
        text, done = state.text(record), record.done
        if record.scores is not None or monotonic() - last >= REFRESH_SECONDS:
            last = monotonic()
            handle.update(shown.HTML(_html(first, title, done, text)))
    assert run.outcome is not None
    early = f"{title}: {_early(run, run.outcome)}" if run.outcome.stopped == "early" else ""
    handle.update(shown.HTML(_html(first, title, done, text, early)))


def _html(first: str, title: str, done: float, text: str, below: str = "") -> str:
    bar = f'<progress max="1" value="{done:.4f}" aria-label="{escape(title)}"></progress>'
    line = f"{escape(title)} {bar} {done:.0%} {escape(text)}"
    return "".join(f"<div>{part}</div>" for part in (escape(first), line, escape(below)) if part)


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
