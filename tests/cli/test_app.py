"""The command line as a whole: its help, its exit codes, and what it says to wrong calls."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module

import pytest

import elman
from command_line import Call, Run
from elman.errors import ArtifactError, TrainingError, UsageError
from elman.tasks import TASKS

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


SLOW = ("torch", "polars", "numpy", "tokenizers", "llvmlite", "matplotlib")


def printed_and_imported(*arguments: str, **variables: str) -> tuple[str, str]:
    """What a call prints, and those of the slow packages that it imports."""
    program = (
        f"import sys, atexit; sys.argv = ['elman', *{arguments!r}]\n"
        f"atexit.register(lambda: print(*sorted(set({SLOW}) & set(sys.modules))))\n"
        "from elman.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | variables,
    )
    out, _, last = done.stdout.removesuffix("\n").rpartition("\n")
    return out, last


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["train", "-h"], *(["train", task, "--help"] for task in TASKS)]
)
def test_help_does_not_wait_for_torch_or_polars(arguments: list[str]) -> None:
    out, imported = printed_and_imported(*arguments)
    assert "Usage: elman" in out
    assert imported == ""


@pytest.mark.parametrize("verb", app.Verbs.NAMES)
def test_every_command_knows_the_short_help(run: Run, verb: str) -> None:
    short, long = run(f"{verb} -h"), run(f"{verb} --help")
    assert short == long
    assert short.code == 0
    assert f"Usage: elman {verb}" in short.out


def test_help_lists_the_commands_in_the_order_of_their_use(run: Run) -> None:
    listed = re.findall(r"^│ ([a-z]+)  ", run("--help").out, re.MULTILINE)
    assert listed == list(app.Verbs.NAMES)
    assert listed[:6] == ["demo", "models", "lesson", "train", "tune", "evaluate"]


@pytest.mark.parametrize(
    ("shell", "line", "words"),
    [
        ("bash", "elman ", list(app.Verbs.NAMES)),
        ("bash", "elman pre", ["predict"]),
        ("bash", "elman train ", list(TASKS)),
        ("bash", "elman predict --at", ["--at-least"]),
        ("zsh", "elman train forecast --hor", ["--horizon"]),
        ("fish", "elman train classify --watch", ["--watch-memory"]),
    ],
)
def test_a_shell_completes_commands_and_settings_without_torch(
    shell: str, line: str, words: list[str]
) -> None:
    typed = line.split()
    given = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "_TYPER_COMPLETE_WORD_TO_COMPLETE": "" if line.endswith(" ") else typed[-1],
        },
    }
    out, imported = printed_and_imported(_ELMAN_COMPLETE=f"complete_{shell}", **given[shell])
    places = [out.find(word) for word in words]
    assert min(places) >= 0 and places == sorted(places)
    assert imported == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(shell: str) -> None:
    out, imported = printed_and_imported(_ELMAN_COMPLETE=f"source_{shell}")
    assert f"complete_{shell}" in out
    assert imported == ""


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
