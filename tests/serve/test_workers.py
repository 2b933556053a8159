"""Processes that share a port."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from elman.errors import UsageError
from elman.serve.workers import supervise
from saved_models import SAVED

PROGRAM = """
import sys, time
from elman.serve.workers import supervise

def work():
    print("started", flush=True)
    time.sleep(float(sys.argv[2]))
    sys.exit(3)

sys.exit(supervise(int(sys.argv[1]), work))
"""


def test_they_answer_at_one_port_until_the_signal() -> None:
    command = [
        sys.executable,
        "-m",
        "elman",
        "serve",
        str(SAVED / "classify"),
        "--port",
        "0",
        "--workers",
        "2",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = re.search(r"http://\S+", process.stderr.readline())
            assert url
            seen, deadline = set[str](), time.monotonic() + 60
            while len(seen) < 2 and time.monotonic() < deadline:
                try:  # a connection each
                    text = httpx.get(f"{url[0]}/metrics").text
                except httpx.ConnectError:  # none listens yet
                    time.sleep(0.1)
                    continue
                seen |= set(re.findall(r"process_id (\d+)", text))
            assert len(seen) == 2 and str(process.pid) not in seen
            os.kill(int(min(seen)), signal.SIGKILL)
            deadline = time.monotonic() + 30
            while '"event": "worker died"' not in process.stderr.readline():
                assert time.monotonic() < deadline
            process.send_signal(signal.SIGTERM)
            assert process.wait(100) == 0
        finally:
            process.kill()


def test_a_process_that_can_not_start_ends_all(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, "2", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout.count("started") == 2
    assert '"event": "worker died"' in done.stderr and '"code": 1' in done.stderr


def test_a_process_says_why_it_failed() -> None:
    program = "from elman.serve.workers import supervise\nraise SystemExit(supervise(1, lambda: 1 / 0))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert '"error": "ZeroDivisionError", "reason": "division by zero"' in done.stderr


def test_where_processes_can_not_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("socket.SO_REUSEPORT")
    with pytest.raises(UsageError, match="--workers needs Linux"):
        supervise(2, lambda: None)
