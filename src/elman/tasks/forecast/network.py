"""The forecasting networks: windows → quantiles that rise by construction.

Both lean on the past: every step ahead is a weighted mean of *anchors* (the last value, and the same phase of
earlier seasons, as it was and moved to the level of today) plus a correction, all read off a recurrent state.
So they start out as a mixture of the naive forecasts and learn where to leave them.

Trained with the pinball loss: Koenker & Bassett 1978. Several steps at once: Wen et al. 2017,
arXiv:1711.11053; one step at a time with sampled paths: Salinas et al. 2020, arXiv:1704.04110.

Shapes: B, C, H, F as in `elman.data.series.windows`; A anchors, Q quantile levels, S steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import CELLS
from elman.data.series.windows import Windows, hold
from elman.nn import Recurrent

PATHS = 100  # sampled futures of a recursive forecast


@dataclass(frozen=True)
class Shape:
    """What a network must know of the data; `levels` rise and hold 0.5."""

    context: int
    horizon: int
    season: int
    levels: tuple[float, ...]
    known: int
    vocabularies: tuple[int, ...]

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Shape":
        """From JSON, which has no tuples."""
        lists = {name: tuple(found[name]) for name in ("levels", "vocabularies")}
        return cls(**found | lists)


class DirectNet(nn.Module):
    """All steps at once: an encoder reads the context, then a decoder what is known of each step ahead."""

    def __init__(self, shape: Shape, cell: str, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        self.seasons = max(1, min(7, shape.context // shape.season))
        self.static = StaticCodes(shape.vocabularies)
        extra, count = shape.known + self.static.width, 2 * self.seasons + 1
        between = dropout if layers > 1 else 0.0
        self.encoder = Recurrent(CELLS[cell], 3 + extra, hidden, layers, dropout=between)
        self.decoder = Recurrent(CELLS[cell], count + extra + 1, hidden, layers, dropout=between)
        self.head = QuantileHead(hidden, count, shape.levels, dropout)

    def forward(self, windows: Windows) -> Tensor:
        """Quantiles (B, H, Q) of the steps ahead, in units of each window's scale."""
        shape, known = self.shape, self.static(windows)
        past = _past_inputs(windows.values, windows.observed, shape.season)
        _, state = self.encoder(torch.cat([past, known[:, : shape.context]], 2).transpose(0, 1))
        steps = torch.arange(shape.horizon, device=past.device)
        now = torch.full_like(steps, shape.context)
        anchored = anchors(windows.values, now + steps, now, shape.season, self.seasons)
        place = (steps / shape.horizon).expand(len(past), -1)[..., None]
        inputs = torch.cat([anchored, known[:, shape.context :], place], 2)
        states, _ = self.decoder(inputs.transpose(0, 1), state)
        quantiles: Tensor = self.head(states.transpose(0, 1), anchored)
        return quantiles

    @property
    def levels(self) -> tuple[float, ...]:
        """Of the quantiles that `forward` gives."""
        return self.shape.levels

    def ahead(self, windows: Windows) -> Tensor:
        """Quantiles (B, H, Q) ahead for the levels of the shape."""
        quantiles: Tensor = self(windows)
        return quantiles


