"""What a person sees while a run goes on."""

import io
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from elman.training.loop import Plan, Run
from elman.training.progress import _time, watch
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
    pattern = rf"toy \[1\]: epoch {{}}, step {{}}, loss {number}, error {number}, \d+ sequences/s, \d+ s left"
    lines = err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(pattern.format(1, 2), lines[0]) and re.fullmatch(pattern.format(2, 4), lines[1])


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = watch(Run(Toy(), Sums(PLAN), PLAN), progress=False)
    assert outcome.steps == 4 and capsys.readouterr() == ("", "")


def test_an_interrupted_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Stopped(Sums):
        def loss(self, *arguments: Any) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return super().loss(*arguments)

    watch(Run(Toy(), Stopped(PLAN), PLAN, folder=tmp_path), title="toy")
    assert capsys.readouterr().err == "toy: interrupted after step 1, from where resume goes on\n"
    watch(Run(Toy(), Stopped(PLAN), PLAN), title="toy")
    assert capsys.readouterr().err == "toy: interrupted after step 1\n"


def test_only_the_first_process_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(Toy(), Sums(PLAN), PLAN)
    run.rank = 1
    watch(run)
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    watch(Run(Toy(), Sums(PLAN), PLAN), title="toy [1]")
    last: Any = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen.getvalue()).strip().splitlines()[-1]
    assert re.search(r"toy \[1\].*100%.*loss [\d.]+, error [\d.]+, \d+ sequences/s, 0 s left", last)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (7384, "2 h 3 min")],
)
def test_time(seconds: float, text: str) -> None:
    assert _time(seconds) == text
