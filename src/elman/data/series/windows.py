"""Windows of series for a network: a context that ends at a cut-off, and the steps to forecast after.

Every window is centred and scaled by its own context, so nothing after the cut-off can reach the inputs.
Shapes: B windows, C steps of context, H steps ahead, F known features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elman.data.series.features import Features
from elman.data.series.panel import Array, Panel

# Windows by (series, cut-off), a cut-off being the first step to forecast.
Pairs = list[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Windows:
    """A batch of windows, in units of each context.

    values (B, C): scaled, gaps filled by `hold`; observed (B, C): 1 where they were known; target (B, H):
    scaled, NaN where missing; known (B, C + H, F); codes (B, S): static texts as numbers; center and scale
    (B, 1) in float64: y = center + scale * scaled.
    """

    values: Tensor
    observed: Tensor
    target: Tensor
    known: Tensor
    codes: Tensor
    center: Tensor
    scale: Tensor

    def to(self, device: torch.device) -> "Windows":
        return Windows(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class WindowStore:
    """All series of a panel end to end in memory, to cut any window from by index."""

    def __init__(self, panel: Panel, features: Features, context: int, horizon: int, season: int) -> None:
        self.lengths = np.array([len(s.values) for s in panel.series])
        # Every series is padded by a context before and a horizon after, so that no window needs care.
        sizes = self.lengths + context + horizon
        self.starts = torch.from_numpy(np.cumsum(sizes) - sizes + context)
        self.values = torch.full((int(sizes.sum()),), float("nan"), dtype=torch.float64)
        known = []
        for start, series, size in zip(self.starts.tolist(), panel.series, sizes.tolist(), strict=True):
            self.values[start : start + len(series.values)] = torch.from_numpy(series.values)
            known.append(features.known(panel, series, -context, size))
        self.known = torch.from_numpy(np.concatenate(known))
        self.codes = torch.tensor([features.codes(s) for s in panel.series], dtype=torch.int64)
        self.steps = torch.arange(-context, horizon)
        self.context, self.season = context, season

    def targets(self, pairs: Sequence[tuple[int, int]]) -> Array:
        """What came after the cut-offs of some (series, cut-off) pairs (B, H), in units of their scales."""
        return np.asarray(self.cut(pairs).target.double().numpy())

    def cut(self, pairs: Sequence[tuple[int, int]]) -> Windows:
        """The windows of some (series, cut-off) pairs."""
        which, cutoffs = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).unbind(1)
        at = (self.starts[which] + cutoffs)[:, None] + self.steps
        cut = self.values[at]
        context, target = cut[:, : self.context], cut[:, self.context :]
        center, scale = center_and_scale(context)
        observed = ~context.isnan()
        return Windows(
            hold((context - center) / scale, self.season).float(),
            observed.float(),
            ((target - center) / scale).float(),
            self.known[at],
            self.codes[which],
            center,
            scale,
        )


def center_and_scale(context: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B, 1) of the known values of every context (B, C) in float64.

    A constant context is scaled by a tenth of its level, and zeros by 1: nothing is divided by 0.
    """
    observed = ~context.isnan()
    count = observed.sum(1, keepdim=True).clamp(min=1)
    center = context.nan_to_num().sum(1, keepdim=True) / count
    spread = ((context - center).nan_to_num() ** 2).sum(1, keepdim=True).div(count).sqrt()
    level = center.abs()
    flat = torch.where(level > 0, 0.1 * level, torch.ones_like(level))
    return center, torch.where(spread > 1e-9 * level, spread, flat)


def hold(values: Tensor, season: int) -> Tensor:
    """(B, T) without NaN: a gap takes the last known value, and steps before the first known one the value
    of the same phase in the first known season. A row without any value becomes 0."""
    steps = torch.arange(values.shape[1], device=values.device).expand_as(values)
    missing = values.isnan()
    last = torch.where(missing, -1, steps).cummax(1).values
    first = (last < 0).sum(1, keepdim=True)
    wait = torch.div(first - steps + season - 1, season, rounding_mode="floor")
    later = (steps + season * wait).clamp(max=values.shape[1] - 1)
    later = last.gather(1, later)  # which may be a gap itself
    source = torch.where(last >= 0, last, later)
    held = values.gather(1, source.clamp(min=0))
    return torch.where(source < 0, torch.zeros_like(held), held)
