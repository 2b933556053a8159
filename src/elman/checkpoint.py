"""An unfinished run on disk: `checkpoint.pt`, written whole or not at all, and `metrics.jsonl`."""

import contextlib
import json
import pickle
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor

from elman.errors import TrainingError
from elman.files import replace_file

FORMAT = 1


@dataclass
class Progress:
    """How far a run has come: the next batch is number `index` of `epoch`."""

    epoch: int = 0
    index: int = 0
    step: int = 0
    stale: int = 0  # validations since the best one
    seconds: float = 0.0
    best: dict[str, Tensor] | None = None
    best_scores: dict[str, float] = field(default_factory=dict)
    carried: Any = None  # state at the end of the last batch, for truncated BPTT


def path(folder: Path) -> Path:
    """Where the checkpoint of a run lies."""
    return folder / "checkpoint.pt"


def save(
    folder: Path, progress: Progress, carried: list[Any], model: Any, optimizer: Any, identity: Any
) -> None:
    """Write the checkpoint beside the old one and swap them in one move."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {k: getattr(progress, k) for k in Progress.__dataclass_fields__ if k != "carried"}
    content = {
        "format": FORMAT,
        "progress": fields,
        "carried": carried,
        "model": model,
        "optimizer": optimizer,
    }
    with replace_file(path(folder)) as file:
        torch.save(content | {"identity": json.dumps(identity, sort_keys=True)}, file)


def load(folder: Path, identity: Mapping[str, Any]) -> tuple[Progress, list[Any], Any, Any]:
    """Read a checkpoint and compare its identity.

    Raises:
        TrainingError: none there, damaged, or of a run with other settings or data.
    """
    if not path(folder).is_file():
        raise TrainingError(f"{folder} has no checkpoint.pt to resume from: start without resume")
    try:
        # weights_only: a checkpoint holds tensors and numbers and may not run code
        content = torch.load(path(folder), map_location="cpu", weights_only=True)
        fields, format_ = content["progress"], content["format"]
    except (RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise TrainingError(
            f"{path(folder)} is damaged and can't be resumed: start without resume"
        ) from error
    if format_ != FORMAT:
        raise TrainingError(f"{path(folder)} has format {format_}, this version of elman resumes {FORMAT}")
    _compare(folder, json.loads(content["identity"]), json.loads(json.dumps(identity)))
    return Progress(**fields), content["carried"], content["model"], content["optimizer"]


def _compare(folder: Path, then: dict[str, Any], now: dict[str, Any], within: str = "") -> None:
    for key in sorted(then.keys() | now.keys()):
        a, b = then.get(key), now.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            _compare(folder, a, b, f"{key}.")
        elif a != b:
            raise TrainingError(
                f"{folder} was trained with {within}{key} = {a!r}, this call says {b!r}: "
                "resume with the same settings and data, or start without resume"
            )


def metrics(folder: Path | None, step: int) -> AbstractContextManager[Any]:
    """`metrics.jsonl` of a run that goes on after `step`, open for appending; without a folder, a sink."""
    if folder is None:
        return contextlib.nullcontext(_Sink())
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "metrics.jsonl"
    kept = [line for line in _lines(file) if _step_of(line) <= step] if step else []
    with replace_file(file) as fresh:
        fresh.write("".join(line + "\n" for line in kept).encode())
    opened: TextIO = file.open("a", encoding="utf-8")
    return opened


class _Sink:
    def write(self, text: str) -> None:
        """Nothing is kept."""

    def flush(self) -> None:
        """Nothing is kept."""


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []


def _step_of(line: str) -> float:
    """A line that a kill cut short counts as never written."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
