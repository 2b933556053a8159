"""An unfinished run on disk: `checkpoint.pt`, written whole or not at all, and `metrics.jsonl`."""

import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

import torch
from torch import Tensor

from elman.atomic import finite, partial, replace_file, writing
from elman.errors import TrainingError

# The first line is this and the SHA-256 of the rest: torch.load itself overlooks most flipped bits.
MAGIC: Final = b"elman checkpoint 1 "


@dataclass
class Progress:
    """How far a run has come: the next batch is number `index` of `epoch`."""

    epoch: int = 0
    index: int = 0
    step: int = 0
    stale: int = 0  # validations since the best one
    seconds: float = 0.0
    best: dict[str, Tensor] | None = None
    average: list[Tensor] | None = None  # of the parameters over steps, if the plan wants it
    best_scores: dict[str, float] = field(default_factory=dict)
    carried: Any = None  # state at the end of the last batch, for truncated BPTT


def path(folder: Path) -> Path:
    """Where the checkpoint of a run lies."""
    return folder / "checkpoint.pt"


def save(
    folder: Path,
    progress: Progress,
    carried: list[Any],
    states: Mapping[str, Any],
    identity: Mapping[str, Any],
) -> None:
    """Write the checkpoint beside the old one and swap them in one move.

    Raises:
        TrainingError: the folder can't be written or the disk is full.
    """
    fields = {k: getattr(progress, k) for k in Progress.__dataclass_fields__ if k != "carried"}
    content = {"progress": fields, "carried": carried, "states": dict(states)}
    buffer = io.BytesIO()  # torch.save hides why a file can't be written
    torch.save(content | {"identity": json.dumps(identity, sort_keys=True)}, buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest().encode()
    with writing(path(folder), TrainingError):
        folder.mkdir(parents=True, exist_ok=True)
        with replace_file(path(folder)) as file:
            file.write(MAGIC + digest + b"\n")
            file.write(buffer.getbuffer())


def load(folder: Path, identity: Mapping[str, Any]) -> tuple[Progress, list[Any], dict[str, Any]]:
    """Read a checkpoint: how far the run has come, the state each process carried, the states of its parts.

    Raises:
        TrainingError: none there, damaged, of another version, or of a run with other settings or data.
    """
    file = path(folder)
    try:
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
        # weights_only: a checkpoint holds tensors and numbers and may not run code
        content = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        progress, carried, states = Progress(**content["progress"]), content["carried"], content["states"]
        then = json.loads(content["identity"])
    except Exception as error:  # a crafted file can make the unpickler raise anything
        raise TrainingError(f"{file} is not a checkpoint of elman: start without resume") from error
    _compare(folder, then, json.loads(json.dumps(identity)))
    return progress, carried, states


def discard(folder: Path) -> None:
    """Remove the checkpoint and what a kill may have left of one."""
    for file in (path(folder), partial(path(folder))):
        file.unlink(missing_ok=True)


def _compare(folder: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    for key in sorted(then.keys() | now.keys()):
        a, b = then.get(key), now.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            _compare(folder, a, b)
        elif a != b:
            raise TrainingError(
                f"{folder} was trained with {key} = {a!r}, this call says {b!r}: "
                "resume with the same settings and data, or start without resume"
            )


class Journal:
    """`metrics.jsonl` of a run that goes on after `step`: one line a step, each exactly once.

    Lines beyond the checkpoint, or cut short by a kill, are dropped on opening. Without a folder nothing is
    kept.
    """

    def __init__(self, folder: Path | None, step: int) -> None:
        self._file: TextIO | None = None
        if folder is None:
            return
        self._path = folder / "metrics.jsonl"
        with writing(self._path, TrainingError):
            folder.mkdir(parents=True, exist_ok=True)
            kept = [line for line in _lines(self._path) if _step_of(line) <= step]
            with replace_file(self._path) as fresh:
                fresh.write("".join(line + "\n" for line in kept).encode())
            self._file = self._path.open("a", encoding="utf-8", buffering=1)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a line; entries that are None are left out, scores that are no numbers become null."""
        if self._file is None:
            return
        line = finite({key: value for key, value in record.items() if value is not None})
        with writing(self._path, TrainingError):
            self._file.write(json.dumps(line) + "\n")


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []


def _step_of(line: str) -> float:
    """A line that a kill cut short counts as never written."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
