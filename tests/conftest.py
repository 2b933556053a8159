"""What all tests rely on."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before anything imports PyTorch: a core for each worker
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRITON_INTERPRET", "1")  # before anything imports Triton: kernels run without a GPU

import pytest
from hypothesis import settings

from command_line import Call
from elman import cli
from elman.training.signals import STOPPING

# "fixed" draws the same examples at every run, so that a change is judged by itself; the nightly run draws
# new ones, and more of them.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=300, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# A shell tells what it starts in the background to ignore Ctrl-C; tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give one worker all tests of a file, or all that use the session's fixtures of a folder: models that
    fixtures train, and what a file caches, are then made once, and not in each worker."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_made_once(item)))


def _made_once(item: pytest.Item) -> str:
    fixtures = getattr(item, "_fixtureinfo", None)
    for definitions in fixtures.name2fixturedefs.values() if fixtures else ():
        if definitions[-1].scope == "session" and definitions[-1].baseid:  # "" for those of plugins
            return str(definitions[-1].baseid)
    return item.nodeid.partition("::")[0]


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
