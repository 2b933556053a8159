"""Mean and variance normalisation of features that needs no later frame, so that it is the same live."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Frames = NDArray[np.float32]

WINDOW_FRAMES: Final = 300  # over which the mean and the variance of a recording are taken: 3 s
PRIOR_FRAMES: Final = 100  # that the mean and the variance of the training data count for
MIN_DEVIATION: Final = 0.1  # of a feature, as a share of that in the training data


@dataclass(frozen=True, eq=False)
class Normaliser:
    """Subtracts a running mean and divides by a running standard deviation, for each feature.

    Frame t sees the last `window` frames up to itself and, as if they had come before the recording,
    `prior` frames with the moments of the training data.
    """

    mean: Tensor  # (features,) of the training data
    deviation: Tensor  # (features,) likewise, positive
    prior: int = PRIOR_FRAMES
    window: int = WINDOW_FRAMES  # 0: the moments of the training data alone

    @classmethod
    def fit(
        cls, recordings: Iterable[Tensor], prior: int = PRIOR_FRAMES, window: int = WINDOW_FRAMES
    ) -> "Normaliser":
        """Take the moments from the features of recordings, each (frames, features).

        Args:
            recordings: one or more, with at least one frame in all.
            prior: number of frames that these moments count for, 1 or more.
            window: number of frames of a recording that count.
        """
        count, total, squares = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        for frames in recordings:
            count += len(frames)
            total = total + frames.double().sum(0)
            squares = squares + frames.double().square().sum(0)
        mean = total / max(count, 1)
        variance = (squares / max(count, 1) - mean.square()).clamp_min(0)
        deviation = torch.where(variance > 1e-8, variance.sqrt(), 1.0)  # a constant stays one
        return cls(mean.float(), deviation.float(), prior, window)

    def __call__(self, frames: Tensor) -> Tensor:
        """Normalise the features (frames, features) of a whole recording."""
        return torch.from_numpy(NormaliserStream(self).push(frames.numpy()))

    @cached_property
    def moments(self) -> "Moments":
        """What every frame is normalised by, beside those before it."""
        mean, deviation = self.mean.double().numpy(), self.deviation.double().numpy()
        squares: Array = self.prior * np.square(deviation)
        return Moments(mean, deviation, squares, MIN_DEVIATION * deviation)


class Moments(NamedTuple):
    """Of the training data, each (features,)."""

    mean: Array
    deviation: Array
    prior_squares: Array  # summed over the prior's frames, around the mean
    least_deviation: Array


class NormaliserStream:
    """Normalises frames as they arrive, with the same bits however they are cut into pushes. In NumPy, whose
    operations on a few frames cost less than PyTorch's."""

    def __init__(self, normaliser: Normaliser) -> None:
        self.normaliser = normaliser
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far, before another recording."""
        width = len(self.normaliser.mean)
        self.frames = 0  # so far
        self.sum = np.zeros((2, width))  # of all frames and their squares
        # (window, 2, features): the sum before frame t in row t % window, and 0 before the first
        self.sums = np.zeros((self.normaliser.window, 2, width))

    def push(self, frames: Frames) -> Frames:
        """Return the next frames (frames, features), normalised."""
        return push_together([self], [frames])[0]


def push_together(streams: Sequence[NormaliserStream], frames: Sequence[Frames]) -> list[Frames]:
    """Push frames to each of some streams of one normaliser: the same bits as if each were alone. Those that
    get equally many are computed at once."""
    by_length: dict[int, list[int]] = {}
    for k, one in enumerate(frames):
        by_length.setdefault(len(one), []).append(k)
    normalised = [*frames]
    for rows in by_length.values():
        answers = _normalised([streams[k] for k in rows], np.stack([frames[k] for k in rows]))
        for k, answer in zip(rows, answers, strict=True):
            normalised[k] = answer
    return normalised


def _normalised(streams: list[NormaliserStream], frames: Frames) -> Frames:
    """Return the next frames (streams, frames, features) of some streams, normalised."""
    normaliser = streams[0].normaliser
    moments, window = normaliser.moments, normaliser.window
    values = frames - moments.mean
    if not window or not frames.shape[1]:
        return (values / moments.deviation).astype(np.float32)
    starts = range(0, frames.shape[1], window)
    parts = [_windowed(normaliser, streams, values[:, start : start + window]) for start in starts]
    return np.concatenate(parts, 1) if len(parts) > 1 else parts[0]


def _windowed(normaliser: Normaliser, streams: list[NormaliserStream], values: Array) -> Frames:
    """Return at most a window of frames (streams, frames, features), normalised; `values` is around the mean
    of the training data."""
    rows, length, width = values.shape
    moments, window = normaliser.moments, normaliser.window
    # `cumsum` adds one after another, so that the sum so far may stand before
    sums = np.empty((rows, length + 1, 2, width))
    sums[:, 0] = [stream.sum for stream in streams]
    sums[:, 1:, 0] = values
    np.square(values, out=sums[:, 1:, 1])
    sums = sums.cumsum(1)[:, 1:]
    ends = np.array([stream.frames + 1 for stream in streams])[:, None] + np.arange(length)
    places, counts = ends % window, np.minimum(ends, window)
    before = np.empty_like(sums)
    for stream, place, total, earlier in zip(streams, places, sums, before, strict=True):
        stream.sums.take(place, 0, out=earlier, mode="clip")  # which needs no buffer
        stream.sums[place] = total
        stream.sum, stream.frames = total[-1].copy(), stream.frames + length
    total = (normaliser.prior + counts)[..., None]
    np.subtract(sums, before, out=before)
    mean, square = before[:, :, 0] / total, (before[:, :, 1] + moments.prior_squares) / total
    deviation = np.sqrt(np.maximum(square - np.square(mean), 0.0))
    normalised: Array = (values - mean) / np.maximum(deviation, moments.least_deviation)
    return normalised.astype(np.float32)
