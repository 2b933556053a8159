"""`elman evaluate`, `elman predict` and `elman generate`, with trained models and with one that records."""

import csv
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from audio_files import save
from command_line import Done, Run, Trained
from saved_models import SAVED
from tones import RATE, sentence


class Word:
    heading = "word"

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, str]:
        return {"word": self.text}

    def groups(self) -> dict[str, Any]:
        return {"label": [{"label": self.text, "f1": 0.5}]}


class AnyOption:
    def __contains__(self, name: str) -> bool:
        return True


class Model:
    """It takes every option and keeps the arguments of its last call."""

    task = "classify"
    OPTIONS: ClassVar = dict.fromkeys(("evaluate", "backtest", "predict", "generate"), AnyOption())
    call: ClassVar[tuple[Any, ...]] = ()

    class SETTINGS:
        FILES = 2

    def evaluate(self, data: Any, **options: Any) -> Word:
        type(self).call = ("evaluate", data, options)
        return Word("scores")

    def backtest(self, data: Any, **options: Any) -> Word:
        type(self).call = ("backtest", data, options)
        return Word("scores")

    def answers(self, data: Any, **options: Any) -> Iterator[Word]:
        type(self).call = ("answers", data, options)
        yield from map(Word, ["süß", "sauer"])

    def generate(self, prompt: str, **options: Any) -> Iterator[str]:
        type(self).call = ("generate", prompt, options)
        yield from ("and ", "so on")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, bool]]:
    """The arguments of `load`, which gives a `Model`."""
    loads: list[tuple[Path, bool]] = []

    def load(folder: Path, int8: bool) -> Model:
        loads.append((folder, int8))
        return Model()

    monkeypatch.setattr("elman.tasks.load", load)
    monkeypatch.setattr("elman.artifact.saved_task", lambda folder: "small")  # of a folder that there is not
    monkeypatch.setattr("elman.tasks.early.require_file", lambda path: None)
    return loads


# ---- which call of the model a line becomes


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("evaluate m a.csv", ("evaluate", "a.csv", {})),
        ("evaluate m a.csv --text t --label l", ("evaluate", "a.csv", {"text": "t", "label": "l"})),
        ("evaluate m a b --source s --target t", ("evaluate", ("a", "b"), {"source": "s", "target": "t"})),
        ("evaluate m - --adapt", ("evaluate", "-", {"adapt": True})),
        ("evaluate m a.csv --no-header", ("evaluate", "a.csv", {"header": False})),
        ("evaluate m a.csv --backtest 3", ("backtest", "a.csv", {"cutoffs": 3})),
        ("evaluate m a --no-header --backtest 1", ("backtest", "a", {"cutoffs": 1, "header": False})),
        ("predict m", ("answers", None, {})),
        ("predict m 'a text' --count 2", ("answers", "a text", {"count": 2})),
        ("predict m 'a text' --at-least 0.8", ("answers", "a text", {"at_least": 0.8})),
        ("predict m a --no-header --plot p", ("answers", "a", {"header": False, "plot": Path("p")})),
        ("predict m --horizon 3 --future f.csv", ("answers", None, {"horizon": 3, "future": "f.csv"})),
        ("predict m --future f --against g", ("answers", None, {"future": "f", "against": "g"})),
        ("predict m a --components", ("answers", "a", {"components": True})),
        ("generate m", ("generate", "", {})),
        ("generate m so --length 3 --top-k 2", ("generate", "so", {"length": 3, "top_k": 2})),
        ("generate m so --top-p 0.5 --temperature 0", ("generate", "so", {"top_p": 0.5, "temperature": 0})),
        ("generate m so --seed 0 --stop '.'", ("generate", "so", {"seed": 0, "stop": "."})),
    ],
)
def test_only_the_options_that_were_given_reach_the_model(
    run: Run, loads: list[tuple[Path, bool]], line: str, arguments: tuple[Any, ...]
) -> None:
    assert run(line).code == 0
    assert Model.call == arguments
    assert loads == [(Path("m"), False)]


