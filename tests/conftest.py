"""What all tests rely on."""

import gc
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # before anything imports PyTorch: a core for each worker
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRITON_INTERPRET", "1")  # before anything imports Triton: kernels run without a GPU

import pytest
from hypothesis import settings

from command_line import Call
from elman import cli
from elman.training.signals import STOPPING

HERE = Path(__file__).parent

# "fixed" draws the same examples at every run, so that a change is judged by itself; the nightly run draws
# new ones, and more of them.
settings.register_profile("fixed", max_examples=40, derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=300, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# A shell tells what it starts in the background to ignore Ctrl-C; tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give one worker all tests of a file, or of a folder whose conftest.py trains models: what fixtures
    train and files cache is then made once, and not by each worker. Those with the most tests come first."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder = (config.rootpath / file).parent
            return str(folder if folder != HERE and (folder / "conftest.py").exists() else file)

    return Together(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Don't look for garbage in what was imported, again and again: 3 % of the time of the tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def same_handlers() -> Iterator[None]:
    """Start with the usual handlers of signals, also under nohup, which ignores SIGHUP; give back those that
    there were, whatever a test or the command line that it runs has set."""
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def short_talks() -> Iterator[None]:
    """A chatbot that is scored talks with itself for 6 turns, not 50, most of the time of a training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("elman.tasks.chat.judge.TALK_TURNS", 6)
        yield


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run `elman ...` in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str | bytes | None = None) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["elman", *arguments])
        if stdin is not None:
            monkeypatch.setattr(
                sys,
                "stdin",
                io.TextIOWrapper(io.BytesIO(stdin.encode() if isinstance(stdin, str) else stdin)),
            )
        handlers = {number: signal.getsignal(number) for number in STOPPING}
        with pytest.raises(SystemExit) as end:
            cli.main()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(end.value.code or 0), out, err

    return run
