"""The loss and validation of a forecasting network, and the windows of its batches."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from elman.data.series.windows import Cutoffs, WindowStore
from elman.tasks.forecast.network import pinball, truth
from elman.tasks.forecast.settings import epoch_windows
from elman.tasks.forecast.split import Split
from elman.training.plan import Plan
from elman.training.problem import device_of, share

MAX_WINDOWS: Final = 256  # validated at once


class WindowProblem:
    """Minimise the pinball loss of windows drawn from all series.

    The latest weights count as the best: the validation steps are few and may be an unusual time (a
    recession), on which hardly trained weights do best. Validation decides the blend instead.

    Args:
        levels: of the network's quantiles.
    """

    score = "epoch"
    maximize = True

    def __init__(self, store: WindowStore, split: Split, levels: Sequence[float], plan: Plan) -> None:
        self.store, self.split, self.levels, self.plan = store, split, tuple(levels), plan
        self.epoch = 0

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Cutoffs]:
        """Draw windows at random; a series' share grows with the root of its number of windows, so that short
        series count too."""
        self.epoch = epoch
        rng = np.random.default_rng((self.plan.seed, epoch))
        size = self.plan.batch_size
        first, last = np.array(self.split.first), np.array(self.split.last)
        weights = np.sqrt(last - first + 1)
        count = epoch_windows(self.split.windows, size) // size * size
        series = rng.choice(len(weights), count, p=weights / weights.sum())
        steps = rng.integers(first[series], last[series] + 1)
        cutoffs = list(zip(series.tolist(), steps.tolist(), strict=True))
        whole = [list(range(i, i + size)) for i in range(0, count, size)]
        return [[cutoffs[i] for i in batch] for batch in share(whole, rank, world)]

    def loss(self, model: nn.Module, batch: Cutoffs, state: Any) -> tuple[Tensor, float, None]:
        """Return the sum of the pinball loss over the batch's known steps, and their number."""
        windows = self.store.cut(batch).to(device_of(model))
        quantiles = model(windows)
        total, count = pinball(quantiles, truth(windows, quantiles.shape[1]), self.levels)
        return total, float(count), None

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Return the mean pinball loss of the steps ahead of the validation windows."""
        total, count = 0.0, 0
        for start in range(0, len(self.split.valid), MAX_WINDOWS):
            windows = self.store.cut(self.split.valid[start : start + MAX_WINDOWS]).to(device_of(model))
            ahead = windows.target.shape[1]
            part, steps = pinball(model(windows)[:, -ahead:], windows.target, self.levels)
            total, count = total + float(part), count + steps
        return {"epoch": self.epoch + 1, "loss": total / max(count, 1)}
