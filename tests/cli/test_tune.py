"""`elman tune`: what it prints and saves, and wrong calls."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import Run

pytest.importorskip("optuna")
SMALL = "--text review --label stars --epochs 1 --networks 1 --embedding 8 --hidden 8"


def test_a_tuning_is_a_table_and_a_model(run: Run) -> None:
    done = run(f"tune classify {{reviews.csv}} {SMALL} --minutes 0.1 --save tuned --json")
    assert done.code == 0
    result = json.loads(done.out)
    assert (result["model"], result["score"], result["lower"]) == ("tuned", "accuracy", False)
    assert result["trials"][0]["settings"] == {}
    assert run("predict tuned 'the film was good'").code == 0
    again = run(f"tune classify {{reviews.csv}} {SMALL} --minutes 0.1 --save tuned --resume")
    assert again.code == 0
    assert again.out.startswith("trial")
    assert "Saved in tuned" in again.out
    assert len(again.out.splitlines()) >= len(result["trials"]) + 4
    once_more = run(f"tune classify {{reviews.csv}} {SMALL} --minutes 1 --save tuned")
    assert once_more.code == 2 and "tuned holds a tuning: --resume to go on with it" in once_more.err


def test_a_tuning_without_a_model_is_not_overwritten(run: Run) -> None:
    Path("begun").mkdir()
    Path("begun/tuning.log").write_text("")
    done = run(f"tune classify {{reviews.csv}} {SMALL} --minutes 1 --save begun")
    assert (done.code, done.out) == (2, "")
    assert "begun holds a tuning: --resume to go on with it, or --force" in done.err


COLUMNS = "--text review --label stars"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("tune classify {reviews.csv}", "Missing option '--minutes'"),
        ("tune classify nope.csv --minutes 1", "nope.csv does not exist"),
        (f"tune classify {{reviews.csv}} {COLUMNS} --minutes -1", "minutes must be a number above 0"),
        ("tune classify {reviews.csv} --minutes 1 --test x.csv", "No such option: --test"),
        (f"tune classify {{reviews.csv}} {COLUMNS} --minutes 1 --set hiden=3", "there is no setting 'hiden'"),
        ("tune clasify {reviews.csv} --minutes 1", "No such command 'clasify'"),
        ("tune classify - --minutes 1", "standard input can be read only once"),
        (
            f"tune classify {{reviews.csv}} {COLUMNS} --minutes 1 --resume --save none",
            "holds no tuning to resume",
        ),
    ],
)
def test_wrong_calls(refused: Callable[..., None], line: str, sentence: str) -> None:
    refused(line, sentence)


def test_the_help_lists_the_options_of_training(run: Run) -> None:
    text = run("tune forecast --help").out
    for option in ("--minutes", "--horizon", "--dropout", "--resume", "Example: elman tune forecast"):
        assert option in text
    assert "--test" not in text
