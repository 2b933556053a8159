"""Tuning: the settings that matter, tried within some minutes and compared on the held-out data.

The first trial has the defaults. Where the others look is said by the rows of the settings (`Row.search`).
What to try next is chosen by optuna's tree-structured Parzen estimator (TPE, Bergstra et al. 2011), whose
first ten trials are random. Trials are written to a journal as they end, so that a tuning can be killed and
resumed.
"""

import importlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from elman import artifact, lock
from elman.artifact import TUNING_FILES
from elman.atomic import as_path, writing
from elman.errors import ArtifactError, DataError, ElmanError, TrainingError, UsageError, suggestion
from elman.settings import Search, is_number, rows
from elman.tasks import TASKS, load, task_class
from elman.tasks.evaluation import was_cut
from elman.tasks.settings import split_choices
from elman.tasks.trials import DEFAULTS, Trial, Tuning, sign
from elman.training.plan import Plan
from elman.training.progress import duration
from elman.training.stderr import say, silenced

SHARE: Final = 1 / 6  # of the minutes that one trial may take, so that there is something to compare
JOURNAL: Final = TUNING_FILES[0]
RESULT: Final = "result"  # of a trial, in the journal


def tune(
    task: Any,
    data: Any,
    *,
    minutes: float,
    folder: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> Tuning:
    """Try the settings that matter for a task, and keep the model with the best score on the held-out data.
    These are those on which every training chooses its best epoch; no test data are looked at.

    Args:
        task: a class such as `elman.Classifier`, or a name such as "classify".
        data: as for its `fit`, but no standard input, since each trial reads it.
        minutes: for all trials of this call. Each, also the one with the defaults, is given at most a sixth
            of the minutes with which the tuning began; none begins in less time than is usual for one.
        folder: where the best model and the journal of trials are kept.
        resume: whether to go on with the tuning in `folder`, for `minutes` more.
        overwrite: whether to replace a model or a tuning that `folder` holds.
        progress: whether to print a line for each trial on standard error.
        options: arguments of `fit`, among them settings, which then are not tried.

    Raises:
        UsageError: optuna is missing (`pip install 'elman[tune]'`); an unknown task or setting; nothing is
            left to try; no tuning to resume, or one of another task or with other options; a folder that
            holds a model or a tuning.
        DataError: as `fit`; or the data are not those of the tuning that is resumed.
    """
    name, optuna = _task_name(task), _optuna()
    if not is_number(minutes) or minutes <= 0:
        raise UsageError(f"minutes must be a number above 0, not {minutes!r}")
    if isinstance(data, str) and data == "-":
        raise UsageError("standard input can be read only once, but every trial reads the data: name a file")
    searches = searched(name, options)
    place = None if folder is None else as_path(folder, "folder")
    if place is not None and not (resume or overwrite):
        _refuse_loss(place)
    with _held(place, resume):
        # labels in memory are data, which have a fingerprint
        said = {key: value for key, value in options.items() if key != "labels"}
        written = json.dumps(said, default=str, sort_keys=True)
        study = _opened(optuna, place, resume, {"task": name, "options": written})
        tried = _Tried(study, name, searches, place, progress)
        each = study.user_attrs.get("minutes") or minutes * SHARE
        study.set_user_attr("minutes", each)
        end = time.monotonic() + 60 * minutes
        while (left := end - time.monotonic()) >= max(tried.usual, 1.0) or not tried.trials:
            tried.one(optuna, data, options | {"minutes": min(each, left / 60)})
        if tried.best is None:
            raise TrainingError(f"no trial ended with a score: {tried.trials[0].failure}")
        model = tried.model if place is None or tried.model is not None else load(place)
    return Tuning(name, *tried.score, tuple(tried.trials), model)


def searched(task: str, options: Mapping[str, Any]) -> dict[str, Search]:
    """Return where tuning looks for each setting of a task that `options` leave open. Raises UsageError if
    there is none, and as `split_choices` for settings that can't be."""
    cls = task_class(task)
    groups = rows(cls.SETTINGS) | rows(Plan)
    arguments = {*rows(cls.SETTINGS.ARGUMENTS), "labels"}  # which only Python can give
    split_choices({key: value for key, value in options.items() if key not in arguments}, cls.SETTINGS)
    if "minutes" in options or "folder" in options:
        raise UsageError("minutes and folder apply to the whole tuning: its trials share them")
    searches = {key: row.search for key, (row, _) in groups.items() if row.search and key not in options}
    if not searches:
        raise UsageError("there is nothing to try: all settings that a tuning tries are given")
    return searches


@dataclass
class _Tried:
    """The trials of a study so far, and the best model of this call."""

    study: Any
    task: str
    searches: Mapping[str, Search]
    folder: Path | None
    progress: bool
    model: Any = None

    @property
    def ended(self) -> list[Any]:
        return [trial for trial in self.study.trials if RESULT in trial.user_attrs]

    @property
    def trials(self) -> list[Trial]:
        return [Trial(**trial.user_attrs[RESULT]) for trial in self.ended]

    @property
    def usual(self) -> float:
        """Seconds of a usual trial, the median."""
        return float(np.median([trial.seconds for trial in self.trials])) if self.trials else 0.0

    @property
    def score(self) -> tuple[str, bool]:
        name, lower = self.study.user_attrs["score"]
        return name, lower

    @property
    def best(self) -> float | None:
        """The best score, multiplied so that less is better."""
        scores = [trial.score for trial in self.trials if trial.score is not None]
        return min((sign(self.score[1]) * score for score in scores), default=None)

    def one(self, optuna: Any, data: Any, options: dict[str, Any]) -> None:
        """Make the next trial and write down how it went."""
        count = len(self.ended)
        # a seed for each trial, so that a tuning that is resumed goes on as it would have
        self.study.sampler = optuna.samplers.TPESampler(seed=options.get("seed", 0) + count)
        trial = self.study.ask()
        plain = trial.user_attrs.get(DEFAULTS, False)
        settings = {} if plain else {key: _drawn(trial, key, one) for key, one in self.searches.items()}
        started, score, failure, cut = time.monotonic(), None, None, False
        try:
            with silenced(count > 0):  # the first trial has said it
                task: Any = task_class(self.task)
                model = task.fit(data, progress=False, **options | settings)
            self._check(model)
            score, failure = model.validation.scores[self.score[0]], model.failure and str(model.failure)
            cut = was_cut(model.validation.notes)
            if score is None and failure is None:
                failure = "no score"
        except (TrainingError, UsageError) as error:
            if not count:
                raise
            failure = str(error)
        seconds = time.monotonic() - started
        if score is not None and (self.best is None or sign(self.score[1]) * score < self.best):
            self.model = model
            if self.folder is not None:
                model.save(self.folder, overwrite=True)
        result = Trial(settings, score, seconds, failure, cut)
        trial.set_user_attr(RESULT, asdict(result))  # at once: a kill leaves all of it or nothing
        _tell(optuna, self.study, trial.number, result, self.score[1])
        self._say(count)

    def _check(self, model: Any) -> None:
        """Compare the data with those of the first trial, or write down what they are."""
        fingerprint = model.source["fingerprint"]
        if self.study.user_attrs.setdefault("fingerprint", fingerprint) != fingerprint:
            raise DataError("the data have changed since the tuning began: start a new one")
        self.study.set_user_attr("fingerprint", fingerprint)
        self.study.set_user_attr("score", model.chosen_score())

    def _say(self, number: int) -> None:
        if not self.progress:
            return
        trial, (name, lower) = self.trials[number], self.score
        result = f"failed ({trial.failure})" if trial.score is None else f"{name} {trial.score:.4f}"
        best = "" if self.best is None else f", best {sign(lower) * self.best:.4f}"
        say(f"trial {number}: {trial.phrase}: {result}{best}, in {duration(trial.seconds)}")


def _tell(optuna: Any, study: Any, number: int, result: Trial, lower: bool) -> None:
    """End a trial in the study."""
    if result.score is None:
        study.tell(number, state=optuna.trial.TrialState.FAIL)
    else:
        study.tell(number, sign(lower) * result.score)


def _drawn(trial: Any, name: str, search: Search) -> Any:
    if search.values:
        return trial.suggest_categorical(name, search.values)
    value = trial.suggest_float(name, search.low, search.high, log=search.log)
    return float(f"{value:.3g}")


def _task_name(task: Any) -> str:
    name = getattr(task, "task", task)
    if name not in TASKS:
        hint = suggestion(name, TASKS) if isinstance(name, str) else ""
        raise UsageError(f"there is no task {name!r:.60}{hint or ': there are ' + ', '.join(TASKS)}")
    return str(name)


def _optuna() -> Any:
    try:
        optuna = importlib.import_module("optuna")
    except ImportError:
        raise UsageError("tuning needs the package optuna: pip install 'elman[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _opened(optuna: Any, folder: Path | None, resume: bool, identity: Mapping[str, str]) -> Any:
    """Return the study that is begun or resumed. Raises UsageError if there is none to resume, or another."""
    if folder is None:
        if resume:
            raise UsageError("name the folder of the tuning to resume")
        return _begun(optuna.create_study(direction="minimize"), identity)
    journal = folder / JOURNAL
    if resume and not journal.is_file():
        raise UsageError(f"{folder} holds no tuning to resume: start one without resume (--resume)")
    for file in (folder / name for name in TUNING_FILES):
        if not (resume and file == journal):
            file.unlink(missing_ok=True)  # a lock may be left of a process that was killed
    if resume:
        _drop_torn_line(journal)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    study = optuna.create_study(
        direction="minimize", storage=storage, study_name="elman", load_if_exists=True
    )
    if "task" not in study.user_attrs:
        return _begun(study, identity)
    for key, value in identity.items():
        if study.user_attrs.get(key) != value:
            begun = f"{key} {study.user_attrs.get(key)}, not {value}"
            raise UsageError(f"the tuning in {folder} began with {begun}: use the same, or start a new one")
    for trial in study.trials:
        if trial.state.name != "RUNNING":
            continue
        if RESULT in trial.user_attrs:  # it was killed between its last two lines
            _, lower = study.user_attrs["score"]
            _tell(optuna, study, trial.number, Trial(**trial.user_attrs[RESULT]), lower)
        else:
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # its seed draws the same again
            if trial.user_attrs.get(DEFAULTS):
                study.enqueue_trial({}, {DEFAULTS: True})
    return study


def _refuse_loss(folder: Path) -> None:
    if (folder / JOURNAL).exists():
        raise UsageError(
            f"{folder} holds a tuning: give resume=True to go on, or overwrite=True to replace it"
        )
    if artifact.is_artifact(folder):
        advice = "name another folder, or give overwrite=True to replace it"
        raise UsageError(f"{folder} already holds a model: {advice}")


def _begun(study: Any, identity: Mapping[str, str]) -> Any:
    for key, value in identity.items():
        study.set_user_attr(key, value)
    study.enqueue_trial({}, {DEFAULTS: True})
    return study


def _drop_torn_line(journal: Path) -> None:
    """Cut off the end of a line whose writing was interrupted, after which the journal could not be read."""
    with journal.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


@contextmanager
def _held(folder: Path | None, resume: bool) -> Iterator[None]:
    """Lock the folder, and make it if there is none. A mistake before the first model leaves nothing."""
    if folder is None:
        yield
        return
    artifact.check_destination(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with writing(folder, ArtifactError):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with lock.held(folder):
            yield
    except ElmanError:
        if not resume and not artifact.is_artifact(folder):
            for file in TUNING_FILES:
                (folder / file).unlink(missing_ok=True)
        with suppress(OSError):  # of a folder that holds something
            for path in made:
                path.rmdir()
        raise
