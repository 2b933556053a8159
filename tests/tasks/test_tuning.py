"""Tuning with trainings that take no time, and once with real ones."""

import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import elman
from elman.artifact import TUNING_FILES
from elman.errors import DataError, TrainingError, UsageError
from elman.settings import rows
from elman.tasks import TASKS, task_class, tuning
from elman.tasks.classify.classifier import Classifier
from elman.tasks.tuning import searched, tune
from elman.training.plan import Plan
from labelled_texts import QUICK, order_matters

pytest.importorskip("optuna")
KEYS = {"hidden", "dropout", "embedding_dropout", "phrase", "learning_rate"}


class Clock:
    """A clock that a training moves on."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Fits:
    """In place of `Classifier.fit`: the nearer dropout is to 0.6, the better."""

    def __init__(self, clock: Clock, seconds: float = 10.0) -> None:
        self.clock, self.seconds, self.calls = clock, seconds, list[dict[str, Any]]()
        self.fingerprint, self.saved, self.fails = "f", list[float](), dict[int, Exception]()

    def __call__(self, data: Any, **options: Any) -> Any:
        self.calls.append(options)
        self.clock.now += min(self.seconds, 60 * options["minutes"])
        if (error := self.fails.get(len(self.calls) - 1)) is not None:
            raise error
        score = 1 - abs(options.get("dropout", 0.5) - 0.6)

        def save(folder: Path, overwrite: bool) -> None:
            (folder / "config.json").write_text('{"elman": 1}')
            self.saved.append(score)

        return SimpleNamespace(
            source={"fingerprint": self.fingerprint},
            validation=SimpleNamespace(
                scores={"accuracy": score},
                notes=("the minutes ended the training after 3 steps",)
                if self.seconds > 60 * options["minutes"]
                else (),
            ),
            failure=None,
            save=save,
            chosen_score=lambda: ("accuracy", False),
        )


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    clock = Clock()
    made = Fits(clock)
    monkeypatch.setattr(tuning, "time", clock)
    monkeypatch.setattr(Classifier, "fit", made)
    monkeypatch.setattr(tuning, "load", lambda folder: f"loaded from {folder}")
    return made


def test_defaults_first_then_settings_in_their_ranges(fits: Fits) -> None:
    found = tune("classify", "x.csv", minutes=2, text="review", progress=False)
    assert len(found.trials) == len(fits.calls) == 12, "a trial takes a sixth of a minute"
    assert fits.calls[0] == {"text": "review", "minutes": pytest.approx(1 / 3), "progress": False}
    assert found.trials[0].settings == {}
    searches = searched("classify", {})
    for trial, call in zip(found.trials[1:], fits.calls[1:], strict=True):
        assert set(trial.settings) == KEYS
        assert {key: call[key] for key in KEYS} == trial.settings
        for key, value in trial.settings.items():
            one = searches[key]
            assert value in one.values if one.values else one.low <= value <= one.high
    assert len({trial.settings["dropout"] for trial in found.trials[1:]}) > 8
    best = max(trial.score or 0 for trial in found.trials)
    assert found.best.score == found.model.validation.scores["accuracy"] == best > found.trials[0].score
    assert (found.score, found.lower, found.task) == ("accuracy", False, "classify")


def test_the_minutes_are_kept(fits: Fits) -> None:
    fits.seconds = 47.0
    tune(Classifier, "x.csv", minutes=6, progress=False)
    assert fits.clock.now <= 360
    assert len(fits.calls) == 7
    fits.calls.clear()
    fits.seconds = 1000.0
    started = fits.clock.now
    found = tune(Classifier, "x.csv", minutes=6, progress=False)
    assert "Note: the minutes cut 6 of 6 trials short: give more, or train in full" in str(found)
    assert fits.clock.now - started == pytest.approx(360), "each is held to a sixth"
    assert [call["minutes"] for call in fits.calls] == pytest.approx([1.0] * 6)


def test_settings_that_are_given_are_not_tried(fits: Fits) -> None:
    found = tune("classify", "x.csv", minutes=1, dropout=0.1, hidden=8, progress=False)
    assert all(set(trial.settings) == KEYS - {"dropout", "hidden"} for trial in found.trials[1:])
    assert all((call["dropout"], call["hidden"]) == (0.1, 8) for call in fits.calls)


def test_a_tuning_goes_on_as_if_it_had_not_stopped(fits: Fits, tmp_path: Path) -> None:
    whole = tune("classify", "x.csv", minutes=2, folder=tmp_path / "a", progress=False)
    part = tune("classify", "x.csv", minutes=1, folder=tmp_path / "b", progress=False)
    assert len(part.trials) == 6
    with (tmp_path / "b" / TUNING_FILES[0]).open("ab") as file:
        file.write(b'{"op_code": 4, "trial')  # a line that a kill has torn
    (tmp_path / "b" / TUNING_FILES[1]).symlink_to("nowhere")
    rest = tune("classify", "x.csv", minutes=1, folder=tmp_path / "b", resume=True, progress=False)
    assert [trial.settings for trial in rest.trials] == [trial.settings for trial in whole.trials]
    assert rest.trials[:6] == part.trials
    improving = [trial.score for k, trial in enumerate(whole.trials) if trial.score > max(
        (before.score or 0 for before in whole.trials[:k]), default=0)]  # fmt: skip
    assert fits.saved[: len(improving)] == improving, "only what is better than all before is saved"


def test_a_trial_that_was_killed_is_made_again(fits: Fits, tmp_path: Path) -> None:
    for stops in (0, 2):
        fits.calls.clear()
        fits.fails = {stops: KeyboardInterrupt()}  # type: ignore[dict-item]
        with pytest.raises(KeyboardInterrupt):
            tune("classify", "x.csv", minutes=2, folder=tmp_path / str(stops), progress=False)
        killed, fits.fails = fits.calls[-1], {}
        found = tune(
            "classify", "x.csv", minutes=1, folder=tmp_path / str(stops), resume=True, progress=False
        )
        assert found.trials[stops].settings == {key: killed[key] for key in KEYS if key in killed}
        assert [bool(trial.settings) for trial in found.trials][:2] == [False, True]


def test_a_kill_between_any_two_lines_of_the_journal_can_be_resumed(fits: Fits, tmp_path: Path) -> None:
    whole = tune("classify", "x.csv", minutes=1, folder=tmp_path / "a", progress=False)
    lines = (tmp_path / "a" / TUNING_FILES[0]).read_bytes().splitlines(keepends=True)
    for count in range(len(lines) - 12, len(lines)):  # those of the last two trials
        folder = tmp_path / str(count)
        folder.mkdir()
        (folder / TUNING_FILES[0]).write_bytes(b"".join(lines[:count]))
        rest = tune("classify", "x.csv", minutes=1, folder=folder, resume=True, progress=False)
        settings = [trial.settings for trial in whole.trials]
        assert [trial.settings for trial in rest.trials[: len(settings)]] == settings


def test_what_a_folder_holds_is_replaced_only_on_demand(fits: Fits, tmp_path: Path) -> None:
    call = {"minutes": 1.0, "progress": False, "folder": tmp_path / "run"}
    tune("classify", "x.csv", **call)
    journal = (tmp_path / "run" / TUNING_FILES[0]).read_bytes()
    with pytest.raises(UsageError, match="holds a tuning: give resume=True to go on, or overwrite=True"):
        tune("classify", "x.csv", **call)
    assert (tmp_path / "run" / TUNING_FILES[0]).read_bytes() == journal
    assert len(tune("classify", "x.csv", overwrite=True, **call).trials) == 6


def test_labels_in_memory_are_data(fits: Fits) -> None:
    tune("classify", ["a", "b"], labels=["x", "y"], minutes=1, progress=False)
    assert fits.calls[0]["labels"] == ["x", "y"]


def test_a_trial_may_fail_but_not_the_first(fits: Fits, capsys: pytest.CaptureFixture[str]) -> None:
    fits.fails = {1: TrainingError("the loss became NaN")}
    found = tune("classify", "x.csv", minutes=1)
    assert (found.trials[1].score, found.trials[1].failure) == (None, "the loss became NaN")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "trial 0: defaults: accuracy 0.9000, best 0.9000, in 10 s"
    assert "failed (the loss became NaN), best 0.9000, in 10 s" in lines[1]
    fits.fails, fits.calls = {0: TrainingError("the loss became NaN")}, []
    with pytest.raises(TrainingError, match="NaN"):
        tune("classify", "x.csv", minutes=1)


def test_what_is_no_tuning(fits: Fits, tmp_path: Path) -> None:
    call = {"minutes": 1.0, "progress": False}
    for options, sentence in (
        ({"hiden": 3}, "there is no setting 'hiden'; did you mean 'hidden'"),
        ({"hidden": -3}, "hidden must be"),
        (
            dict.fromkeys(KEYS, 0.0) | {"hidden": 8, "phrase": 0, "learning_rate": 0.1},
            "there is nothing to try",
        ),
        ({"minutes": 0}, "minutes must be a number above 0, not 0"),
        ({"resume": True}, "name the folder of the tuning to resume"),
        ({"resume": True, "folder": tmp_path}, "holds no tuning to resume"),
    ):
        with pytest.raises(UsageError, match=sentence):
            tune("classify", "x.csv", **call | options)
    with pytest.raises(UsageError, match="there is no task 'clasify'; did you mean 'classify'"):
        tune("clasify", "x.csv", **call)
    with pytest.raises(UsageError, match="standard input can be read only once"):
        tune("classify", "-", **call)
    assert not list(tmp_path.iterdir())
    fits.fails = {0: DataError("x.csv does not exist")}
    with pytest.raises(DataError, match=r"x\.csv does not exist"):
        tune("classify", "x.csv", folder=tmp_path / "runs" / "one", **call)
    assert not list(tmp_path.iterdir()), "a mistake leaves nothing"
    fits.fails = {}
    tune("classify", "x.csv", folder=tmp_path / "run", **call)
    with pytest.raises(UsageError, match=r"began with options \{\}, not \{\"layers\": 2\}"):
        tune("classify", "x.csv", folder=tmp_path / "run", resume=True, layers=2, **call)
    fits.fingerprint = "other"
    with pytest.raises(DataError, match="the data have changed since the tuning began"):
        tune("classify", "x.csv", folder=tmp_path / "run", resume=True, **call)


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"needs the package optuna: pip install 'elman\[tune\]'"):
        tune("classify", "x.csv", minutes=1)


@pytest.mark.parametrize("task", TASKS)
def test_what_is_tried_lies_in_the_range_of_its_setting(task: str) -> None:
    cls = task_class(task)
    searches = searched(task, {})
    assert 3 <= len(searches) <= 6
    for name, search in searches.items():
        row, _ = (rows(cls.SETTINGS) | rows(Plan))[name]
        assert all(map(row.holds, search.values or (search.low, search.high)))
        assert str(search)
    score, lower = cls.SCORE
    assert isinstance(lower, bool)
    scored = {one.name for one in fields(cls.EVALUATION)}
    assert "scores" in scored
    assert score


def test_the_page_says_what_is_tried() -> None:
    page = (Path(__file__).parents[2] / "docs/tuning.md").read_text()
    for task in TASKS:
        listed = "; ".join(f"`{name}`: {search}" for name, search in searched(task, {}).items())
        assert f"| `{task}` | {listed} |\n" in page


def test_the_score_that_decides_follows_the_settings() -> None:
    rows_, options = order_matters(30), QUICK | {"epochs": 1}
    assert Classifier.fit(rows_, **options).chosen_score() == ("accuracy", False)
    balanced = Classifier.fit(rows_, **options, class_weights="balanced")
    assert balanced.chosen_score() == ("macro_f1", False)
    several = [row | {"label": [row["label"]]} for row in rows_]
    model = Classifier.fit(several, **options)
    assert model.chosen_score() == ("micro_f1", False)
    assert model.chosen_score()[0] in model.validation.scores


KILLED = """
import elman, sys
sys.path.insert(0, {helpers!r})
from labelled_texts import QUICK, order_matters
elman.tune("classify", order_matters(60), minutes=5, folder="run", epochs=1, **QUICK | {{"progress": True}})
"""


def test_a_tuning_survives_being_killed(tmp_path: Path) -> None:
    helpers = str(Path(__file__).parents[1] / "helpers")
    call = [sys.executable, "-c", KILLED.format(helpers=helpers)]
    process = subprocess.Popen(call, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(2)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert all(line.startswith(f"trial {k}: ") for k, line in enumerate(lines))
    options = {name: value for name, value in QUICK.items() if name != "progress"} | {"epochs": 1}
    found = elman.tune(
        "classify", order_matters(60), minutes=0.1, folder=tmp_path / "run", resume=True, **options
    )
    assert len(found.trials) >= 2
    model = elman.load(tmp_path / "run")
    assert model.validation.scores["accuracy"] == found.best.score
    assert model.predict("it was good") == found.model.predict("it was good")
