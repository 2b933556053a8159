"""Training a forecasting network: which windows it sees, and which choose the best of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from elman.data.series.windows import Pairs, WindowStore
from elman.tasks.forecast.network import pinball, truth
from elman.tasks.forecast.settings import Division, epoch_windows
from elman.training.loop import Plan, device_of, share


class WindowProblem:
    """Minimise the pinball loss of windows drawn from all series, as a `training.Problem`.

    The latest weights are the best: the steps that validate are few and may be an odd time (a recession), on
    which hardly trained weights do best. What validation decides is the blend with the naive forecast.
    `levels` are those of the network's quantiles.
    """

    score = "epoch"
    maximize = True

    def __init__(self, store: WindowStore, division: Division, levels: Sequence[float], plan: Plan) -> None:
        self.store, self.division, self.levels, self.plan = store, division, tuple(levels), plan
        self.epoch = 0

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Pairs]:
        """Windows drawn at random; a series' share grows with the root of its length, so that none drowns."""
        self.epoch = epoch
        rng = np.random.default_rng((self.plan.seed, epoch))
        size = self.plan.batch_size
        first, last = np.array(self.division.first), np.array(self.division.last)
        weights = np.sqrt(last - first + 1)
        count = epoch_windows(self.division.windows, size) // size * size
        series = rng.choice(len(weights), count, p=weights / weights.sum())
        cutoffs = rng.integers(first[series], last[series] + 1)
        pairs = list(zip(series.tolist(), cutoffs.tolist(), strict=True))
        whole = [list(range(i, i + size)) for i in range(0, count, size)]
        return [[pairs[i] for i in batch] for batch in share(whole, rank, world)]

    def loss(self, model: nn.Module, batch: Pairs, state: Any) -> tuple[Tensor, float, None]:
        """Sum of the pinball loss over the batch's known steps, and their number."""
        windows = self.store.cut(batch).to(device_of(model))
        quantiles = model(windows)
        total, count = pinball(quantiles, truth(windows, quantiles.shape[1]), self.levels)
        return total, float(count), None

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """The mean pinball loss of the steps ahead of the validation windows."""
        total, count = 0.0, 0
        for start in range(0, len(self.division.valid), 256):
            windows = self.store.cut(self.division.valid[start : start + 256]).to(device_of(model))
            ahead = windows.target.shape[1]
            part, known = pinball(model(windows)[:, -ahead:], windows.target, self.levels)
            total, count = total + float(part), count + known
        return {"epoch": self.epoch + 1, "loss": total / max(count, 1)}
