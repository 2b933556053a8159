"""Windows of series for a network: a context that ends at a cutoff, and the steps to forecast after it.

Each window is centred and scaled by its own context, so no value after the cutoff can reach the inputs.
Shapes: B windows, C steps of context, H steps ahead, F known inputs, S static columns of texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from elman.data.series.features import Features
from elman.data.series.panel import Panel
from elman.data.series.rows import Array

# A jump of more scales than this would be infinite in float32.
MAX_SCALED: Final = 1e30
# Windows as (series, cutoff); the cutoff is the first step to forecast.
Cutoffs = list[tuple[int, int]]


@dataclass(eq=False)  # not frozen: Fabric makes copies in the precision of a training
class Windows:
    """A batch of windows, each scaled by its context."""

    values: Tensor  # (B, C) scaled values, with gaps filled by `hold`
    observed: Tensor  # (B, C) 1 where the value is known, else 0
    target: Tensor  # (B, H) scaled values to forecast, NaN where missing
    known: Tensor  # (B, C + H, F) known inputs
    codes: Tensor  # (B, S) static texts as numbers
    center: Tensor  # (B, 1) in float64; value = center + scale * scaled value
    scale: Tensor  # (B, 1) in float64

    def to(self, device: torch.device) -> "Windows":
        return Windows(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class WindowStore:
    """All series of a panel concatenated in memory, from which any window is cut by index."""

    def __init__(self, panel: Panel, features: Features, context: int, horizon: int, season: int) -> None:
        self.lengths = np.array([len(s.values) for s in panel.series])
        # Each series is padded by a context before and a horizon after, so that every window lies inside.
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

    def targets(self, cutoffs: Sequence[tuple[int, int]]) -> Array:
        """Return the scaled values (B, H) after each (series, cutoff), in float64."""
        values = self.values[self._indices(cutoffs)]
        center, scale = center_and_scale(values[:, : self.context])
        return np.asarray(((values[:, self.context :] - center) / scale).numpy())

    def cut(self, cutoffs: Sequence[tuple[int, int]]) -> Windows:
        """Return the window of each (series, cutoff)."""
        indices = self._indices(cutoffs)
        values = self.values[indices]
        context, target = values[:, : self.context], values[:, self.context :]
        center, scale = center_and_scale(context)
        observed = ~context.isnan()
        return Windows(
            hold((context - center) / scale, self.season).float(),
            observed.float(),
            ((target - center) / scale).clamp(-MAX_SCALED, MAX_SCALED).float(),
            self.known[indices],
            self.codes[[series for series, _ in cutoffs]],
            center,
            scale,
        )

    def _indices(self, cutoffs: Sequence[tuple[int, int]]) -> Tensor:
        """Return where the steps (B, C + H) of each window lie in memory."""
        series, first = torch.tensor(cutoffs, dtype=torch.int64).reshape(-1, 2).unbind(1)
        return (self.starts[series] + first)[:, None] + self.steps


def center_and_scale(context: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation (B, 1) of the known values of each context (B, C), in float64.

    To avoid division by 0, the scale of a constant context is a tenth of its level, or 1 if all are zero.
    """
    observed = ~context.isnan()
    count = observed.sum(1, keepdim=True).clamp(min=1)
    center = context.nan_to_num().sum(1, keepdim=True) / count
    away = (context - center).nan_to_num()
    # The squares of very large or small values would overflow or vanish: these are taken in units of the
    # largest, rounded to a power of 2, which changes no digit.
    unit = torch.exp2(torch.frexp(away.abs().amax(1, keepdim=True)).exponent.double())
    extreme = (unit > 1e100) | (unit < 1e-100)
    unit = torch.where(extreme, unit, torch.ones_like(unit))
    spread = ((away / unit) ** 2).sum(1, keepdim=True).div(count).sqrt() * unit
    level = center.abs()
    tenth = 0.1 * level
    flat = torch.where(tenth > 0, tenth, torch.ones_like(level))
    return center, torch.where(spread > 1e-9 * level, spread, flat)


def hold(values: Tensor, season: int) -> Tensor:
    """Fill the missing values of a batch (B, T).

    A gap takes the last known value. Steps before the first known one take the value of the same phase in the
    first known season. A row without values becomes 0.
    """
    steps = torch.arange(values.shape[1], device=values.device).expand_as(values)
    missing = values.isnan()
    last = torch.where(missing, -1, steps).cummax(1).values
    first = (last < 0).sum(1, keepdim=True)
    wait = torch.div(first - steps + season - 1, season, rounding_mode="floor")
    later = (steps + season * wait).clamp(max=values.shape[1] - 1)
    later = last.gather(1, later)  # it may be a gap itself
    source = torch.where(last >= 0, last, later)
    filled = values.gather(1, source.clamp(min=0))
    return torch.where(source < 0, torch.zeros_like(filled), filled)
