"""`elman predict` as one table: in files of every ending, and in a terminal."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from command_line import Run
from elman.cli.tables import show
from elman.tasks.forecast.answers import ForecastAnswer
from saved_models import SAVED

READ = {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}


@pytest.mark.parametrize("ending", READ)
def test_labels_stand_beside_their_texts(run: Run, ending: str) -> None:
    Path("new.csv").write_text('review\n"a ""good"", long film"\nthe plot was awful\n')
    assert run(f"predict {{classify}} new.csv --output answers{ending}") == (0, "", "")
    table = READ[ending](Path(f"answers{ending}"))
    assert table.columns == ["text", "label", "probability"]
    assert table["text"].to_list() == ['a "good", long film', "the plot was awful"]
    lines = run("predict {classify} new.csv --json").out.splitlines()
    assert table["probability"].to_list() == [max(json.loads(k)["probabilities"].values()) for k in lines]


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        ("translate", ["source", "translation"]),
        ("chat", ["text", "reply"]),
        ("generate", ["text", "next", "probability"]),
    ],
)
def test_what_is_answered_stands_beside_the_answer(run: Run, model: str, columns: list[str]) -> None:
    Path("new.txt").write_text("un 3 kato.\nhello 5\n")
    assert run(f"predict {{{model}}} new.txt --output answers.tsv").code == 0
    table = pl.read_csv("answers.tsv", separator="\t")
    assert table.columns == columns
    assert table[columns[0]].to_list() == ["un 3 kato.", "hello 5"]


@pytest.mark.parametrize(
    ("line", "column", "given"),
    [
        ("{classify} 'a long film'", "text", "a long film"),
        ("{transcribe} {one_s0_0.wav}", "file", "one_s0_0.wav"),
    ],
)
def test_a_single_input_stands_beside_its_answer(run: Run, line: str, column: str, given: str) -> None:
    assert run(f"predict {line} --output answers.csv").code == 0
    assert pl.read_csv("answers.csv")[column][0].endswith(given)


@pytest.mark.parametrize("option", ["--future", "--future {sales.csv} --against"])
def test_a_plan_is_not_overwritten(refused: Callable[..., None], option: str) -> None:
    Path("plan.csv").write_text("month,offer\n2019-01-01,1\n")
    refused(f"predict {{forecast}} {option} plan.csv --output plan.csv", "plan.csv is the input itself")
    assert Path("plan.csv").read_text() == "month,offer\n2019-01-01,1\n"


@pytest.mark.parametrize(
    ("stamps", "printed"),
    [
        ([date(2024, 1, 6)], ["2024-01-06"]),
        ([datetime(2024, 1, 6), datetime(2024, 1, 6, 1)], ["2024-01-06 00:00", "2024-01-06 01:00"]),
        (
            [datetime(2024, 1, 6, 1), datetime(2024, 1, 6, 1, 0, 1)],
            ["2024-01-06 01:00:00", "2024-01-06 01:00:01"],
        ),
        ([datetime(2024, 1, 6, tzinfo=UTC)], ["2024-01-06 00:00+00:00"]),
        ([100], ["100"]),
    ],
)
def test_stamps_of_a_column_have_one_form(
    capsys: pytest.CaptureFixture[str], stamps: list[object], printed: list[str]
) -> None:
    rows = [pl.DataFrame({"unique_id": ["a"], "ds": [stamp], "q0.5": [1.5]}) for stamp in stamps]
    show(ForecastAnswer(row, "") for row in rows)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(" a ")]
    assert [" ".join(cells[1:-1]) for cells in lines] == printed


def test_a_forecast_has_its_columns(run: Run) -> None:
    assert run("predict {forecast} --output next.csv").code == 0
    table = pl.read_csv("next.csv")
    assert table.columns[:3] == ["unique_id", "ds", "q0.1"] and table["ds"][0] == "2019-01-01"


def test_other_endings_and_json_keep_lines(run: Run) -> None:
    Path("new.csv").write_text("review\nthe film was good\nthe plot was awful\n")
    assert run("predict {classify} new.csv --output answers.txt").code == 0
    assert len(Path("answers.txt").read_text().splitlines()[0].split("\t")) == 3
    assert run("predict {classify} new.csv --json --output answers.csv").code == 0
    assert "probabilities" in json.loads(Path("answers.csv").read_text().splitlines()[0])


def test_a_table_that_cannot_be_made_leaves_nothing(run: Run) -> None:
    Path("new.csv").write_text("other,columns\n1,2\n")
    done = run("predict {classify} new.csv --output answers.parquet")
    assert done.code == 2 and "new.csv" in done.err
    assert not Path("answers.parquet").exists()


def test_in_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text\n" + "a long text of many words " * 5 + "\ngood\tday\n")
    ours, terminal = pty.openpty()
    command = [sys.executable, "-m", "elman", "predict", str(SAVED / "classify"), "new.csv"]
    environment = os.environ | {"COLUMNS": "60", "TERM": "xterm"}
    with os.fdopen(terminal, "wb") as stream:
        subprocess.run(command, cwd=tmp_path, stdout=stream, env=environment, timeout=120, check=True)
    lines = re.sub(r"\x1b\[[\d;]*m", "", os.read(ours, 100_000).decode()).splitlines()
    assert max(map(len, lines)) <= 60
    head = next(line for line in lines if line.strip())
    assert head.split() == ["text", "label", "probability"]
    share = lines[-2].split()[-1]
    assert len(share) == len("0.1234") and 0 < float(share) <= 1
