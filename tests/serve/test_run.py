"""The server as a process: `elman serve` until SIGTERM."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from elman.errors import UsageError
from elman.serve.limits import Limits
from elman.serve.run import run
from elman.serve.shelf import Shelf
from saved_models import SAVED


def test_a_process_serves_until_it_is_told_to_end() -> None:
    command = [sys.executable, "-m", "elman", "serve", str(SAVED / "classify"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        url = re.search(r"http://127.0.0.1:\d+", line)
        assert url, line
        answer = httpx.post(f"{url[0]}/v1/predict/classify", json={"input": "good"}, timeout=60)
        assert answer.json()["answers"][0]["text"] == "good"
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0 and time.monotonic() - start < 10


def test_an_address_that_is_taken_or_not_ours() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"can't listen on 127.0.0.1, port {port} "):
            run(Shelf({}, Limits()), Limits(), "127.0.0.1", port)
    with pytest.raises(UsageError, match=r"can't listen on 203\.0\.113\.1, port 0 "):
        run(Shelf({}, Limits()), Limits(), "203.0.113.1", 0)
