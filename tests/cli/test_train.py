"""`elman train TASK`: its options come from the rows of settings and reach `fit`; then it prints scores."""

import inspect
import json
import os
import re
from collections.abc import Callable
from dataclasses import MISSING
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest

from command_line import Call, Done, Run, Trained
from elman.errors import DataError, TrainingError
from elman.settings import Row, rows
from elman.tasks import TASKS, task_class
from elman.training.plan import Plan

CLASSIFY = "train classify {reviews.csv} --text review --label stars"
# What each task can't do without.
NEEDED = {task: "--horizon 6" if task == "forecast" else "" for task in TASKS}
GIVEN: dict[str, dict[str, Any]] = {task: {"horizon": 6} if task == "forecast" else {} for task in TASKS}


def settings_of(task: str) -> Any:
    return import_module(f"elman.tasks.{task}.settings").Settings


def all_rows(task: str) -> dict[str, tuple[Row, Any]]:
    settings = settings_of(task)
    return rows(settings.ARGUMENTS) | rows(settings) | rows(Plan)


class Scores:
    def __init__(self, accuracy: float) -> None:
        self.accuracy = accuracy

    def __str__(self) -> str:
        return f"accuracy {self.accuracy}"

    def to_dict(self) -> dict[str, float]:
        return {"accuracy": self.accuracy}


class Recorder:
    """A task that is trained at once: it keeps the arguments of its calls."""

    validation = Scores(0.5)
    failure: ClassVar[TrainingError | None] = None
    fits: ClassVar[list[tuple[Any, dict[str, Any]]]]
    checks: ClassVar[list[tuple[Any, dict[str, Any]]]]
    tests: ClassVar[list[tuple[Any, dict[str, Any]]]]

    @classmethod
    def check_data(cls, test: Any, data: Any = None, **options: Any) -> None:
        if test == "missing.csv":
            raise DataError("missing.csv does not exist")
        cls.checks.append((test, options | {"data": data}))

    @classmethod
    def fit(cls, data: Any, **options: Any) -> "Recorder":
        cls.fits.append((data, options))
        return cls()

    def evaluate(self, data: Any, **options: Any) -> Scores:
        if data == "wrong.csv":
            raise DataError("wrong.csv does not exist")
        self.tests.append((data, options))
        return Scores(0.25)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> type[Recorder]:
    class Fresh(Recorder):
        fits: ClassVar = []
        checks: ClassVar = []
        tests: ClassVar = []

    monkeypatch.setattr("elman.cli.train.task_class", lambda task: Fresh)
    monkeypatch.setattr("elman.tasks.early.first_look", lambda *_: None)  # at files that there are not
    return Fresh


@pytest.fixture
def model(trained: Trained) -> Path:
    """A classifier, which is trained before a recorder takes the place of its class."""
    return trained("classify")


def fitted(recorder: type[Recorder]) -> dict[str, Any]:
    """The options of the only call of `fit`, less those of every run."""
    ((_, options),) = recorder.fits
    return {name: value for name, value in options.items() if name not in ("folder", "resume", "progress")}


# ---- options


