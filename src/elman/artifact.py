"""A trained model on disk: a folder with config.json, model.safetensors, JSON files and a model card.

Nothing in it is code, and nothing of it is run. config.json holds the checksums of all other files.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from elman.atomic import finite, is_partial, partial, write_partial, writing
from elman.errors import ArtifactError, UsageError
from elman.version import __version__

FORMAT: Final = 1
RUN: Final = ("metrics.jsonl", "checkpoint.pt")  # of the training run, whose folder this may be
HEAD: Final = re.compile(rb'\s*\{\s*"elman"\s*:')  # how a config.json of ours begins
STEM: Final = re.compile(r"(?!config\Z)[A-Za-z0-9][A-Za-z0-9_-]*")
KINDS: Final = {"version": str, "task": str, "settings": dict, "scores": dict, "data": dict, "files": dict}


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
    try:
        with (Path(folder) / "config.json").open("rb") as file:
            return HEAD.match(file.read(100)) is not None
    except OSError:
        return False


def check_place(folder: str | Path) -> None:
    """UsageError unless a model may be written here: a free or empty place, a model, or a run."""
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise UsageError(f"{folder} is a file: a model is saved as a folder")
    if place.is_dir() and not is_artifact(place):
        foreign = sorted(p.name for p in place.iterdir() if p.name not in RUN and not is_partial(p.name))
        if foreign:
            raise UsageError(f"{folder} holds {foreign[0]!r} and no model: name a new or an empty folder")


def save(artifact: Artifact, folder: str | Path) -> None:
    """Write a model into a folder, in place of an older one; whatever else lies there stays.

    The files grow under other names, then config.json is replaced, and only then the others take their own
    names. `load` finds a file under either by its checksum, so a kill at any moment leaves the old model or
    the new one.

    Raises:
        UsageError: something that is not a model is in that place, or a part of the model can't be saved.
        ArtifactError: the folder can't be written or the disk is full; an older model is still there.
    """
    place, files = Path(folder), _files(artifact)
    config = place / "config.json"
    with writing(place, ArtifactError):
        check_place(place)
        fresh = not place.exists()
        place.mkdir(parents=True, exist_ok=True)
        old = _listed(place)
        _settle(place, old)
        try:
            for (
                name,
                content,
            ) in files.items():  # config.json leads: while it waits, the old model is in force
                write_partial(place / name, content)
            partial(config).replace(config)
        except BaseException:
            if partial(config).exists():
                for name in files:
                    partial(place / name).unlink(missing_ok=True)
                if fresh and not any(place.iterdir()):
                    place.rmdir()
            raise
        _settle(place, _listed(place))
        for name in old.keys() - files.keys():
            (place / name).unlink(missing_ok=True)


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
        tensors = safetensors.torch.load(content.pop("model.safetensors"))
        card = content.pop("README.md").decode()
        extras = {Path(name).stem: _parsed(value) for name, value in content.items()}
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise ArtifactError(
            f"{place} has matching checksums but unreadable content ({error}): train the model again"
        ) from error
    fields = {key: config[key] for key in ("task", "settings", "scores", "data", "version")}
    return Artifact(tensors=tensors, extras=extras, card=card, **fields)


def _files(artifact: Artifact) -> dict[str, bytes]:
    """The content of every file, config.json first."""
    # clones: safetensors refuses tensors that share memory or lie in it with gaps
    tensors = {k: v.detach().cpu().clone().contiguous() for k, v in artifact.tensors.items()}
    try:
        files = {"model.safetensors": safetensors.torch.save(tensors), "README.md": _utf8(artifact.card)}
        for stem, value in artifact.extras.items():
            if not STEM.fullmatch(stem):
                raise ValueError(f"{stem!r} can't be the name of a file")
            files[f"{stem}.json"] = _json(value)
        config = {
            "format": FORMAT,
            "version": artifact.version,
            "task": artifact.task,
            "settings": artifact.settings,
            "scores": finite(artifact.scores),
            "data": finite(artifact.data),
            "files": {name: _digest(content) for name, content in files.items()},
        }
        return {"config.json": _json({"elman": config}), **files}
    except (SafetensorError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"the {artifact.task} model can't be saved: {error}") from error


def _listed(place: Path) -> Mapping[str, str]:
    """Files and checksums of the model in a folder; nothing where there is none that can be read."""
    try:
        files: dict[str, str] = _config(place)["files"]
        return files
    except (ArtifactError, UsageError):
        return {}


def _settle(place: Path, files: Mapping[str, str]) -> None:
    """Give the files of the model in force their names, also those that a killed save left."""
    for name, digest in files.items():
        waiting = partial(place / name)
        if waiting.is_file() and _digest(waiting.read_bytes()) == digest:
            waiting.replace(place / name)


def _config(place: Path) -> dict[str, Any]:
    if not place.exists():
        raise UsageError(
            f"there is no model at {place}: train one with `elman train TASK DATA --save {place}`"
        )
    file = place / "config.json"
    if not file.exists():
        if (place / "checkpoint.pt").exists():
            raise ArtifactError(
                f"the training in {place} has not finished: run the same command with --resume"
            )
        raise ArtifactError(f"{place} is not a model of elman: it has no config.json")
    try:
        whole = _parsed(file.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{file} can't be read ({error.strerror}): check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{file} is damaged: it is not valid JSON ({error}); copy it again") from error
    if not isinstance(whole, dict) or "elman" not in whole:
        raise ArtifactError(f"{place} is not a model of elman: its config.json is another program's")
    return _checked(file, whole["elman"])


def _checked(file: Path, config: Any) -> dict[str, Any]:
    def damaged(entry: str) -> NoReturn:
        raise ArtifactError(f"{file} is damaged: {entry} is missing or of the wrong kind; copy it again")

    if not isinstance(config, dict):
        damaged("'elman'")
    if type(config.get("format")) is not int or config["format"] < 1:
        damaged("'format'")
    if config["format"] > FORMAT:
        raise ArtifactError(
            f"{file.parent} was saved by elman {config.get('version')} in format {config['format']}; "
            f"this is elman {__version__} (format {FORMAT}): upgrade elman"
        )
    for key, kind in KINDS.items():
        if not isinstance(config.get(key), kind):
            damaged(repr(key))
    own = {"model.safetensors", "README.md"}
    for name, digest in config["files"].items():
        # never a path that leads out of the folder
        sound = name in own or (name.endswith(".json") and STEM.fullmatch(name[: -len(".json")]))
        if not sound or not isinstance(digest, str):
            damaged(f"the entry {name!r} of 'files'")
    if not own <= config["files"].keys():
        damaged(repr(min(own - config["files"].keys())))
    return config


def _verified(place: Path, name: str, digest: str) -> bytes:
    """A file's content, from under its own name or, where a save was killed, the one it was written under."""
    found = False
    for path in (place / name, partial(place / name)):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ArtifactError(f"{path} can't be read ({error.strerror}): copy the folder again") from error
        if _digest(content) == digest:
            return content
        found = True
    if found:
        raise ArtifactError(
            f"{place / name} is damaged or was changed: its checksum is not config.json's; copy it again"
        )
    raise ArtifactError(f"{place} is incomplete: {name} is missing; copy the whole folder again")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(value: Any) -> bytes:
    return _utf8(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def _utf8(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which paths and broken texts may hold, is written as JSON escapes it."""
    return text.encode(errors="backslashreplace")


def _parsed(content: bytes) -> Any:
    def refuse(number: str) -> NoReturn:
        raise ValueError(f"{number} is no JSON")

    return json.loads(content, parse_constant=refuse)
