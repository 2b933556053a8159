"""A trained model on disk: a folder with config.json, model.safetensors, JSON files and a model card.

Nothing in it is code, and nothing of it is run. config.json holds the checksums of all other files.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from elman.errors import ArtifactError, UsageError
from elman.version import __version__

FORMAT: Final = 1
OWN: Final = ("config.json", "model.safetensors", "README.md")
KEPT: Final = ("metrics.jsonl", "checkpoint.pt")  # of the training run, whose folder this may be


@dataclass(frozen=True)
class Artifact:
    """What a task saves. `extras` are JSON files by stem (a vocabulary, scalers); `card` is Markdown."""

    task: str
    settings: dict[str, Any]
    tensors: dict[str, Tensor]
    extras: dict[str, Any]
    scores: dict[str, Any]
    data: dict[str, Any]
    card: str
    version: str = field(default=__version__)


def is_artifact(folder: str | Path) -> bool:
    """Whether a folder looks like a finished model of ours."""
    return (Path(folder) / "config.json").is_file()


def save(artifact: Artifact, folder: str | Path) -> None:
    """Write the folder beside its place and move it there whole; an older model in that place is replaced.

    Raises:
        UsageError: the place is taken by something that is not a model.
    """
    place = Path(folder).absolute()
    check_place(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    try:
        fresh.chmod(0o777 & ~_umask())
        _write(artifact, fresh)
        for name in KEPT:
            if (place / name).exists():
                os.link(place / name, fresh / name)
        _swap(fresh, place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_place(folder: str | Path) -> None:
    """UsageError unless a model may be written to this place: it is free, empty, or holds a model or its run."""
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise UsageError(f"{folder} is a file: a model is saved as a folder")
    if place.is_dir() and not is_artifact(place):
        foreign = sorted(p.name for p in place.iterdir() if p.name not in KEPT)
        if foreign:
            raise UsageError(f"{folder} holds {foreign[0]!r} and no model: name a new or an empty folder")


def load(folder: str | Path) -> Artifact:
    """Read and verify a folder.

    Raises:
        UsageError: no such folder.
        ArtifactError: not a model, a training that has not finished, a file that is missing or damaged, or a
            format of a newer version; the message says which and what to do.
    """
    place = Path(folder)
    config = _config(place)
    content = {name: _verified(place, name, digest) for name, digest in config["files"].items()}
    try:
        tensors = safetensors.torch.load(content["model.safetensors"])
    except SafetensorError as error:
        raise ArtifactError(
            f"{place / 'model.safetensors'} is damaged: {error}; train or copy it again"
        ) from error
    extras = {Path(n).stem: json.loads(c) for n, c in content.items() if n.endswith(".json")}
    fields = {k: config[k] for k in ("task", "settings", "scores", "data", "version")}
    return Artifact(tensors=tensors, extras=extras, card=content["README.md"].decode(), **fields)


def _write(artifact: Artifact, folder: Path) -> None:
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in artifact.tensors.items()}
    files = {"model.safetensors": safetensors.torch.save(tensors), "README.md": artifact.card.encode()}
    files |= {f"{stem}.json": _json(value) for stem, value in artifact.extras.items()}
    config = {
        "format": FORMAT,
        "version": artifact.version,
        "task": artifact.task,
        "settings": artifact.settings,
        "scores": artifact.scores,
        "data": artifact.data,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    for name, content in (files | {"config.json": _json({"elman": config})}).items():
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _swap(fresh: Path, place: Path) -> None:
    """Put `fresh` where `place` is. The old folder is out of the way only for the moment between two moves."""
    if not place.exists():
        fresh.replace(place)
        return
    old = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.old."))
    place.replace(old / place.name)
    try:
        fresh.replace(place)
    except BaseException:
        (old / place.name).replace(place)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _config(place: Path) -> dict[str, Any]:
    if not place.exists():
        raise UsageError(
            f"there is no model at {place}: train one with `elman train TASK DATA --save {place}`"
        )
    if not is_artifact(place):
        if (place / "checkpoint.pt").exists():
            raise ArtifactError(
                f"the training in {place} has not finished: run the same command with --resume"
            )
        raise ArtifactError(f"{place} is not a model of elman: it has no config.json")
    try:
        config = json.loads((place / "config.json").read_bytes())["elman"]
        kinds = {"format": int, "version": str, "task": str, "settings": dict, "scores": dict, "data": dict}
        sound = all(isinstance(config[key], kind) for key, kind in kinds.items())
        sound = sound and all(isinstance(v, str) and Path(k).name == k for k, v in config["files"].items())
        sound = sound and {"model.safetensors", "README.md"} <= config["files"].keys()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{place / 'config.json'} is damaged or not elman's ({error!r})") from error
    if not sound:
        raise ArtifactError(f"{place / 'config.json'} is damaged: an entry is missing or of the wrong kind")
    if config["format"] > FORMAT:
        raise ArtifactError(
            f"{place} was saved by elman {config['version']} in format {config['format']}; "
            f"this is elman {__version__} (format {FORMAT}): upgrade elman"
        )
    assert isinstance(config, dict)
    return config


def _verified(place: Path, name: str, digest: str) -> bytes:
    try:
        content = (place / name).read_bytes()
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{place} is incomplete: {name} is missing; copy the whole folder again"
        ) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactError(
            f"{place / name} is damaged or was changed: its checksum differs from config.json's"
        )
    return content


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