@pytest.mark.parametrize("task", TASKS)
def test_every_row_is_an_option_with_its_help_and_default(
    run: Run, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    done = run(f"train {task} --help")
    assert done.code == 0
    lines = {
        match[1]: line for line in done.out.splitlines() if (match := re.search(r" --([a-z0-9-]+)", line))
    }
    derived = settings_of(task).DERIVED
    for name, (row, default) in all_rows(task).items():
        line = lines[name.replace("_", "-")]
        assert row.help in line
        if default is MISSING:
            assert "[required]" in line
        elif name in derived:
            assert "[default: from the data]" in line
        elif row.default:
            assert f"[default: {row.default}]" in line
        elif isinstance(default, tuple):
            assert f"[default: {','.join(map(str, default)) or 'none'}]" in line
        elif row.kind is bool:
            assert f"--no-{name.replace('_', '-')}" in line
            assert f"[default: {'true' if default else 'false'}]" in line
        else:
            assert f"[default: {'none' if default is None else default}]" in line
    assert {"test", "save", "resume", "force", "set", "json"} <= lines.keys()


def spelled(name: str, row: Row, default: Any) -> tuple[str, Any]:
    """An option on the command line with another value than its default, and the value that `fit` gets."""
    option = f"--{name.replace('_', '-')}"
    if row.kind is bool:
        return (f"--no-{option[2:]}", False) if default else (option, True)
    if row.kind is list:
        return f"{option} a {option} b", ["a", "b"]
    if row.kind is tuple:
        return f"{option} 0.05,0.5", (0.05, 0.5)
    if row.kind is int:
        return f"{option} 301", 301
    if row.kind is float:
        return f"{option} 0.25", 0.25
    if default is not None and row.holds(None):
        return f"{option} none", None
    words = re.findall(r"[\w-]+", row.range().removeprefix("one of")) or ["a_word"]
    word = next(word for word in words if word != default and row.holds(word))
    return f"{option} {word}", word


@pytest.mark.parametrize("task", TASKS)
def test_the_value_of_every_option_reaches_fit(run: Run, recorder: type[Recorder], task: str) -> None:
    options = {name: spelled(name, *row) for name, row in all_rows(task).items()}
    done = run(f"train {task} data.csv " + " ".join(text for text, _ in options.values()))
    assert done.code == 0, done.err
    assert fitted(recorder) == {name: value for name, (_, value) in options.items()}


@pytest.mark.parametrize("task", TASKS)
def test_what_is_not_given_is_left_to_fit(run: Run, recorder: type[Recorder], task: str) -> None:
    assert run(f"train {task} data.csv {NEEDED[task]}").code == 0
    ((data, options),) = recorder.fits
    assert data == "data.csv"
    assert options == GIVEN[task] | {"folder": Path(f"runs/{task}-data"), "resume": False, "progress": True}


@pytest.mark.parametrize("task", TASKS)
def test_options_are_arguments_of_fit(task: str) -> None:
    parameters = inspect.signature(task_class(task).fit).parameters  # type: ignore[attr-defined]
    assert {*rows(settings_of(task).ARGUMENTS), "folder", "resume", "progress"} <= parameters.keys()


def test_none_is_a_number_left_to_the_data(run: Run, refused: Callable[..., None], recorder: type) -> None:
    run("train forecast data.csv --horizon 2 --minutes none --max-steps NULL --context none --hidden 4")
    assert fitted(recorder) == {
        "horizon": 2,
        "minutes": None,
        "max_steps": None,
        "context": None,
        "hidden": 4,
    }
    refused("train classify data.csv --minutes ten --force", "'ten' is not a number or none")
    refused("train classify data.csv --max-steps 2.5 --force", "'2.5' is not an integer or none")
    refused("train classify data.csv --epochs none --force", "Invalid value for '--epochs'")


def test_none_and_lists(run: Run, recorder: type[Recorder]) -> None:
    run("train classify data.csv --class-weights none --label none --force")
    assert fitted(recorder) == {"class_weights": None, "label": "none"}
    recorder.fits.clear()
    run("train forecast data.csv --horizon 2 --quantiles 0.05,0.5,0.95 --future sun --static town --force")
    options = {"horizon": 2, "quantiles": (0.05, 0.5, 0.95), "future": ["sun"], "static": ["town"]}
    assert fitted(recorder) == options
    recorder.fits.clear()
    run("train forecast data.csv --horizon 2 --quantiles 0.5 --force")
    assert fitted(recorder) == {"horizon": 2, "quantiles": 0.5}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("dropout=0.3", 0.3),
        ("hidden=16", 16),
        ("pooling=mean+max", "mean+max"),
        ("bidirectional=true", True),
        ("class_weights=null", None),
        ("quantiles=0.1,0.9", (0.1, 0.9)),
        ("quantiles=[0.1,0.9]", (0.1, 0.9)),
        ("columns=a,b", ("a", "b")),
        ("path=a=b", "a=b"),
        ("word=", ""),
    ],
)
def test_set_reads_json_lists_and_words(run: Run, recorder: type[Recorder], text: str, value: Any) -> None:
    assert run(f"train classify data.csv --hidden 3 --set {text}").code == 0
    assert fitted(recorder) == {"hidden": 3, text.partition("=")[0]: value}


