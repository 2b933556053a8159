"""The folder of a training: the one that the user names, or a new one named after task and data."""

import errno
import os
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from elman import artifact
from elman.atomic import writing
from elman.errors import UsageError
from elman.ranks import are_several, is_first

RUNS: Final = Path("runs")
CHECKPOINT: Final = "checkpoint.pt"
TUNING: Final = artifact.TUNING_FILES[0]


def choose_folder(
    task: str, data: str, save: Path | None, resume: bool, force: bool, run: str = CHECKPOINT
) -> Path:
    """Return the folder for a model.

    Without `save` it is runs/TASK-DATA, or the first of runs/TASK-DATA-2, ... that is not in use. `resume`
    then means the last of them that holds an unfinished run, and `force` the last that holds anything.
    A run is a file of the name `run`, of a training or of a tuning, which can be resumed.
    Several processes must agree on a folder while one of them fills it: they number none.

    Raises UsageError for a folder that holds something else, or a model or run that would be lost.
    """
    folder = save or RUNS / f"{task}-{_name(data)}"
    if save is None and not are_several():
        folder = _numbered(folder, resume, force, run)
    artifact.check_destination(folder)
    if is_first():
        if not resume and not force:
            _refuse_loss(folder, run)
        _require_writable(folder)
    return folder


def _name(data: str) -> str:
    """Return what a folder is called after the data: a file without its endings, or a data set of the hub."""
    if data == "-":
        return "stdin"
    name = Path(data.replace(":", "/").removesuffix(".gz")).stem
    return name if name.strip(".") else Path(data).resolve().stem  # of the folder that . or .. is


def _numbered(first: Path, resume: bool, force: bool, run: str) -> Path:
    """Return `first` or a later one of its name: free, or with an unfinished run, or the last in use."""
    names = (first if k == 1 else first.with_name(f"{first.name}-{k}") for k in count(1))
    used = []
    for folder in names:
        if not _is_used(folder):
            break
        used.append(folder)
    if resume:
        stopped = (one for one in reversed(used) if (one / run).exists())
        return next(stopped, first)
    return used[-1] if force and used else folder


def _is_used(folder: Path) -> bool:
    return folder.is_file() or (folder.is_dir() and any(folder.iterdir()))


def _refuse_loss(folder: Path, run: str) -> None:
    has_model, unfinished = artifact.is_artifact(folder), (folder / run).exists()
    if unfinished and run == TUNING:
        raise UsageError(f"{folder} holds a tuning: --resume to go on with it, or --force to start anew")
    if has_model and unfinished:
        choice = "--resume continues it, --force starts anew"
        raise UsageError(f"{folder} holds the best model of an unfinished run: {choice}")
    if has_model:
        raise UsageError(f"{folder} already holds a model: choose another --save, or --force to replace it")
    if unfinished:
        raise UsageError(f"{folder} holds an unfinished run: --resume to continue, or --force to start anew")


def _require_writable(folder: Path) -> None:
    """Raise UsageError where the folder can't be made or written, before an hour of training; leave none."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    with writing(folder, UsageError):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            allowed = os.access(folder, os.W_OK)
        finally:
            for one in missing:
                with suppress(OSError):  # another training may have begun there
                    one.rmdir()
        if not allowed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
