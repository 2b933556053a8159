"""A trained model on disk: a folder with config.json, model.safetensors, JSON files and a model card.

It contains no code. config.json holds the checksums of all other files.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from elman.atomic import (
    as_path,
    is_partial,
    null_if_infinite,
    open_regular,
    partial,
    read_regular,
    write_partial,
    writing,
)
from elman.errors import ArtifactError, NoModelError, UsageError
from elman.lock import LOCK_FILE
from elman.pretrained import folder_of, refuse_name
from elman.version import __version__

if TYPE_CHECKING:
    from torch import Tensor

# 1: of 0.1.0, whose settings and scores had other names; it can't read 2
FORMAT: Final = 2
# Of all files but the tensors: a byte of JSON may take 30 of memory. A matrix of 5,000 labels has 100 MiB.
MAX_JSON_BYTES: Final = 256 << 20
MAX_FILES: Final = 16
TENSORS: Final = "model.safetensors"
# Of a training run, which may use the same folder.
TUNING_FILES: Final = ("tuning.log", "tuning.log.lock")  # the journal of a tuning, and its lock
RUN_FILES: Final = ("metrics.jsonl", "checkpoint.pt", LOCK_FILE, *TUNING_FILES)
CONFIG_START: Final = re.compile(rb'\s*\{\s*"elman"\s*:')  # of our config.json
STEM: Final = re.compile(r"(?!config\Z)[A-Za-z0-9][A-Za-z0-9_-]*")
FIELDS: Final = {"version": str, "task": str, "settings": dict, "scores": dict, "data": dict, "files": dict}


@dataclass(frozen=True)
class Artifact:
    """The content of a model folder. `extras` holds JSON files by stem; `card` is Markdown."""

    task: str
    settings: dict[str, Any]
    tensors: "dict[str, Tensor]"
    extras: dict[str, Any]
    scores: dict[str, Any]
    data: dict[str, Any]
    card: str
    version: str = __version__


def is_artifact(folder: str | Path) -> bool:
    """Return whether a folder looks like a saved model of elman."""
    try:
        with open_regular(Path(folder) / "config.json") as file:
            return CONFIG_START.match(file.read(100)) is not None
    except OSError:
        return False


def saved_task(folder: str | Path) -> str:
    """Return the task of a saved model, without PyTorch. Raises the errors of `load`."""
    return str(read_config(folder)["task"])


def read_config(folder: str | Path) -> dict[str, Any]:
    """Return `FIELDS` of a saved model, without PyTorch. Raises the errors of `load`."""
    return _config(as_path(folder_of(folder), "folder"))


def check_destination(folder: str | Path) -> None:
    """Raise UsageError unless a model may be written here: nothing, an empty folder, a model or a run."""
    path = as_path(folder, "folder")
    refuse_name(folder, "a folder")
    if path.exists() and not path.is_dir():
        raise UsageError(f"{folder} is a file: a model is saved as a folder")
    if path.is_dir() and not is_artifact(path):
        foreign = sorted(p.name for p in path.iterdir() if p.name not in RUN_FILES and not is_partial(p.name))
        if foreign:
            raise UsageError(f"{folder} holds {foreign[0]!r} but no model: name a new or an empty folder")


def save(artifact: Artifact, folder: str | Path) -> None:
    """Write a model into a folder and replace an older one; other files there stay.

    All files are written under temporary names; then config.json is moved into place, and the others after
    it. `load` finds a file under either name by its checksum, so a kill at any moment leaves the old model or
    the new one.

    Raises:
        UsageError: the folder holds something else than a model, or a part of the model can't be saved.
        ArtifactError: the folder can't be written; an older model remains.
    """
    folder, files = as_path(folder, "folder"), _files(artifact)
    config = folder / "config.json"
    with writing(folder, ArtifactError):
        check_destination(folder)
        fresh = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        old = _listed(folder)
        _finish_moves(folder, old)
        try:
            # config.json comes first: as long as its temporary file exists, the old model is valid
            for name, content in files.items():
                write_partial(folder / name, content)
            partial(config).replace(config)
        except BaseException:
            if partial(config).exists():
                for name in files:
                    partial(folder / name).unlink(missing_ok=True)
                if fresh and not any(folder.iterdir()):
                    folder.rmdir()
            raise
        _finish_moves(folder, _listed(folder))
        for name in old.keys() - files.keys():
            (folder / name).unlink(missing_ok=True)


def load(folder: str | Path) -> Artifact:
    """Read and verify a model folder, or that of "elman:NAME". Memory and time are bounded by its size.

    Raises:
        UsageError: there is no such folder.
        ArtifactError: it is not a model, its training has not finished, a file is missing or damaged, or it
            was saved by a newer version.
    """
    import safetensors.torch  # brings PyTorch, for which a mistyped name need not wait
    from safetensors import SafetensorError

    folder = as_path(folder_of(folder), "folder")
    config = _config(folder)
    content = _contents(folder, config["files"])
    try:
        tensors = safetensors.torch.load(content.pop(TENSORS))
        card = content.pop("README.md").decode()
        extras = {Path(name).stem: _parsed(value) for name, value in content.items()}
    except (SafetensorError, ValueError, KeyError, RuntimeError, AttributeError, MemoryError) as error:
        reason = str(error).partition("\n")[0][:200]
        sentence = f"{folder} has matching checksums but unreadable content ({reason}): train the model again"
        raise ArtifactError(sentence) from error
    fields = {key: config[key] for key in ("task", "settings", "scores", "data", "version")}
    return Artifact(tensors=tensors, extras=extras, card=card, **fields)


def _files(artifact: Artifact) -> dict[str, bytes]:
    """Return the content of every file, config.json first."""
    import safetensors.torch
    from safetensors import SafetensorError

    # cloned: safetensors refuses tensors that share memory or are not contiguous
    tensors = {k: v.detach().cpu().clone().contiguous() for k, v in artifact.tensors.items()}
    try:
        files = {TENSORS: safetensors.torch.save(tensors), "README.md": _utf8(artifact.card)}
        for stem, value in artifact.extras.items():
            if not STEM.fullmatch(stem):
                raise ValueError(f"{stem!r} is not a valid file name")
            files[f"{stem}.json"] = _json(value)
        config = {
            "format": FORMAT,
            "version": artifact.version,
            "task": artifact.task,
            "settings": artifact.settings,
            "scores": null_if_infinite(artifact.scores),
            "data": null_if_infinite(artifact.data),
            "files": {name: _digest(content) for name, content in files.items()},
        }
        files = {"config.json": _json({"elman": config}, indent=1), **files}
        if sum(len(content) for name, content in files.items() if name != TENSORS) > MAX_JSON_BYTES:
            raise ValueError(f"its files beside {TENSORS} would have more than {MAX_JSON_BYTES} bytes")
        return files
    except (SafetensorError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"the {artifact.task} model can't be saved: {error}") from error


def _listed(folder: Path) -> Mapping[str, str]:
    """Return files and checksums of the model in a folder, none if there is no readable model."""
    try:
        return dict(_config(folder)["files"])
    except (ArtifactError, UsageError):
        return {}


def _finish_moves(folder: Path, files: Mapping[str, str]) -> None:
    """Move the model's files from temporary names to their own, including those left by a killed save."""
    for name, digest in files.items():
        temporary = partial(folder / name)
        if temporary.is_file() and _digest(temporary.read_bytes()) == digest:
            temporary.replace(folder / name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False


def _config(folder: Path) -> dict[str, Any]:
    if not _exists(folder):
        advice = f"train one with `elman train TASK DATA --save {folder}`"
        raise UsageError(f"there is no model at {folder}: {advice}")
    file = folder / "config.json"
    if not _exists(file):
        if (folder / "checkpoint.pt").exists():
            advice = "run the same command with --resume"
            raise ArtifactError(f"the training in {folder} has not finished: {advice}")
        raise NoModelError(f"{folder} is not a model of elman: it has no config.json")
    try:
        content = _parsed(read_regular(file, MAX_JSON_BYTES))
    except OSError as error:
        raise ArtifactError(f"{file} can't be read ({error.strerror}): check its permissions") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ArtifactError(f"{file} is damaged: it is not valid JSON ({error}); copy it again") from error
    if not isinstance(content, dict) or "elman" not in content:
        raise NoModelError(f"{folder} is not a model of elman: its config.json belongs to another program")
    return _checked(file, content["elman"])


def _checked(file: Path, config: Any) -> dict[str, Any]:
    def damaged(entry: str) -> NoReturn:
        raise ArtifactError(f"{file} is damaged: {entry} is missing or of the wrong kind; copy it again")

    if not isinstance(config, dict):
        damaged("'elman'")
    if type(config.get("format")) is not int or config["format"] < 1:
        damaged("'format'")
    if config["format"] > FORMAT:
        raise ArtifactError(
            f"{file.parent} was saved by elman {config.get('version')!r:.60} in format {config['format']}; "
            f"this is elman {__version__} (format {FORMAT}): upgrade elman"
        )
    for key, kind in FIELDS.items():
        if not isinstance(config.get(key), kind):
            damaged(repr(key))
    required = {TENSORS, "README.md"}
    if len(config["files"]) > MAX_FILES:
        damaged("a shorter list of 'files'")
    for name, digest in config["files"].items():
        # a path must not lead out of the folder
        valid = name in required or (name.endswith(".json") and STEM.fullmatch(name[: -len(".json")]))
        if not valid or not isinstance(digest, str):
            damaged(f"the entry {name!r} of 'files'")
    if not required <= config["files"].keys():
        damaged(repr(min(required - config["files"].keys())))
    return config


def _contents(folder: Path, files: Mapping[str, str]) -> dict[str, bytes]:
    """Return the content of every file, which no two share: links to one could ask for any memory."""
    config = (folder / "config.json").stat()
    contents, sources, read = {}, {(config.st_dev, config.st_ino)}, config.st_size
    for name, digest in files.items():
        contents[name], source = _verified(folder, name, digest)
        read += 0 if name == TENSORS else len(contents[name])
        if source in sources:
            raise ArtifactError(f"{folder / name} and another file are the same: copy the folder again")
        if read > MAX_JSON_BYTES:
            sizes = f"its files beside {TENSORS} have more than {MAX_JSON_BYTES} bytes"
            raise ArtifactError(f"{folder} can't be read ({sizes}): train the model again")
        sources.add(source)
    return contents


def _verified(folder: Path, name: str, digest: str) -> tuple[bytes, tuple[int, int]]:
    """Return a file's content, found under its own name or, after a killed save, its temporary one; and the
    device and inode that it was read from."""
    file = folder / name
    problem = f"{folder} is incomplete: {name} is missing; copy the whole folder again"
    for path in (file, partial(file)):
        try:
            with open_regular(path, _size_limit(name)) as opened:
                status = os.fstat(opened.fileno())
                content = opened.read(status.st_size)
        except FileNotFoundError:
            continue
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", "it is larger than the memory")
            raise ArtifactError(f"{path} can't be read ({reason}): copy the folder again") from error
        if _digest(content) == digest:
            return content, (status.st_dev, status.st_ino)
        problem = f"{file} is damaged or was changed: config.json has another checksum; copy it again"
    raise ArtifactError(problem)


def _size_limit(name: str) -> float:
    """Return the largest size of a file in bytes."""
    return math.inf if name == TENSORS else MAX_JSON_BYTES


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(value: Any, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else None  # a vocabulary is a third smaller
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, allow_nan=False)
    return _utf8(text + "\n")


def _utf8(text: str) -> bytes:
    """Encode as UTF-8; lone surrogates, as in paths that are not UTF-8, are escaped as in JSON."""
    return text.encode(errors="backslashreplace")


def _parsed(content: bytes) -> Any:
    def refuse(number: str) -> NoReturn:
        raise ValueError(f"{number} is not JSON")

    return json.loads(content, parse_constant=refuse)
