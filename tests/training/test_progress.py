"""What a user sees during a run."""

import io
import itertools
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from elman.lens.watching import Watcher
from elman.training import progress
from elman.training.loop import Run
from elman.training.plan import Plan
from elman.training.progress import duration, watch
from toy import Sums, Toy

PLAN = Plan(epochs=2, batch_size=12)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_a_validation_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(Toy(), Sums(PLAN), PLAN)
    outcome = watch(run, True, "toy [1]")
    out, err = capsys.readouterr()
    assert out == "" and outcome is run.outcome
    number = r"[\d.e+-]+"
    losses = rf"training loss {number}, held-out error {number}"
    pattern = rf"toy \[1\]: epoch {{}}, step {{}}, {losses}, \d+ sequences/s, \d+ s left"
    reported = err.splitlines()
    assert len(reported) == 2
    assert re.fullmatch(pattern.format(1, 2), reported[0]) and re.fullmatch(pattern.format(2, 4), reported[1])


def test_a_pipe_gets_ten_lines_and_one_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(PLAN, epochs=60, patience=99)
    watch(Run(Toy(), Sums(plan), plan), title="toy")
    reported = capsys.readouterr().err.splitlines()
    assert len(reported) == 11 and "epoch 1, " in reported[0] and "epoch 60, " in reported[-1]
    ticks = itertools.count(0.0, 31.0)
    monkeypatch.setattr(progress, "monotonic", lambda: next(ticks))
    problem = Sums(plan)
    monkeypatch.setattr(problem, "validate", lambda _: {"error": 1.0})
    watch(Run(Toy(), problem, plan), title="toy")
    assert len(capsys.readouterr().err.splitlines()) > 50


def test_what_is_trained_is_said_first(capsys: pytest.CaptureFixture[str]) -> None:
    watch(Run(Toy(), Sums(PLAN), PLAN), title="toy", about="a plane")
    first = capsys.readouterr().err.splitlines()[0]
    size = sum(one.numel() for one in Toy().parameters())
    assert first == f"toy: a plane; {size} parameters, 23 sequences, at most 2 epochs"
    plan = replace(PLAN, max_steps=1)
    watch(Run(Toy(), Sums(plan), plan), title="toy", about="a plane")
    assert capsys.readouterr().err.splitlines()[0].endswith("at most 1 step, 2 epochs")


def test_a_notebook_gets_a_bar_in_its_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[str] = []
    handle = SimpleNamespace(update=pages.append)

    def display(page: str, display_id: bool) -> Any:
        pages.append(page)
        return handle

    kernel = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))  # type: ignore[arg-type]
    shown = SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)  # type: ignore[arg-type]
    watch(Run(Toy(), Sums(PLAN), PLAN), title="<toy>", about="a plane")
    assert capsys.readouterr() == ("", "")
    for page in (pages[0], pages[-1]):
        assert "<div>&lt;toy&gt;: a plane; " in page and "<toy>" not in page
    assert 'value="0.0000"' in pages[0] and 'value="1.0000"' in pages[-1]
    assert re.search(r"100% training loss [\d.]+, held-out error [\d.]+, 0 s left</div>$", pages[-1])


def test_early_stopping_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    class Worse(Sums):
        error = 0.0

        def validate(self, model: Any) -> dict[str, float]:
            self.error += 1
            return {"error": self.error}

    plan = Plan(epochs=9, batch_size=12, patience=2)
    outcome = watch(Run(Toy(), Worse(plan), plan), True, "toy")
    assert outcome.stopped == "early" and outcome.epochs == 3
    assert capsys.readouterr().err.splitlines()[-1] == (
        "toy: stopped early in epoch 3 of 9: 2 validations without a better held-out error; "
        "the best, error 1, is kept"
    )
    watch(Run(Toy(), Worse(plan), plan), False)
    assert capsys.readouterr().err == ""


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = watch(Run(Toy(), Sums(PLAN), PLAN), progress=False)
    assert (outcome.steps, outcome.epochs) == (4, 2) and capsys.readouterr() == ("", "")


