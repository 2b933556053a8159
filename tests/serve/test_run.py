"""The server as a process: `elman serve` until SIGTERM."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from elman.errors import UsageError
from elman.serve.app import make_app
from elman.serve.limits import Limits
from elman.serve.run import run
from elman.serve.shelf import Shelf
from saved_models import SAVED


@contextmanager
def started(*options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run `elman serve` on a free port: the process, and its host and port."""
    command = [sys.executable, "-m", "elman", "serve", str(SAVED / "classify"), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"http://(127.0.0.1:\d+)", line)
            assert found, line
            yield process, found[1]
        finally:
            process.kill()


def test_a_process_serves_until_it_is_told_to_end() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with started("--drain", "60") as (process, host):
        answer = httpx.post(f"http://{host}/v1/predict/classify", json={"input": "good"}, timeout=60)
        assert answer.json()["answers"][0]["text"] == "good"
        with connect(f"ws://{host}/v1/stream/classify") as live:
            live.send(json.dumps({"push": "good "}))
            assert "pushed" in json.loads(live.recv(50))
            process.send_signal(signal.SIGTERM)
            assert json.loads(live.recv(50)) == {"ending": {"seconds": 60}}
            live.send(json.dumps({"result": {}}))  # it is still there
            assert "result" in json.loads(live.recv(50))
            assert httpx.get(f"http://{host}/ready").status_code == 503
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0] == hard
        start = time.monotonic()
        assert process.wait(50) == 0 and time.monotonic() - start < 50
        assert process.stderr is not None and '"event": "ending"' in process.stderr.read()


def test_every_line_of_the_log_is_json_also_of_what_is_cut_off_or_no_http() -> None:
    with started("--drain", "0.1") as (process, host):
        address, port = host.split(":")
        begun = b"POST /v1/predict/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
        with (
            socket.create_connection((address, int(port))) as cut,
            socket.create_connection((address, int(port))) as other,
        ):
            cut.sendall(begun)
            other.sendall(b"no HTTP\r\n\r\n")
            assert b"400" in other.recv(100)
            process.send_signal(signal.SIGTERM)
            assert process.wait(50) == 0
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr]
    assert {"warning", "ending", "failed", "answered"} <= {line["event"] for line in lines}


def test_a_second_signal_does_not_wait() -> None:
    with started("--drain", "60") as (process, host):
        with connect(f"ws://{host}/v1/stream/classify", open_timeout=60) as live:
            process.send_signal(signal.SIGINT)
            assert "ending" in json.loads(live.recv(50))
            process.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as closed:
                live.recv(50)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        assert process.wait(50) == 0


def test_work_that_nobody_waits_for_does_not_hold_up_the_end() -> None:
    with started("elman:letters", "--drain", "0") as (process, host):
        address = f"http://{host}/v1/predict/letters"
        httpx.post(address, json={"input": "good"}, timeout=60)
        with pytest.raises(httpx.TimeoutException):
            httpx.post(address, json={"input": "the movie was not good " * 40_000}, timeout=1)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0 and time.monotonic() - start < 20


def test_a_server_outlives_the_shell_that_started_it() -> None:
    served = f"{sys.executable} -m elman serve {SAVED / 'classify'} --port 0"
    command = ["sh", "-c", f"{served} & echo $!"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None and shell.stderr is not None
        process = int(shell.stdout.readline())
        try:
            assert shell.wait(60) == 0
            found = re.search(r"http://\S+", shell.stderr.readline())
            assert found
            time.sleep(3)  # a worker looks every second whether its parent has gone
            assert httpx.get(f"{found[0]}/health", timeout=60).status_code == 200
        finally:
            os.kill(process, signal.SIGKILL)


def test_an_address_that_is_taken_or_not_ours() -> None:
    def make() -> Any:
        return make_app(Shelf({}, Limits()), Limits())

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=rf"can't listen on 127\.0\.0\.1, port {port} "):
            run(make, "127.0.0.1", port)
    with pytest.raises(UsageError, match=r"can't listen on 203\.0\.113\.1, port 0 "):
        run(make, "203.0.113.1", 0)


def test_two_servers_do_not_share_a_port() -> None:
    with started("--workers", "2") as (process, host):
        deadline = time.monotonic() + 50
        while True:
            try:
                assert httpx.get(f"http://{host}/health").status_code == 200
                break
            except httpx.ConnectError:  # the workers do not listen yet
                assert time.monotonic() < deadline
                time.sleep(0.05)
        port = host.rpartition(":")[2]
        second = [
            sys.executable,
            "-m",
            "elman",
            "serve",
            str(SAVED / "chat"),
            "--port",
            port,
            "--workers",
            "2",
        ]
        told = subprocess.run(second, capture_output=True, text=True, timeout=50)
        assert told.returncode == 2 and f"can't listen on 127.0.0.1, port {port} " in told.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(50) == 0
