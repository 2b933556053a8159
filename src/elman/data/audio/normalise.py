"""Mean and variance normalisation of features that needs no later frame, so that it is the same live."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

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
    """Normalises frames as they arrive, with the same bits however they are cut into pushes."""

    def __init__(self, normaliser: Normaliser) -> None:
        self._of = normaliser
        self._mean, self._deviation = normaliser.mean.double(), normaliser.deviation.double()
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far, before another recording."""
        self._frames = 0
        self._sum = torch.zeros(1, 2, len(self._mean), dtype=torch.float64)  # of all frames and their squares
        # (window, 2, features): the sum before frame t in row t % window, and 0 before the first
        self._sums = self._sum.repeat(self._of.window, 1, 1)

    def push(self, frames: Tensor) -> Tensor:
        """Return the next frames (frames, features), normalised."""
        values = frames.double() - self._mean
        window = self._of.window
        if not window or not len(frames):
            return (values / self._deviation).float()
        starts = range(0, len(frames), window)
        return torch.cat([self._normalised(values[start : start + window]) for start in starts])

    def _normalised(self, values: Tensor) -> Tensor:
        """Return at most a window of frames, normalised; `values` is around the mean of the training data."""
        # `cumsum` adds one after another, so that the sum so far may stand before
        sums = torch.cat([self._sum, torch.stack([values, values.square()], 1)]).cumsum(0)[1:]
        ends = torch.arange(self._frames + 1, self._frames + len(values) + 1)
        rows, counts = ends % self._of.window, ends.clamp_max(self._of.window)
        mean, square = self._with_prior(sums - self._sums[rows], counts[:, None])
        self._sums[rows] = sums
        self._sum, self._frames = sums[-1:].clone(), self._frames + len(values)
        floor = MIN_DEVIATION * self._deviation
        deviation = (square - mean.square()).clamp_min(0).sqrt().maximum(floor)
        return ((values - mean) / deviation).float()

    def _with_prior(self, sums: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the mean square (frames, features) of the window and the prior, around the
        mean of the training data; `sums` is (frames, 2, features) and `counts` (frames, 1)."""
        prior, total = self._of.prior, self._of.prior + counts
        return sums[:, 0] / total, (sums[:, 1] + prior * self._deviation.square()) / total