@pytest.mark.parametrize("text", ["dropout", "=0.3", "drop out=0.3", "--=1"])
def test_set_takes_a_name_and_a_value(refused: Callable[..., None], text: str) -> None:
    refused(f"train classify data.csv --set '{text}'", "--set takes NAME=VALUE, such as dropout=0.3")


def test_two_files(run: Run, recorder: type[Recorder]) -> None:
    run("train translate a.x a.y --valid v.x,v.y --test t.x,t.y --source un --force")
    ((data, options),) = recorder.fits
    assert data == ("a.x", "a.y")
    assert options["valid"] == ("v.x", "v.y") and options["source"] == "un"
    assert options["folder"] == Path("runs/translate-a")
    assert recorder.tests == [(("t.x", "t.y"), {})]
    Path("v,w.tsv").write_text("un\tone\n")
    run("train translate a.tsv --valid v,w.tsv --test a.tsv --force")
    assert recorder.fits[1][1]["valid"] == "v,w.tsv"
    assert recorder.tests[1] == ("a.tsv", {})
    run("train classify a.csv --valid b,c --force")
    assert recorder.fits[2][1]["valid"] == "b,c"
    assert run("train classify a.x a.y").code == 2


# ---- scores


def test_scores_on_test_data_read_as_the_training_data_were(run: Run, recorder: type[Recorder]) -> None:
    done = run("train classify data.csv --no-header --text 1 --label 2 --test new.csv --save m")
    assert done.out == "accuracy 0.5\n\nOn new.csv:\naccuracy 0.25\n\nSaved in m\n"
    assert fitted(recorder) == {"header": False, "text": "1", "label": "2"}
    assert recorder.tests == [("new.csv", {"header": False})]


def test_json_is_one_object_without_progress(run: Run, recorder: type[Recorder]) -> None:
    out = run("train classify data.csv --test new.csv --json").out
    scores = {"validation": {"accuracy": 0.5}, "test": {"accuracy": 0.25}}
    assert json.loads(out) == {"model": "runs/classify-data"} | scores
    assert recorder.fits[0][1]["progress"] is False


def test_a_training_is_not_lost_because_the_test_data_are_wrong(run: Run, recorder: type[Recorder]) -> None:
    done = run("train classify data.csv --test wrong.csv")
    assert done == Done(2, "accuracy 0.5\n\nSaved in runs/classify-data\n", "elman: wrong.csv does not exist")


def test_test_data_are_looked_at_before_the_training(
    run: Run, refused: Callable[..., None], recorder: type[Recorder]
) -> None:
    run("train classify data.csv --no-header --text 1 --test new.csv")
    assert recorder.checks == [("new.csv", {"header": False, "text": "1", "data": "data.csv"})]
    refused("train classify data.csv --test missing.csv --save m", "missing.csv does not exist")
    refused(
        "train classify - --test - --save m", "standard input can be read only once: name a file for --test"
    )
    os.mkfifo("pipe")
    assert run("train classify data.csv --test pipe --save m").code == 0  # its text comes once
    assert [data for data, _ in recorder.fits] == ["data.csv", "data.csv"]
    assert [data for data, _ in recorder.checks] == ["new.csv"]
    assert recorder.tests[-1][0] == "pipe"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (f"{CLASSIFY} --test nope.csv", "nope.csv does not exist"),
        (f"{CLASSIFY} --test {{sales.csv}}", "no column 'review'"),
        (f"{CLASSIFY} --valid nope.csv", "nope.csv does not exist"),
        ("train forecast {sales.csv} --horizon 6 --value sales --test {reviews.csv}", "no column 'month'"),
        (f"{CLASSIFY} --test {{lists.jsonl}}", "holds lists; give text"),
        (f"{CLASSIFY} --test {{unknown.csv}}", "the label 'odd' in column 'stars' is not among those"),
        ("train forecast {sales.csv} --horizon 6 --test {other.csv}", "no column 'sales'"),
        ("train translate {words.csv} --test {other.csv}", "no column"),
        ("train generate {text.txt} --test {latin.txt}", "is not UTF-8"),
        ("train generate {text.txt} --test {reviews.csv}", "no column 'text'"),
        ("train translate {a.x} {a.y} --test {two.x},{one.y}", "2 lines"),
        ("train chat {pairs.tsv} --test {empty.jsonl}", "empty"),
        (f"{CLASSIFY} --save {{reviews.csv}}/m", "can't be written"),
    ],
)
def test_wrong_test_data_and_folders_fail_before_the_training(
    monkeypatch: pytest.MonkeyPatch, run: Run, line: str, sentence: str
) -> None:
    monkeypatch.setattr("elman.training.loop.Run.__iter__", lambda run: pytest.fail("it trains"))
    done = run(f"{line} --hidden 8 --epochs 1")
    assert sentence in done.err and done.code in (1, 2) and done.out == ""
    assert not Path("runs").exists()


