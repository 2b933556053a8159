"""An unfinished run on disk: `checkpoint.pt`, replaced atomically, and `metrics.jsonl`."""

import hashlib
import io
import json
import math
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import torch
from torch import Tensor

from elman.atomic import null_if_infinite, partial, replace_file, writing
from elman.errors import TrainingError

# The first line is this and the SHA-256 of the rest: torch.load does not notice most flipped bits.
MAGIC: Final = b"elman checkpoint 2 "
MAX_LINE_BYTES: Final = 1 << 20  # of metrics.jsonl; ours are far shorter


@dataclass
class Progress:
    """The position of a run, whose next batch is number `index` of `epoch`, and its best model so far."""

    epoch: int = 0
    index: int = 0
    step: int = 0
    stale: int = 0  # validations since the best one, for early stopping
    seconds: float = 0.0
    best: dict[str, Tensor] | None = None
    ema: list[Tensor] | None = None  # moving average of the parameters, if the plan has an ema_decay
    best_scores: dict[str, float] = field(default_factory=dict)
    carried: Any = None  # hidden state after the last batch, for truncated BPTT


def path(folder: Path) -> Path:
    return folder / "checkpoint.pt"


def save(
    folder: Path,
    progress: Progress,
    carried: list[Any],
    states: Mapping[str, Any],
    identity: Mapping[str, Any],
) -> None:
    """Replace the checkpoint atomically. Raises TrainingError if the folder can't be written."""
    fields = {k: getattr(progress, k) for k in Progress.__dataclass_fields__ if k != "carried"}
    content = {"progress": fields, "carried": carried, "states": dict(states)}
    buffer = io.BytesIO()  # torch.save would hide why a file can't be written
    torch.save(content | {"identity": json.dumps(identity, sort_keys=True)}, buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest().encode()
    with writing(path(folder), TrainingError):
        folder.mkdir(parents=True, exist_ok=True)
        with replace_file(path(folder), follow=False) as file:
            file.write(MAGIC + digest + b"\n")
            file.write(buffer.getbuffer())


def load(folder: Path, identity: Mapping[str, Any]) -> tuple[Progress, list[Any], dict[str, Any]]:
    """Return a run's progress, the hidden state of every process, and the state_dicts by name.

    Raises TrainingError if the checkpoint is missing, damaged, of another version, or of another run.
    """
    progress, carried, states, saved_identity = _read(folder)
    _compare(folder, saved_identity, json.loads(json.dumps(identity)))
    return progress, carried, states


def identity(folder: Path) -> dict[str, Any]:
    """Return the identity of the run in a folder. Raises TrainingError if it can't be resumed."""
    return _read(folder)[3]


def _read(folder: Path) -> tuple[Progress, list[Any], dict[str, Any], dict[str, Any]]:
    file = path(folder)
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for without end
            raise TrainingError(f"{file} is not a file: start without resume")
        head, _, body = file.read_bytes().partition(b"\n")
    except FileNotFoundError as error:
        finished = (folder / "config.json").exists()
        why = "has finished its training" if finished else "has no checkpoint.pt to resume from"
        raise TrainingError(f"{folder} {why}: start without resume") from error
    except OSError as error:
        raise TrainingError(f"{file} can't be read ({error.strerror}): start without resume") from error
    if not head.startswith(MAGIC):
        raise TrainingError(f"{file} is not a checkpoint of this version of elman: start without resume")
    if head != MAGIC + hashlib.sha256(body).hexdigest().encode():
        raise TrainingError(f"{file} is damaged and can't be resumed: start without resume")
    try:
        # weights_only: a checkpoint holds only tensors and numbers, and must not run code
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        progress, carried, states = Progress(**content["progress"]), content["carried"], content["states"]
        saved_identity = json.loads(content["identity"])
        parts = {"carried": (carried, list), "states": (states, dict), "identity": (saved_identity, dict)}
        if wrong := [name for name, (part, kind) in parts.items() if not isinstance(part, kind)]:
            raise ValueError(f"{wrong[0]} is of the wrong kind")
    except Exception as error:  # the unpickler can raise anything on a crafted file
        raise TrainingError(f"{file} is not a checkpoint of elman: start without resume") from error
    return progress, carried, states, saved_identity


def discard(folder: Path) -> None:
    """Remove the checkpoint and a partly written one, if any."""
    for file in (path(folder), partial(path(folder))):
        file.unlink(missing_ok=True)


def _compare(folder: Path, saved: dict[str, Any], current: dict[str, Any]) -> None:
    # first what was asked for, as defaults follow from it
    for key in sorted(saved.keys() | current.keys(), key=lambda key: (key not in ("minutes", "epochs"), key)):
        old, new = saved.get(key), current.get(key)
        if key == "cell" and old != new:
            old, new = _cell(old), _cell(new)
        if isinstance(old, dict) and isinstance(new, dict):
            _compare(folder, old, new)
        elif old != new:
            raise TrainingError(
                f"{folder} was trained with {key} = {old!r}, but this call has {new!r}: "
                "resume with the same settings and data, or start without resume"
            )


def _cell(saved: Any) -> Any:
    """Return how a message names a saved cell: one with equations of its own has a hash of them, as another
    may have its name."""
    if not isinstance(saved, dict):
        return saved
    digest = hashlib.sha256(json.dumps(saved, sort_keys=True).encode()).hexdigest()
    return f"{saved.get('name')} (equations {digest[:6]})"


@contextmanager
def journal(folder: Path | None, step: int) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Open `metrics.jsonl` of a run that continues after `step`, and yield the function that appends a line.

    Lines beyond the checkpoint and lines cut short by a kill are dropped, so each step has exactly one line.
    Entries that are None are omitted; NaN and infinity become null. Without a folder nothing is kept.
    """
    if folder is None:
        yield lambda record: None
        return
    file = folder / "metrics.jsonl"
    with writing(file, TrainingError):
        folder.mkdir(parents=True, exist_ok=True)
        with replace_file(file, follow=False) as fresh:
            # a link or a pipe, which no run has made, is replaced unread
            if not file.is_symlink() and file.is_file():
                with file.open("rb") as old:
                    fresh.writelines(line for line in _lines(old) if _step_of(line) <= step)
        appended = file.open("a", encoding="utf-8", buffering=1)

    def write(record: Mapping[str, Any]) -> None:
        line = null_if_infinite({key: value for key, value in record.items() if value is not None})
        with writing(file, TrainingError):
            appended.write(json.dumps(line) + "\n")

    with appended:
        yield write


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file; one that is longer than any of ours comes in parts, which are no JSON."""
    while line := file.readline(MAX_LINE_BYTES):
        yield line if line.endswith(b"\n") else line + b"\n"


def _step_of(line: bytes) -> float:
    """Return a line's step, or infinity if a kill cut it short."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return math.inf
