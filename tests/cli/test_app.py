"""The command line as a whole: its help, its exit codes, and what it says to wrong calls."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module

import pytest

import elman
from command_line import Call, Run
from elman.errors import ArtifactError, TrainingError, UsageError

app = import_module("elman.cli.app")  # the package has a function of the module's name

VERBS = (
    *(f"train {task}" for task in ("classify", "forecast", "generate", "translate", "chat")),
    *("evaluate", "predict", "generate", "chat", "show", "demo", "lesson"),
)


def test_version(call: Call) -> None:
    assert call("--version") == (0, f"elman {elman.__version__}\n", "")


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(run: Run, verb: str) -> None:
    done = run(f"{verb} --help")
    assert done.code == 0
    assert f"Example: elman {verb}" in " ".join(done.out.split())


@pytest.mark.parametrize("arguments", [["--help"], ["train", "classify", "--help"], ["predict", "--help"]])
def test_help_does_not_wait_for_torch_or_polars(arguments: list[str]) -> None:
    program = (
        f"import sys, atexit; sys.argv = ['elman', *{arguments!r}]\n"
        "atexit.register(lambda: print({'torch', 'polars'} & set(sys.modules)))\n"
        "from elman.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "Usage: elman" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("trian", "No such command"),
        ("predict", "Missing argument"),
        ("show lstm --latx", "No such option"),
        ("train classify {reviews.csv} --hidden many", "Invalid value for '--hidden'"),
    ],
)
def test_wrong_options(refused: Callable[..., None], line: str, sentence: str) -> None:
    refused(line, sentence)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UsageError("not so"), 2, "elman: not so\n"),
        (TrainingError("the loss became NaN"), 1, "elman: the loss became NaN\n"),
        (ArtifactError("config.json is damaged"), 1, "elman: config.json is damaged\n"),
        (OSError(28, "No space left on device", "runs/x"), 1, "elman: runs/x: No space left on device\n"),
        (OSError("the pipe broke"), 1, "elman: the pipe broke\n"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, sentence: str
) -> None:
    def fail(**_: str) -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    assert call("show") == (code, "", sentence)


def test_an_error_that_is_ours_keeps_its_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(ZeroDivisionError):
        app.main()


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"'{sys.executable}' -m elman show | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith("elman ")
    assert "Traceback" not in done.stderr
