"""One writer in a folder: others are refused, and a killed one leaves no lock."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from elman import lock
from elman.errors import UsageError

HOLDER = """import sys, time
from pathlib import Path
from elman import lock
lock.acquire(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def without_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)


def in_thread(folder: Path) -> str:
    """Return what another thread is told that wants the lock."""
    told: list[str] = []

    def work() -> None:
        try:
            with lock.held(folder):
                told.append("")
        except UsageError as error:
            told.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return told[0]


def test_a_thread_may_lock_again_and_the_last_release_unlocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "SAVE_SECONDS", 0.05)
    file = lock.acquire(tmp_path)
    with lock.held(tmp_path):
        assert [p.name for p in tmp_path.iterdir()] == [lock.LOCK_FILE]
    assert f"{tmp_path} is in use by another training (process {os.getpid()}, since" in in_thread(tmp_path)
    lock.release(file)
    assert list(tmp_path.iterdir()) == [] and in_thread(tmp_path) == ""
    lock.release(file)  # does nothing


def test_a_save_waits_for_another(tmp_path: Path) -> None:
    file = lock.acquire(tmp_path)
    timer = threading.Timer(0.1, lock.release, [file])
    timer.start()
    assert in_thread(tmp_path) == ""


def test_a_link_to_the_folder_is_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SAVE_SECONDS", 0.0)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    file = lock.acquire(tmp_path / "real")
    assert "is in use" in in_thread(tmp_path / "link")
    lock.release(file)


def test_another_process_until_it_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
    with pytest.raises(
        UsageError, match=rf"in use by another training \(process {holder.pid}, since 20.*: wait"
    ):
        lock.check(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert (tmp_path / lock.LOCK_FILE).exists()
    lock.check(tmp_path)
    assert not (tmp_path / lock.LOCK_FILE).exists()


def test_other_ranks_of_a_training_do_not_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = lock.acquire(tmp_path)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    lock.check(tmp_path)
    lock.release(file)


@pytest.mark.parametrize(
    ("process", "host", "locked"),
    [(1, None, True), (2**31 - 1, None, False), (2**70, None, False), (1, "elsewhere", True)],
)
@pytest.mark.usefixtures("without_flock")
def test_where_the_file_system_has_no_locks_the_process_in_the_file_decides(
    process: int, host: str | None, locked: bool, tmp_path: Path
) -> None:
    note = {"process": process, "host": host or os.uname().nodename, "since": "2026-01-01 00:00:00"}
    (tmp_path / lock.LOCK_FILE).write_text(json.dumps(note))
    if locked:
        place = " on elsewhere" if host else ""
        with pytest.raises(UsageError, match=rf"\(process 1{place}, since 2026-01-01 00:00:00\)"):
            lock.acquire(tmp_path)
    else:
        lock.release(lock.acquire(tmp_path))


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[1]", b"{}", b'{"process": "x", "host": 1, "since": 2}', b"[" * 5000]
)
@pytest.mark.usefixtures("without_flock")
def test_a_lock_file_of_nonsense_locks_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / lock.LOCK_FILE).write_bytes(content)
    lock.release(lock.acquire(tmp_path))


def test_a_forked_child_does_not_unlock(tmp_path: Path) -> None:
    file = lock.acquire(tmp_path)
    if (child := os.fork()) == 0:
        lock.release(file)
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / lock.LOCK_FILE).exists()
    lock.release(file)


def test_nothing_waits_on_a_pipe_or_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    (tmp_path / lock.LOCK_FILE).symlink_to("mine")
    start = time.monotonic()
    with pytest.raises(OSError, match="symbolic links"):
        lock.acquire(tmp_path)
    (tmp_path / lock.LOCK_FILE).unlink()
    os.mkfifo(tmp_path / lock.LOCK_FILE)
    with pytest.raises(OSError, match="Invalid argument"):
        lock.acquire(tmp_path)
    assert (tmp_path / "mine").read_text() == "keep" and time.monotonic() - start < 5
