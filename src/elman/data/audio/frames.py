"""Recordings that come as ready features: arrays of frames in memory, in .npy files, or in parts of these."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.data.table.formats import open_file, reading
from elman.data.table.table import Table, check_path
from elman.errors import DataError

ENDING: Final = ".npy"
COLUMNS: Final = ("frames", "features")  # of arrays, or of the paths of files
# The first frame of a recording in a larger file, and how many there are.
FIRST_COLUMN: Final = "first_frame"
COUNT_COLUMNS: Final = ("frame_count", "frames")
MAX_FEATURES: Final = 1024  # of a frame
MAX_FRAMES: Final = 1_440_000  # of a recording that is read whole; 4 hours of 10 ms
MAX_VALUE: Final = 1e6
# What NumPy raises for a header that it can't read, or that promises more than there is.
DAMAGED: Final = (ValueError, TypeError, OverflowError, EOFError, SyntaxError, RecursionError, TokenError)
MAX_NUMBER: Final = 2**53  # of a frame; a table holds its numbers as floats


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of a recording: all of an array or of a .npy file, or a part.

    Attributes:
        source: an array or tensor, or the path of a file.
        first: the first frame of the part.
        count: how many frames it has; None: all that follow.
    """

    source: Any
    first: int = 0
    count: int | None = None

    def read(self, name: str, features: int | None = None, most: int = MAX_FRAMES) -> Tensor:
        """Return the frames (frames, features), float32.

        Args:
            name: of the recording in messages.
            features: how many each must have; None: any number.
            most: frames.

        Raises:
            DataError: the file is missing, damaged or holds something else; there are no frames or too many;
                or they are not as `to_frames` needs them.
        """
        file = mapped(Path(self.source)) if isinstance(self.source, str | os.PathLike) else None
        frames = require_frames(as_array(self.source) if file is None else file, name)
        count = len(frames) - self.first if self.count is None else self.count
        if self.first + count > len(frames):
            last = f"{self.first + count - 1:,}"
            raise DataError(f"{name} ends with frame {last}, but the file has {len(frames):,}, from 0.")
        if not 0 < count <= most:
            raise DataError(f"{name} has {max(count, 0):,} frames; it may have 1 to {most:,}.")
        if file is not None:
            return to_frames(rows_of(Path(self.source), file, self.first, count), name, features)
        return to_frames(frames[self.first : self.first + count], name, features)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the frames, or of what is wrong with them."""
        try:
            content = self.read("the frames").numpy().tobytes()
        except DataError as problem:
            content = str(problem).encode()
        return hashlib.sha256(content).digest()


def is_frames(path: Path) -> bool:
    """Return whether the ending of a file says that it holds frames."""
    return path.suffix.lower() == ENDING


def to_frames(values: Any, name: str, features: int | None = None) -> Tensor:
    """Convert an array or a tensor (frames, features) of floats to float32.

    Raises:
        DataError: the shape, the type or the number of features is another, or a value is not finite or very
            large.
    """
    array = require_frames(as_array(values), name)
    if features is not None and array.shape[1] != features:
        raise DataError(f"{name} has {array.shape[1]} features in a frame; {features} are needed.")
    if len(array) == 0:
        return torch.zeros(array.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        frames = np.array(array, np.float32, order="C")
        wrong = ~(np.abs(frames) <= MAX_VALUE)
    if wrong.any():
        frame, feature = (int(place[0]) for place in np.nonzero(wrong))
        value = frames[frame, feature]
        kind = "is NaN (not a number)" if np.isnan(value) else f"is {value:.3g}, larger than {MAX_VALUE:g}"
        raise DataError(f"{name}: feature {feature} of frame {frame:,} {kind}; compute the features again.")
    return torch.from_numpy(frames)


def as_array(values: Any) -> NDArray[Any]:
    """Return a tensor, an array or a list as an array; one without axes for anything else."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())
    try:
        return np.asarray(values)
    except (TypeError, ValueError):  # rows of different lengths
        return np.asarray(None)


def require_frames(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array of floats (frames, features). Raises DataError for any other."""
    if array.ndim != 2 or not 1 <= array.shape[1] <= MAX_FEATURES:
        shape = f"has the shape {array.shape}"
        raise DataError(f"{name} {shape}; give frames by features, of which there may be {MAX_FEATURES:,}.")
    if array.dtype.kind != "f":
        raise DataError(f"{name} is of type {array.dtype.name[:40]}; give frames of floats.")
    return array


def mapped(path: Path) -> np.memmap[Any, Any]:
    """Return the array in a .npy file, whose memory nobody may touch; see `rows_of`.

    Raises DataError for a file that is missing, damaged, cut off, pickled or none of NumPy's.
    """
    check_path(path)
    open_file(path).close()  # says what is wrong with a path
    if not path.is_file():
        raise DataError(f"{path} is not a file; frames are read in parts, which a pipe can't give.")
    try:
        with reading(str(path)), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that Python 2 wrote
            return np.lib.format.open_memmap(path, mode="r")
    except DAMAGED as problem:
        if "empty file" in str(problem):
            raise DataError(f"{path} holds no frames; leave it out.") from None
        reason = "it holds Python objects" if "Python objects" in str(problem) else "damaged or cut off"
        raise DataError(f"{path} is not a .npy file of floats ({reason}); use numpy.save.") from None


def rows_of(path: Path, array: np.memmap[Any, Any], first: int, count: int) -> NDArray[Any]:
    """Read `count` rows of the array in a file from row `first` on. Through the mapped memory itself, a file
    that another program cuts off meanwhile would end the process.

    Raises DataError for a file that is shorter by now, or can't be read.
    """
    total, width = array.shape
    by_rows = array.flags.c_contiguous
    # of numbers that lie together: where each run begins, and how many they are
    starts = [first * width] if by_rows else [column * total + first for column in range(width)]
    size = count * width if by_rows else count
    with reading(str(path)), path.open("rb") as file:
        runs = []
        for start in starts:
            file.seek(array.offset + start * array.dtype.itemsize)
            runs.append(np.fromfile(file, array.dtype, size))
    if any(len(run) < size for run in runs):
        raise DataError(f"{path} was cut off while it was read; write it again.")
    return runs[0].reshape(count, width) if by_rows else np.stack(runs, 1)


def parts(table: Table, paths: Sequence[Path], column: str) -> dict[int, Frames]:
    """Return the frames that each row of a table names, by the line on which the row begins; `column` holds
    the paths. Rows whose numbers of frames are missing, not whole or negative are bad."""
    names = {name.lower(): name for name in table.frame.columns if name != column}
    chosen = [names.get(FIRST_COLUMN), next((names[one] for one in COUNT_COLUMNS if one in names), None)]
    firsts, counts = (table.numbers(name).to_list() if name else [None] * len(paths) for name in chosen)
    each = dict[int, Frames]()
    for i, (path, first, count) in enumerate(zip(paths, firsts, counts, strict=True)):
        for name, number in zip(chosen, (first, count), strict=True):
            if name and (number is None or number != int(number) or not 0 <= number < MAX_NUMBER):
                problem = f"{table.row(i)}: column {name} must hold a whole number, from 0."
                table.bad.add(table.line(i), DataError(problem))
                first, count = 0, 0  # no frames: left out when it is read
        each[table.line(i)] = Frames(path, int(first or 0), None if count is None else int(count))
    return each
