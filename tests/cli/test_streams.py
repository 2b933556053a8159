"""Standard streams that are closed, full, left by their reader, or of another encoding; and signals."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import elman
from command_line import Done, Run, Trained
from elman.cli import streams

ELMAN = f"'{sys.executable}' -m elman"


def shell(command: str, **more: str) -> tuple[int, str, str]:
    """Run a line of bash in which E is the command."""
    line = command.replace("E ", f"{ELMAN} ")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, timeout=60, env=os.environ | more
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err and "Exception ignored" not in err, err
    return done.returncode, out, err


@pytest.mark.parametrize(
    ("redirection", "code", "err"),
    [
        (">&-", 1, "elman: standard output: it is closed\n"),
        (">/dev/full", 1, "elman: standard output: No space left on device\n"),
        ("2>/dev/full <&-", 0, ""),
        ("2>&- <&-", 0, ""),
        ("<&- >&- 2>&-", 1, ""),
        ("| true", 141, ""),
    ],
)
def test_streams_as_services_leave_them(redirection: str, code: int, err: str) -> None:
    assert shell(f"E --help {redirection}")[::2] == (code, err)


def test_a_model_whose_input_or_output_is_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert run("predict {classify} -") == Done(1, "", "elman: standard input: it is closed")
    monkeypatch.setattr(sys, "stdout", None)
    assert run("predict {classify} good") == Done(1, "", "elman: standard output: it is closed")
    monkeypatch.setattr(sys, "stderr", None)
    assert run("predict {classify} nowhere.csv") == Done(2, "", "")


def test_text_that_the_encoding_lacks_is_escaped_as_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    text, written = "é 日本 \U0001f600 \udcff", io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    streams.prepare()
    print(json.dumps(text, ensure_ascii=False), flush=True)
    assert json.loads(written.getvalue()) == text


@pytest.mark.parametrize("task", ["classify", "generate", "translate", "chat"])
def test_each_line_of_a_pipe_is_answered_as_it_comes(
    task: str, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    class Pipe(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            read.append(super().readline(size))
            return read[-1]

        __next__ = readline

    pipe = Pipe(b"a text\n\n  \r\nanother text\n")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=pipe))
    answers = elman.load(trained(task)).answers("-")
    for count in range(1, 5):
        next(answers)
        assert len(read) == count
    assert list(answers) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_that_waits_for_a_line(number: int, trained: Trained) -> None:
    with predicting(trained("classify")) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"good\n")
        process.stdin.flush()
        assert process.stdout.readline()
        assert ended(process, number) == (128 + number, "")


@pytest.mark.parametrize("seconds", [0.4, 1.2])
def test_a_signal_during_the_imports_ends_the_command(seconds: float, trained: Trained) -> None:
    with predicting(trained("classify")) as process:
        time.sleep(seconds)
        code, err = ended(process, signal.SIGINT)
    assert code in (128 + signal.SIGINT, -signal.SIGINT) and "Traceback" not in err


def predicting(model: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "elman", "predict", str(model), "-"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: "subprocess.Popen[bytes]", number: int) -> tuple[int, str]:
    """Send a signal; return the exit code and what standard error held."""
    process.send_signal(number)
    try:
        code = process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.stderr is not None
    return code, process.stderr.read().decode()