def test_a_signal_is_answered_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Stopped(Sums):
        number = signal.SIGINT

        def loss(self, *arguments: Any) -> Any:
            os.kill(os.getpid(), self.number)
            return super().loss(*arguments)

    for number, said in ((signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "told to end")):
        problem = Stopped(PLAN)
        problem.number = number
        watch(Run(Toy(), problem, PLAN, folder=tmp_path), title="toy")
        assert capsys.readouterr().err.startswith(
            f"toy: {said}: finishing this step, then scoring and saving the best model"
        )


@pytest.mark.parametrize("broken", [OSError(28, "No space left on device"), ValueError("closed"), None])
def test_a_training_goes_on_where_nothing_can_be_told(
    broken: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None: a program without a terminal has no standard error."""

    class Broken(io.StringIO):
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            assert broken is not None
            raise broken

    monkeypatch.setattr(sys, "stderr", None if broken is None else Broken())
    assert watch(Run(Toy(), Sums(PLAN), PLAN)).stopped == "finished"


def test_only_the_first_process_writes(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(Toy(), Sums(PLAN), PLAN)
    run.rank = 1
    watch(run)
    assert capsys.readouterr() == ("", "")


def terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return screen


def lines(screen: Terminal) -> list[str]:
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen.getvalue()).strip().splitlines()


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch, 140)
    watch(Run(Toy(), Sums(PLAN), PLAN), title="toy [1]")
    last = lines(screen)[-1]
    assert re.search(r"toy \[1\] ━{50,} 100% training loss [\d.]+, held-out error [\d.]+, 0 s left", last)


@pytest.mark.parametrize(
    ("title", "shown", "state"),
    [
        ("training, all but the end", "training, all b…", r"loss [\d.]+, held-out accuracy 0.9877, 0 s left"),
        ("network", "network", r"training loss [\d.]+, held-out accuracy 0.9877, 0 s left"),
    ],
)
def test_the_bar_fits_80_columns(title: str, shown: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a long title and score names, and a second score: the bar stays, and no number is cut."""
    screen = terminal(monkeypatch, 80)
    problem: Any = Sums(PLAN)
    problem.score = "accuracy"
    problem.validate = lambda _: {"nats": 1.25, "accuracy": 0.98765}
    watch(Run(Toy(), problem, PLAN), title=title)
    last = lines(screen)[-1]
    assert re.search(rf"{shown} ━{{10,}} 100% {state}", last)
    assert len(last.rstrip()) <= 80


@pytest.mark.parametrize(("columns", "state"), [(60, "held-out error [\\d.]+, 0 s left"), (40, "0 s left")])
def test_the_bar_stays_in_a_narrow_terminal(
    columns: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = terminal(monkeypatch, columns)
    watch(Run(Toy(), Sums(PLAN), PLAN), title="network")
    last = lines(screen)[-1]
    assert re.search(rf"network ━{{10,}} 100% {state}", last) and len(last.rstrip()) <= columns


def test_an_epoch_as_score_is_not_shown_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem that keeps its latest weights scores the epoch."""
    screen = terminal(monkeypatch, 80)
    problem: Any = Sums(PLAN)
    problem.score, problem.maximize = "epoch", True
    scores = iter([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    problem.validate = lambda _: next(scores)
    watch(Run(Toy(), problem, PLAN))
    assert re.search(r"100% training loss [\d.]+, held-out loss 0.25, 0 s left", lines(screen)[-1])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (7384, "2 h 3 min")],
)
def testduration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_memory_stands_in_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    plan = replace(PLAN, watch_memory=True)
    watch(Run(Toy(), Sums(plan), plan, inspector=Watcher("words", 2.0)))
    lines = capsys.readouterr().err.splitlines()
    assert re.search(r", held-out error [\d.]+, memory [\d.]+ words, ", lines[0])
    assert "memory" not in lines[1]  # too few steps later
