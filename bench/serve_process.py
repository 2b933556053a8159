"""A server in a process of its own, as the measurements of it start one."""

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ADDRESS: Final = re.compile(r"elman serves at (http://\S+)")
START_SECONDS: Final = 120


class ServerProcess:
    """A running `elman serve`.

    Attributes:
        url: such as http://127.0.0.1:8300.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, url: str) -> None:
        self._process, self._log, self.url = process, log, url

    @property
    def socket(self) -> str:
        """The address of websockets."""
        return self.url.replace("http", "ws", 1)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        """Return what the server has written to standard error."""
        return self._log.read_text()

    def megabytes(self) -> float:
        """Return the resident memory of all its processes."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._processes())
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def files(self) -> int:
        """Return the number of open files and sockets."""
        return len([*Path(f"/proc/{self._process.pid}/fd").iterdir()])

    def cpu_seconds(self) -> float:
        """Return the time of all its processes."""
        stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2] for pid in self._processes())
        ticks = sum(int(fields[11]) + int(fields[12]) for fields in map(str.split, stats))
        return ticks / os.sysconf("SC_CLK_TCK")

    def _processes(self) -> list[int]:
        """Return the numbers of the server's process and its workers."""
        pid = self._process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def metric(self, name: str) -> float:
        """Return the sum of a metric's values over its labels."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            text = answer.read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


@contextmanager
def serving(models: Mapping[str, Path], nice: int = 0, **limits: Any) -> Iterator[ServerProcess]:
    """Serve models on a free port until the block ends."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in limits.items()]
    folders = [f"{name}={folder}" for name, folder in models.items()]
    command = [sys.executable, "-m", "elman", "serve", *folders, "--port=0", *options]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, stderr=file, preexec_fn=lambda: os.nice(nice))
        try:
            start = time.monotonic()
            while not (address := ADDRESS.search(log.read_text())):
                if process.poll() is not None or time.monotonic() - start > START_SECONDS:
                    raise RuntimeError(f"the server did not start: {log.read_text()}")
                time.sleep(0.05)
            yield ServerProcess(process, log, address[1])
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