def test_a_training_that_had_to_stop_has_failed(
    run: Run, recorder: type[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "failure", TrainingError("the loss became NaN"))
    done = run("train classify data.csv")
    assert done == Done(1, "accuracy 0.5\n\nSaved in runs/classify-data\n", "elman: the loss became NaN")


def test_only_the_first_process_scores_and_prints(
    run: Run, recorder: type[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run("train classify data.csv --test new.csv").out == ""
    assert recorder.fits and not recorder.tests
    monkeypatch.delenv("WORLD_SIZE")  # left behind by a cluster, a rank alone silences nothing
    assert run("train classify data.csv --test new.csv --force").out and recorder.tests


# ---- the folder of the model


def test_phrases_need_no_data_and_name_the_folder(run: Run, recorder: type[Recorder]) -> None:
    run("train transcribe --phrases deep/commands.txt --adapt own --language de")
    data, options = recorder.fits[0]
    assert data is None and options["folder"] == Path("runs/transcribe-commands")
    assert (options["phrases"], options["adapt"], options["language"]) == ("deep/commands.txt", "own", "de")


def test_a_run_in_the_folder_is_continued_or_replaced_only_when_told(
    run: Run, refused: Callable[..., None], model: Path, recorder: type[Recorder]
) -> None:
    refused(f"{CLASSIFY} --save {{classify}}", "already holds a model: choose another --save, or --force")
    run("train classify data.csv --save {classify} --force")
    Path("unfinished").mkdir()
    Path("unfinished/checkpoint.pt").touch()
    refused("train classify data.csv --save unfinished", "unfinished holds an unfinished run: --resume to")
    run("train classify data.csv --save unfinished --resume")
    for file in model.iterdir():
        Path("unfinished", file.name).write_bytes(file.read_bytes())
    sentence = "unfinished holds the best model of an unfinished run: --resume continues it, --force starts"
    refused("train classify data.csv --save unfinished", sentence)
    run("train classify data.csv --save unfinished --force")
    assert [options["resume"] for _, options in recorder.fits] == [False, True, False]


# ---- real trainings


@pytest.mark.parametrize("task", TASKS)
def test_a_model_of_every_task(trained: Trained, task: str) -> None:
    names = {path.name for path in trained(task).iterdir()}
    assert {"config.json", "model.safetensors", "README.md", "metrics.jsonl"} <= names
    assert "checkpoint.pt" not in names


def test_test_data_of_a_table_without_header(run: Run, data: Path) -> None:
    headless = (data / "reviews.csv").read_text().partition("\n")[2]
    Path("headless.csv").write_text(headless)
    line = (
        "train classify headless.csv --no-header --text 1 --label 2 --test headless.csv --epochs 1 --hidden 8"
    )
    done = run(f"{line} --json")
    assert json.loads(done.out)["test"]["rows"] == headless.count("\n") + 1


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("train classify nope.csv", "nope.csv does not exist"),
        ("train classify {reviews.csv}", "no column 'text'"),
        ("train classify {reviews.csv} --text review --label star", "no column 'star'"),
        (f"{CLASSIFY} --hidden -1", "hidden"),
        (f"{CLASSIFY} --cell lstn", "lstn"),
        (f"{CLASSIFY} --set hiden=8", "did you mean 'hidden'?"),
        (f"{CLASSIFY} --set longest=8", "there is no setting 'longest'; it is called 'crop' now"),
        (f"{CLASSIFY} --set average=0.8", "there is no setting 'average'; it is called 'ema_decay' now"),
        (f"{CLASSIFY} --set dropout", "NAME=VALUE"),
        (f"{CLASSIFY} --set folder=x", "which folder is not"),
        (f"{CLASSIFY} --set label=x", "which label is not"),
        (f"{CLASSIFY} --set epochs=0", "epochs"),
        (f"{CLASSIFY} --save {{reviews.csv}}", "is a file"),
        ("train forecast {sales.csv}", "horizon"),
        ("train forecast {sales.csv} --horizon 0", "horizon"),
        ("train forecast {sales.csv} --horizon 6 --value sold", "sold"),
        ("train forecast {reviews.csv} --horizon 6", "reviews.csv"),
        ("train generate nope.txt", "nope.txt does not exist"),
        ("train generate {latin.txt}", "is not UTF-8"),
        ("train generate {empty.txt}", "empty.txt is empty"),
        ("train generate {other.txt} --tokenizer letters", "tokenizer must be one of auto, "),
        ("train generate {other.txt} --set temperature=1", "temperature"),
        ("train generate {other.txt} --set loudness=2", "it is called 'logit_scale' now"),
        ("train generate {other.txt} --save {generate}", "already holds a model"),
        ("train transcribe", "there is nothing to learn from: give recordings, or phrases"),
        ("train transcribe --phrases nope.txt", "nope.txt does not exist"),
        ("train transcribe {recordings.csv} --phrases nope.txt --save x", "recordings of them with adapt"),
        ("train chat {bad.jsonl} --save x", "line 2"),
        ("train chat {empty.jsonl} --save x", "empty"),
        ("train chat {pairs.tsv} --save x --set hiden=3", "did you mean 'hidden'"),
        ("train chat {pairs.tsv} --save x --set surprise=3", "it is called 'mmi_weight' now"),
        ("train translate {two.x}", "two.x has no tabs, so no translations; give the file of translations"),
        ("train translate {two.x} {one.y} --save x", "2 lines"),
        ("train translate {pairs.tsv} --source nope --target answer --save x", "nope"),
        ("train translate {pairs.tsv} --hidden 7", "hidden must be an even whole number"),
    ],
)
def test_wrong_calls(refused: Callable[..., None], line: str, sentence: str) -> None:
    refused(line, sentence)


def test_other_mistakes_come_before_that_of_the_folder(run: Run, refused: Callable[..., None]) -> None:
    refused(f"{CLASSIFY} --label nope --save {{classify}}", "no column 'nope'")
    refused(f"{CLASSIFY} --test nope.csv --save {{classify}}", "nope.csv does not exist")


def test_a_run_to_resume_that_there_is_not(refused: Callable[..., None]) -> None:
    refused(f"{CLASSIFY} --resume", "resume", code=1)


def test_bad_rows_are_skipped_on_request_and_counted(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    lines = [f"{'good' if i % 2 else 'bad'} text {i},{i % 2}" for i in range(40)]
    Path("a.csv").write_text("\n".join(["text,label", *lines[:9], "no label,", *lines[9:], "a,b,c"]) + "\n")
    quick = ("--epochs", "1", "--hidden", "8", "--save", "model", "--json")
    code, _, err = call("train", "classify", "a.csv", *quick)
    assert code == 2
    assert "row 43 has 3 fields" in err
    code, out, _ = call("train", "classify", "a.csv", "--skip-bad", "--test", "a.csv", *quick)
    assert code == 0
    warnings = [message.split(";")[0] for message in caplog.messages]
    assert warnings == ["skipped 2 of 42 rows of a.csv"] * 2  # the training data and the test data
    assert "the first: a.csv, row 11: column 'label' is empty" in caplog.messages[0]
    assert "accuracy" in json.loads(out)["test"]["scores"]
    assert call("evaluate", "model", "a.csv")[0] == 2
    assert call("evaluate", "model", "a.csv", "--skip-bad")[0] == 0


def test_bad_pairs_of_the_test_data_are_warned_of_once(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    Path("a.tsv").write_text("".join(f"word {i}\tmot {i}\n" for i in range(40)) + "alone\n")
    quick = ("--epochs", "1", "--hidden", "8", "--embedding", "8", "--vocabulary", "300", "--save", "model")
    assert call("train", "translate", "a.tsv", "--skip-bad", "--test", "a.tsv", *quick)[0] == 0
    assert [message.split(";")[0] for message in caplog.messages] == ["skipped 1 of 41 rows of a.tsv"] * 2
