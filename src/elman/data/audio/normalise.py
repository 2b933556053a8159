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
        # (up to `window`, 2, features): sums of the frames, and of their squares, before the next frame and
        # before each of those that are in its window
        self._sums = torch.zeros(1, 2, len(self._mean), dtype=torch.float64)

    def push(self, frames: Tensor) -> Tensor:
        """Return the next frames (frames, features), normalised."""
        values = frames.double() - self._mean
        window = self._of.window
        if not window or not len(frames):
            return (values / self._deviation).float()
        # `cumsum` adds one after another, so that the sums of the last push may stand before
        added = torch.cat([self._sums[-1:], torch.stack([values, values.square()], 1)]).cumsum(0)[1:]
        sums = torch.cat([self._sums, added])
        ends = torch.arange(len(self._sums), len(sums))
        starts = (ends - window).clamp_min(0)
        counts = (torch.arange(1, len(frames) + 1) + self._frames).clamp_max(window)
        mean, square = self._with_prior(sums[ends] - sums[starts], counts[:, None])
        self._frames += len(frames)
        self._sums = sums[-window:].clone()
        floor = MIN_DEVIATION * self._deviation
        deviation = (square - mean.square()).clamp_min(0).sqrt().maximum(floor)
        return ((values - mean) / deviation).float()

    def _with_prior(self, sums: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the mean square (frames, features) of the window and the prior, around the
        mean of the training data; `sums` is (frames, 2, features) and `counts` (frames, 1)."""
        prior, total = self._of.prior, self._of.prior + counts
        return sums[:, 0] / total, (sums[:, 1] + prior * self._deviation.square()) / total
