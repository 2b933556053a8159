"""Mean and variance normalisation of features that needs no later frame, so that it is the same live."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

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
        return NormaliserStream(self).push(frames)


class NormaliserStream:
    """Normalises frames as they arrive, with the same bits however they are cut into pushes. In NumPy, whose
    operations on a few frames cost less than PyTorch's."""

    def __init__(self, normaliser: Normaliser) -> None:
        self._prior, self._window = normaliser.prior, normaliser.window
        self._mean, self._deviation = normaliser.mean.double().numpy(), normaliser.deviation.double().numpy()
        self._prior_squares = self._prior * np.square(self._deviation)
        self._floor = MIN_DEVIATION * self._deviation
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far, before another recording."""
        self._frames = 0
        self._sum = np.zeros((2, len(self._mean)))  # of all frames and their squares
        # (window, 2, features): the sum before frame t in row t % window, and 0 before the first
        self._sums = np.zeros((self._window, 2, len(self._mean)))

    def push(self, frames: Tensor) -> Tensor:
        """Return the next frames (frames, features), normalised."""
        values = frames.numpy().astype(np.float64) - self._mean
        if not self._window or not len(frames):
            return torch.from_numpy((values / self._deviation).astype(np.float32))
        starts = range(0, len(frames), self._window)
        parts = [self._normalised(values[start : start + self._window]) for start in starts]
        return torch.from_numpy(np.concatenate(parts).astype(np.float32))

    def _normalised(self, values: Array) -> Array:
        """Return at most a window of frames, normalised; `values` is around the mean of the training data."""
        # `cumsum` adds one after another, so that the sum so far may stand before
        sums = np.empty((len(values) + 1, 2, len(self._mean)))
        sums[0] = self._sum
        sums[1:, 0], sums[1:, 1] = values, np.square(values)
        sums = sums.cumsum(0)[1:]
        ends = np.arange(self._frames + 1, self._frames + len(values) + 1)
        rows, counts = ends % self._window, np.minimum(ends, self._window)
        mean, square = self._with_prior(sums - self._sums[rows], counts[:, None])
        self._sums[rows] = sums
        self._sum, self._frames = sums[-1].copy(), self._frames + len(values)
        deviation = np.sqrt(np.maximum(square - np.square(mean), 0.0))
        normalised: Array = (values - mean) / np.maximum(deviation, self._floor)
        return normalised

    def _with_prior(self, sums: Array, counts: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return the mean and the mean square (frames, features) of the window and the prior, around the
        mean of the training data; `sums` is (frames, 2, features) and `counts` (frames, 1)."""
        total = self._prior + counts
        return sums[:, 0] / total, (sums[:, 1] + self._prior_squares) / total
