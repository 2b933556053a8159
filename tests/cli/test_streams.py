"""Standard streams that are closed, full, left by their reader, or of another encoding; and signals."""

import io
import json
import os
import signal
import subprocess
import sys
import time
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


@pytest.mark.parametrize(
    ("number", "seconds"), [(signal.SIGINT, 0.4), (signal.SIGINT, 4), (signal.SIGTERM, 4)]
)
def test_a_signal_ends_the_command_without_a_traceback(number: int, seconds: float, trained: Trained) -> None:
    """During the imports, or while it waits for a line."""
    command = [sys.executable, "-m", "elman", "predict", str(trained("classify")), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(seconds)
        process.send_signal(number)
        assert process.stderr is not None
        err = process.stderr.read().decode()
        assert process.wait(60) in (128 + number, -number)
    assert "Traceback" not in err