@pytest.mark.parametrize("line", ["evaluate m a --int8", "predict m a --int8", "generate m --int8"])
def test_weights_are_rounded_when_asked(run: Run, loads: list[tuple[Path, bool]], line: str) -> None:
    assert run(line).code == 0
    assert loads == [(Path("m"), True)]


def test_answers_are_lines_under_a_heading_or_json(run: Run, loads: object) -> None:
    assert run("predict m a").out == "word\nsüß\nsauer\n"
    assert run("predict m a --json").out == '{"word": "süß"}\n{"word": "sauer"}\n'
    assert run("predict m a --output out.txt").out == ""
    assert Path("out.txt").read_text(encoding="utf-8") == "word\nsüß\nsauer\n"
    assert run("evaluate m a") == Done(0, "scores\n", "")
    by_label = {"label": [{"label": "scores", "f1": 0.5}]}
    assert json.loads(run("evaluate m a --json").out) == {"word": "scores", "by": by_label}
    assert run("generate m a").out == "and so on\n"


def test_what_fails_halfway_leaves_no_file(run: Run, loads: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(self: Model, data: Any) -> Iterator[Word]:
        yield Word("one")
        raise OSError(5, "Input/output error", "data.csv")

    monkeypatch.setattr(Model, "answers", answers)
    assert run("predict m a --output out.txt").code != 0
    assert not list(Path().iterdir())


# ---- with trained models


def test_a_text_a_file_and_a_pipe_alike(run: Run) -> None:
    texts = ["the film was not good", "the plot was awful"]
    answers = [run(f"predict {{classify}} '{text}'").out.removesuffix("\n") for text in texts]
    beside = "".join(f"{answer}\t{text}\n" for answer, text in zip(answers, texts, strict=True))
    piped = run("predict {classify} -", stdin="\n".join(texts) + "\n")
    assert piped == Done(0, beside, "")
    Path("two.txt").write_text("\n".join(texts), encoding="utf-8")
    assert run("predict {classify} two.txt").out == piped.out
    run("predict {classify} two.txt --output labels.txt")
    assert Path("labels.txt").read_text(encoding="utf-8") == piped.out
    objects = [json.loads(line) for line in run("predict {classify} two.txt --json").out.splitlines()]
    assert [max(o["probabilities"], key=o["probabilities"].get) for o in objects] == [
        line.split("\t")[0] for line in piped.out.splitlines()
    ]


def test_a_forecast_after_the_data(run: Run) -> None:
    done = run("predict {forecast} --plot sales.svg")
    assert done.code == 0
    header, *rows = done.out.splitlines()
    assert header == "unique_id,ds,q0.1,q0.5,q0.9"
    assert [row.split(",")[1] for row in rows] == [f"2019-{month:02}-01" for month in range(1, 7)]
    assert "<svg" in Path("sales.svg").read_text(encoding="utf-8")


def test_the_components_of_a_forecast(run: Run) -> None:
    done = run("predict {forecast} --components --horizon 2 --plot parts.svg --json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["ds"] for row in rows] == ["2019-01-01", "2019-02-01"]
    for row in rows:
        assert row["level"] + row["trend"] + row["season"] == pytest.approx(row["forecast"])
    assert "<!-- season -->" in Path("parts.svg").read_text(encoding="utf-8")


def test_next_words_of_lines(run: Run) -> None:
    done = run("predict {generate} - --json", stdin="they love\n\ncaf\xe9 \U0001f600\n")
    rows = [json.loads(line)["next"] for line in done.out.splitlines()]
    assert done.code == 0 and len(rows) == 3
    assert all(0 <= word["probability"] <= 1 for row in rows for word in row)
    assert run(f"predict {{generate}} '{'love ' * 100}'").code == 0  # longer than a file's name may be
    done = run("predict {generate} {other.txt}")
    assert done.code == 0 and len(done.out.splitlines()) == 20


def test_translations(run: Run) -> None:
    assert "BLEU" in run("evaluate {translate} {a.x} {a.y}").out
    assert run("predict {translate} {a.x}").out.count("\n") == 40
    answer = json.loads(run("predict {translate} --json kato --plot p.png").out)
    assert len(answer["attention"]["weights"]) == len(answer["attention"]["target"])
    assert Path("p.png").exists()
    assert len(json.loads(run("predict {translate} kato --json --count 3").out)) == 3
    assert run("generate {translate} kato").code == 0


def test_replies(run: Run) -> None:
    assert run("predict {chat} hello").out.count("\n") == 1
    assert json.loads(run("predict {chat} hello --json --count 2").out)["replies"]
    scores = json.loads(run("evaluate {chat} {pairs.tsv} --json").out)
    assert scores["replies"] == 20
    assert next(iter(scores["baselines"].values()))["hits"] >= 0


@pytest.mark.parametrize(
    ("line", "phrases"),
    [
        ("evaluate {classify} {reviews.csv}", ["TF-IDF", "were trained on"]),
        ("evaluate {forecast} {sales.csv} --backtest 2", ["seasonal naive"]),
        ("evaluate {generate} {other.txt}", ["7-gram", "bits per character"]),
        ("evaluate {generate} {other.txt} --adapt", ["7-gram", "bits per character"]),
    ],
)
def test_evaluate_shows_the_baseline(run: Run, line: str, phrases: list[str]) -> None:
    done = run(line)
    assert done.code == 0
    assert all(phrase in done.out for phrase in phrases)


def test_text_is_printed_as_it_is_generated(run: Run) -> None:
    done = run("generate {generate} they --length 40 --seed 1")
    assert done.code == 0 and 1 < len(done.out) <= 41
    assert run("generate {generate} - --length 40 --seed 1", stdin=b"they") == done
    assert run("generate {generate} - --length 5", stdin=b"\xff\xfe\x00").code == 0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("evaluate {classify} nope.csv", "nope.csv does not exist"),
        ("evaluate nope {reviews.csv}", "there is no model at"),
        ("evaluate {classify} {reviews.csv} --backtest 2", "--backtest is for forecasts"),
        ("evaluate {forecast} {sales.csv} --backtest 0", "Invalid value for '--backtest'"),
        ("predict {classify} reviews.pdf", "there is no file 'reviews.pdf'; to answer this text"),
        ("predict {translate} ./a.zz", "there is no file './a.zz'"),
        ("predict {generate} nothing.txt", "there is no file 'nothing.txt'"),
        ("evaluate {classify} {reviews.csv} {reviews.csv}", "a 'classify' model is scored on one file"),
        ("evaluate {classify} {reviews.csv} --adapt", "--adapt does not apply to a 'classify' model"),
        ("evaluate {generate} {latin.txt}", "is not UTF-8"),
        ("evaluate {generate} {other.txt} --label x", "--label does not apply to a 'generate' model"),
        ("evaluate {generate} {other.txt} --no-header", "--no-header does not apply to a 'generate' model"),
        ("evaluate {generate} {other.txt} --backtest 2", "--backtest is for forecasts"),
        ("evaluate {chat} {pairs.tsv} --adapt", "--adapt does not apply to a 'chat' model"),
        ("evaluate {chat} {pairs.tsv} {pairs.tsv}", "on one file"),
        ("predict {classify}", "model needs input"),
        ("predict {classify} nope.csv", "nope.csv does not exist"),
        ("predict {classify} {reviews.csv} --plot x.png", "--plot does not apply to a 'classify' model"),
        ("predict {classify} {reviews.csv} --count 2", "--count does not apply to a 'classify' model"),
        ("predict {classify} 'a text' --at-least 2", "at_least must be a probability from 0 to 1, not 2.0"),
        ("predict {generate} text --at-least 0.5", "--at-least does not apply to a 'generate' model"),
        ("predict {classify} 'a text' --output nowhere/labels.tsv", "nowhere/labels.tsv"),
        ("predict {forecast} --plot x.bmp", ".png"),
        ("predict {forecast} --future {other.csv}", "this model has no covariates known ahead"),
        ("predict {forecast} --against {other.csv}", "against is a second plan beside future"),
        ("predict {forecast} --components --horizon 9", "components cover the 6 steps of training's horizon"),
        ("predict {forecast} --horizon 0", "horizon must be a whole number"),
        ("predict {chat} hello --future a.csv", "--future does not apply to a 'chat' model"),
        ("predict {generate}", "model needs input"),
        ("predict {generate} text --plot x.png", "--plot does not apply to a 'generate' model"),
        ("predict {chat} hello --plot a.png", "--plot does not apply to a 'chat' model"),
        ("predict {chat}", "model needs input"),
        ("generate {classify} a", "a 'classify' model writes no text: use predict"),
        ("generate {classify} a --top-k 2", "--top-k does not apply to a 'classify' model"),
        ("generate {generate} --temperature -1", "temperature"),
        ("generate {generate} --top-p 0", "top_p"),
        ("generate {generate} --length -1", "length"),
        ("generate {generate} --seed 99999999999999999999", "seed"),
        ("generate {chat} hello --temperature 1", "--temperature does not apply to a 'chat' model"),
        ("generate nope", "there is no model at"),
    ],
)
def test_wrong_calls(refused: Callable[..., None], line: str, sentence: str) -> None:
    refused(line, sentence)


