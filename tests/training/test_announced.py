"""A training is announced while it runs, by a file that it locks; a stale file counts for nothing."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from elman.training import announced as module
from elman.training.announced import announced, is_alive, trainings

HOLD = """
import sys, time
from pathlib import Path
from elman.training.announced import announced
with announced("classify", Path(sys.argv[1])):
    print("announced", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has announced a training."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "runs" / "reviews")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "announced\n"
        yield process
        process.kill()


def test_a_training_is_listed_while_it_runs(tmp_path: Path) -> None:
    assert trainings() == []
    with announced("forecast", tmp_path / "runs" / "sales"):
        (one,) = trainings()
        assert (one.task, one.name, one.process) == ("forecast", "sales", os.getpid())
        assert abs(one.started - time.time()) < 60 and is_alive(one)
        with announced("chat", tmp_path / "runs" / "talk"):
            assert [each.name for each in trainings()] == ["talk", "sales"]  # the latest first
    assert trainings() == [] and not is_alive(one) and [*module.place().iterdir()] == []


def test_an_announcement_is_the_users_own_and_its_id_tells_no_folder(tmp_path: Path) -> None:
    with announced("forecast", tmp_path / "sales"):
        (file,) = module.place().iterdir()
        assert (
            stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        )
        assert "sales" not in file.name


def test_an_error_of_the_training_ends_the_announcement(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), announced("forecast", tmp_path):
        raise KeyboardInterrupt
    assert trainings() == []


def test_a_training_of_another_process_is_stopped(other: subprocess.Popen[str]) -> None:
    (one,) = trainings()
    assert one.process == other.pid and one.stop()
    assert other.wait(10) == -signal.SIGTERM


def test_a_killed_training_is_forgotten_and_its_number_never_stopped(other: subprocess.Popen[str]) -> None:
    (one,) = trainings()
    other.kill()
    other.wait(10)
    assert not is_alive(one) and not one.stop()
    assert trainings() == [] and [*module.place().iterdir()] == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"id": 3}', json.dumps({"id": "x" * 16, "process": "many"})]
)
def test_a_file_that_announces_nothing_is_left_alone(content: str) -> None:
    module.place().mkdir(parents=True)
    file = module.place() / "abc.json"
    file.write_text(content)
    assert trainings() == [] and file.read_text() == content


def test_a_file_of_another_name_or_a_link_is_no_announcement(tmp_path: Path) -> None:
    with announced("chat", tmp_path):
        (file,) = module.place().iterdir()
        (module.place() / "other.json").write_text(file.read_text())
        (module.place() / "link.json").symlink_to(file)
        assert len(trainings()) == 1


def test_a_training_goes_on_where_it_can_not_be_announced(own_cache: Path, tmp_path: Path) -> None:
    own_cache.write_text("a file, and no folder")
    with announced("chat", tmp_path):
        assert trainings() == []


def test_of_several_processes_the_first_announces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with announced("chat", tmp_path):
        assert trainings() == []
