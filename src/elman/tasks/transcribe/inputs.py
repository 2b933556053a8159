"""What a caller may give a transcriber: one recording in any form, or several."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from elman.data.audio.files import ENDINGS
from elman.data.audio.frames import ENDING, Frames, is_frames
from elman.data.audio.recordings import array_column, read_recordings
from elman.errors import DataError, UsageError
from elman.settings import plain
from elman.tasks.inputs import is_table


class Inputs(NamedTuple):
    recordings: list[tuple[Any, str | None]]  # each in a form that `read_audio` takes, and its name
    single: bool  # whether it was one recording, to which one answer is returned


def read_inputs(data: Any, kind: str = "audio") -> Inputs:
    """Return the recordings in `data`. A list or tuple of numbers, an array and a tensor are samples; a list
    of anything else is of recordings, and may be empty. If `kind` is "frames", arrays and tensors are ready
    frames.

    Raises UsageError for what is no recording, DataError for a file that is missing.
    """
    if isinstance(data, dict) and array_column([data]) is not None:
        return _listed([data])._replace(single=True)
    if isinstance(data, list | tuple) and not (data and isinstance(plain(data[0]), int | float)):
        return Inputs([one for item in data for one in read_inputs(item, kind).recordings], False)
    if kind == "frames" and hasattr(data, "__array__") and not is_table(data):
        return Inputs([(Frames(data), None)], True)
    if is_table(data):
        return _listed(data)
    if not isinstance(data, str | os.PathLike) or str(data) == "-":
        return Inputs([(data, None)], True)
    path = Path(data)
    if is_frames(path):
        return Inputs([(Frames(path), str(path))], True)
    if path.suffix.lower() in ENDINGS or path.is_fifo():
        return Inputs([(path, str(path))], True)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if _of(kind, file))
        if not files:
            endings = ENDING if kind == "frames" else f"{', '.join(ENDINGS[:3])}, …"
            raise DataError(f"{path} holds no recordings ({endings})")
        return Inputs([(Frames(file) if is_frames(file) else file, str(file)) for file in files], False)
    if not path.exists() and not str(data).startswith("hf:"):
        raise UsageError(f"there is no recording {str(data)[:200]!r}; give a file, a folder or a table")
    return _listed(data)


def _of(kind: str, file: Path) -> bool:
    return is_frames(file) if kind == "frames" else file.suffix.lower() in ENDINGS


def _listed(data: Any) -> Inputs:
    recordings = read_recordings(data, labelled=False)
    return Inputs([(one.audio, one.name) for one in recordings.all], False)