def test_a_damaged_model_is_said_to_be_damaged(
    refused: Callable[..., None], trained: Trained, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in trained("classify").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    refused("predict copy 'a text'", "model.safetensors is damaged", code=1)


def test_many_recordings_show_how_many_are_done(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        save(tmp_path, name, sentence("one two", 5), RATE)
    ours, terminal = pty.openpty()
    command = [sys.executable, "-m", "elman", "predict", str(SAVED / "transcribe"), str(tmp_path)]
    with os.fdopen(terminal, "wb") as stream:
        done = subprocess.run([*command, "--output", "out.txt"], cwd=tmp_path, stderr=stream, timeout=120)
    shown = os.read(ours, 100_000).decode()
    assert done.returncode == 0 and "answering" in shown and "100%" in shown
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines] == ["one two"] * 2


def test_the_answers_behind_the_scores_are_written(run: Run) -> None:
    done = run("evaluate {classify} {reviews.csv} --output all.csv --errors wrong.jsonl --plot p.svg --json")
    with Path("all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = [row for row in rows if row["label"] != row["prediction"]]
    worst = [json.loads(line) for line in Path("wrong.jsonl").read_text().splitlines()]
    assert sorted(row["text"] for row in worst) == sorted(row["text"] for row in wrong)
    shares = [row["probability"] for row in worst]
    assert shares == sorted(shares, reverse=True)
    assert Path("p.svg").read_text().startswith("<?xml")
    by_label = json.loads(done.out)["by"]["label"]
    assert sum(one["support"] for one in by_label) == len(rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--output a.xlsx", "a table is written as .csv, .tsv, .jsonl or .parquet"),
        ("--errors missing/a.csv", "can't be written"),
        ("--output a.csv --plot a.gif", "a picture is drawn as .png or .svg"),
        ("--plot missing/a.png", "can't be written"),
        ("--output {reviews.csv}", "is the input itself"),
        ("--output a.csv --errors ./a.csv", "a.csv is given for two outputs: name two files"),
        ("--output {classify}/answers.csv", "lies in the folder of the model: name a file elsewhere"),
    ],
)
def test_answers_that_have_no_place(run: Run, options: str, message: str) -> None:
    done = run(f"evaluate {{classify}} {{reviews.csv}} {options}")
    assert done.code == 2 and message in done.err and not done.out
    assert not any(Path(name).exists() for name in ("a.csv", "a.gif", "a.xlsx"))


def test_a_task_without_a_picture_of_its_answers(run: Run) -> None:
    done = run("evaluate {chat} {pairs.tsv} --plot p.png")
    assert done.code == 2 and "--plot is for forecasts and labels" in done.err