class RecursiveNet(nn.Module):
    """One step at a time: a sample of the value forecast is the next step's input."""

    def __init__(self, shape: Shape, cell: str, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        # Sampling needs the whole distribution, not only the quantiles that were asked for.
        self.levels = tuple(sorted({0.01, 0.05, *(i / 10 for i in range(1, 10)), 0.95, 0.99, *shape.levels}))
        # The steps of half the context are forecast from the other half.
        self.seasons = max(1, min(7, shape.context // (2 * shape.season)))
        self.static = StaticCodes(shape.vocabularies)
        count = 2 * self.seasons + 1
        width = 3 + shape.known + self.static.width + count
        self.encoder = Recurrent(CELLS[cell], width, hidden, layers, dropout=dropout if layers > 1 else 0.0)
        self.head = QuantileHead(hidden, count, self.levels, dropout)

    @property
    def _first(self) -> int:
        """The first step with enough steps before it."""
        return self.shape.season * self.seasons + 1

    def forward(self, windows: Windows) -> Tensor:
        """Quantiles (B, S, Q) of the last S steps of context and target, each from the truth before it."""
        values = hold(torch.cat([_unheld(windows), windows.target], 1), self.shape.season)
        observed = torch.cat([windows.observed, (~windows.target.isnan()).float()], 1)
        return self._run(values, observed, self.static(windows), values.shape[1], None)[0]

    def ahead(self, windows: Windows) -> Tensor:
        """Quantiles (B, H, Q) ahead for the levels of the shape, of `PATHS` futures, sampled the same way
        in every call."""
        generator = torch.Generator().manual_seed(0)
        known = self.static(windows)
        quantiles, state = self._run(windows.values, windows.observed, known, self.shape.context + 1, None)
        values, observed, known, quantiles = (
            part.repeat_interleave(PATHS, 0) for part in (windows.values, windows.observed, known, quantiles)
        )
        state = _repeat(state, PATHS)
        for end in range(self.shape.context + 1, self.shape.context + self.shape.horizon + 1):
            drawn = self._draw(quantiles[:, -1], generator)
            values = torch.cat([values, drawn], 1)
            observed = torch.cat([observed, torch.ones_like(drawn)], 1)
            if end < self.shape.context + self.shape.horizon:
                quantiles, state = self._run(values, observed, known, end + 1, state)
        futures = values[:, self.shape.context :].unflatten(0, (-1, PATHS))
        levels = torch.tensor(self.shape.levels, device=values.device)
        found: Tensor = futures.quantile(levels, dim=1).permute(1, 2, 0)
        return found

    def _run(
        self, values: Tensor, observed: Tensor, known: Tensor, end: int, state: object
    ) -> tuple[Tensor, object]:
        """Quantiles (B, S, Q) of the steps up to `end`, each from the values before it; without a state from
        the first step that has enough steps before it, with one only of step `end - 1`."""
        look = self._first
        first = look if state is None else end - 1
        steps = torch.arange(look, look + end - first, device=values.device)
        part = slice(first - look, end - 1)
        anchored = anchors(values[:, part], steps, steps, self.shape.season, self.seasons)
        past = _past_inputs(values[:, part], observed[:, part], self.shape.season)[:, look - 1 :]
        inputs = torch.cat([past, known[:, first:end], anchored], 2)
        states, state = self.encoder(inputs.transpose(0, 1), state)
        return self.head(states.transpose(0, 1), anchored), state

    def _draw(self, quantiles: Tensor, generator: torch.Generator) -> Tensor:
        """One value (B, 1) of each distribution (B, Q): linear between quantiles, cut at the outer ones."""
        levels = torch.tensor(self.levels, device=quantiles.device)
        # One draw in each hundredth, the same for all windows: a forecast does not depend on its batch.
        u = (torch.randperm(PATHS, generator=generator) + torch.rand(PATHS, generator=generator)) / PATHS
        u = u.to(levels.device).clamp(levels[0], levels[-1]).repeat(len(quantiles) // PATHS)
        above = torch.searchsorted(levels, u).clamp(1, len(levels) - 1)[:, None]
        share = (u[:, None] - levels[above - 1]) / (levels[above] - levels[above - 1])
        return torch.lerp(quantiles.gather(1, above - 1), quantiles.gather(1, above), share)


class QuantileHead(nn.Module):
    """States (B, S, hidden) and anchors (B, S, A) → quantiles (B, S, Q) that rise."""

    def __init__(self, hidden: int, count: int, levels: Sequence[float], dropout: float) -> None:
        super().__init__()
        self.count, self.middle = count, tuple(levels).index(0.5)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, count + len(levels))
        # At first the latest season counts most, nothing is corrected, and the quantiles are close together.
        seasons = (count - 1) // 2
        trust = -torch.arange(seasons, dtype=torch.float32)
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(
                torch.cat([trust, trust, torch.zeros(2), torch.full((len(levels) - 1,), -2.0)])
            )

    def forward(self, states: Tensor, anchored: Tensor) -> Tensor:
        weights, correction, rises = self.out(self.dropout(states)).split(
            [self.count, 1, self.out.out_features - self.count - 1], -1
        )
        median = (weights.softmax(-1) * anchored).sum(-1, keepdim=True) + correction
        rises = F.softplus(rises)
        below = rises[..., : self.middle].flip(-1).cumsum(-1).flip(-1)
        above = rises[..., self.middle :].cumsum(-1)
        return torch.cat([median - below, median, median + above], -1)


class StaticCodes(nn.Module):
    """Learned vectors for the static texts of a series, beside the known features of every step."""

    def __init__(self, vocabularies: Sequence[int]) -> None:
        super().__init__()
        # Text 0 is one never seen in training: its vector is zero and stays so.
        self.tables = nn.ModuleList(nn.Embedding(n + 1, min(8, n), padding_idx=0) for n in vocabularies)
        self.width = sum(min(8, n) for n in vocabularies)

    def forward(self, windows: Windows) -> Tensor:
        """Known features with the vectors appended (B, C + H, F + width)."""
        vectors = [table(windows.codes[:, i]) for i, table in enumerate(self.tables)]
        steps = windows.known.shape[1]
        return torch.cat([windows.known, *(v[:, None].expand(-1, steps, -1) for v in vectors)], 2)


def anchors(values: Tensor, at: Tensor, now: Tensor, season: int, seasons: int) -> Tensor:
    """What step `at[s]` could be, going by the values (B, T) before `now[s]`: (B, S, A).

    For each of the last `seasons` seasons the value of the same phase, then the same moved by as much as the
    level (the mean of a season) has changed since; and the last value.
    """
    sums = F.pad(values.cumsum(1), (1, 0))
    level = (sums[:, now] - sums[:, now - season]) / season
    phase = now + (at - now) % season
    plain, moved = [], []
    for back in range(season, season * seasons + 1, season):
        there = values[:, phase - back]
        then = (sums[:, now - back + season] - sums[:, now - back]) / season
        plain.append(there)
        # The latest season has today's level; it is moved to the last value instead.
        moved.append(there + level - then if back > season else there + values[:, now - 1] - level)
    return torch.stack([*plain, *moved, values[:, now - 1]], -1)


def pinball(quantiles: Tensor, target: Tensor, levels: Sequence[float]) -> tuple[Tensor, int]:
    """Mean pinball loss of quantiles (B, S, Q), summed over the known targets (B, S); and their number."""
    known = ~target.isnan()
    # A single absurd step must not decide an update.
    true = target.clamp(-30, 30).nan_to_num()[..., None]
    error = true - quantiles
    level = torch.tensor(levels, device=quantiles.device, dtype=quantiles.dtype)
    loss = torch.maximum(level * error, (level - 1) * error).mean(-1)
    return (loss * known).sum(), int(known.sum())


def truth(windows: Windows, steps: int) -> Tensor:
    """The true values (B, steps) of the last steps of context and target; NaN where missing."""
    return torch.cat([_unheld(windows), windows.target], 1)[:, -steps:]


def _unheld(windows: Windows) -> Tensor:
    return windows.values.masked_fill(windows.observed == 0, float("nan"))


def _past_inputs(values: Tensor, observed: Tensor, season: int) -> Tensor:
    """Value, whether it was observed, and its change over a season, for every step (B, T, 3)."""
    change = (values[:, season:] - values[:, :-season]) * observed[:, season:] * observed[:, :-season]
    return torch.stack([values, observed, F.pad(change, (season, 0))], -1)


def _repeat(state: object, times: int) -> object:
    """Every sequence's state `times` times over; the batch is the second axis."""
    if isinstance(state, Tensor):
        return state.repeat_interleave(times, 1)
    assert isinstance(state, tuple)
    return tuple(part.repeat_interleave(times, 1) for part in state)
