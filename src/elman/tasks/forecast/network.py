"""The forecasting networks: windows → quantiles, ascending by construction.

In both, the median of a step ahead is a weighted mean of *anchors* (the last value, and the values of the
same phase in earlier seasons, unchanged and moved to today's level) plus a correction; weights and correction
are read off a recurrent state. So an untrained network is a mixture of naive forecasts.

Trained with the pinball loss: Koenker & Bassett 1978. Several steps at once: Wen et al. 2017,
arXiv:1711.11053; one step at a time with sampled paths: Salinas et al. 2020, arXiv:1704.04110.

Shapes: B, C, H, F as in `elman.data.series.windows`; A anchors, Q quantile levels, S steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import as_cell
from elman.data.series.windows import Windows, hold
from elman.nn import Recurrent
from elman.nn.rows import RowProduct
from elman.nn.states import select_rows
from elman.tasks.forecast.settings import Settings

PATHS: Final = 100  # sampled futures of a recursive forecast
MAX_SEASONS: Final = 7  # as anchors
MAX_TARGET: Final = 30.0  # in units of a window's scale; a single absurd step must not decide an update
# Levels of the distribution from which a recursive network samples.
SAMPLED_LEVELS: Final = (0.01, 0.05, *(i / 10 for i in range(1, 10)), 0.95, 0.99)


@dataclass(frozen=True)
class Shape:
    """The sizes of a network.

    Attributes:
        context, horizon, season: in steps; the season is `Settings.network_season`.
        levels: of the quantiles, ascending, with 0.5.
        known: number of features known ahead.
        vocabularies: number of texts of each static column of texts.
    """

    context: int
    horizon: int
    season: int
    levels: tuple[float, ...]
    known: int
    vocabularies: tuple[int, ...]


class DirectNet(nn.Module):
    """Forecasts all steps at once: an encoder reads the context, a decoder the known features of the steps
    ahead."""

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.seasons = max(1, min(MAX_SEASONS, shape.context // shape.season))
        self.static = StaticCodes(shape.vocabularies)
        extra, count = shape.known + self.static.width, 2 * self.seasons + 1
        self.encoder = _recurrent(settings, 3 + extra)
        self.decoder = _recurrent(settings, count + extra + 1)
        self.head = QuantileHead(self.encoder.hidden_size, count, shape.levels, settings.dropout)

    def forward(self, windows: Windows) -> Tensor:
        """Return quantiles (B, H, Q) of the steps ahead, in units of each window's scale."""
        shape, known = self.shape, self.static(windows)
        past = _past_inputs(windows.values, windows.observed, shape.season)
        _, state = self.encoder(torch.cat([past, known[:, : shape.context]], 2).transpose(0, 1))
        steps = torch.arange(shape.horizon, device=past.device)
        now = torch.full_like(steps, shape.context)
        anchored = anchors(windows.values, now + steps, now, shape.season, self.seasons)
        position = (steps / shape.horizon).expand(len(past), -1)[..., None]
        inputs = torch.cat([anchored, known[:, shape.context :], position], 2)
        states, _ = self.decoder(inputs.transpose(0, 1), state)
        quantiles: Tensor = self.head(states.transpose(0, 1), anchored)
        return quantiles

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels of the quantiles that `forward` returns."""
        return self.shape.levels

    def ahead(self, windows: Windows) -> Tensor:
        """Return quantiles (B, H, Q) ahead for the levels of the shape."""
        quantiles: Tensor = self(windows)
        return quantiles


class RecursiveNet(nn.Module):
    """Forecasts one step at a time: a sampled value is the input of the next step."""

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.levels = tuple(sorted({*SAMPLED_LEVELS, *shape.levels}))
        # In training, the steps of half the context are forecast from the other half.
        self.seasons = max(1, min(MAX_SEASONS, shape.context // (2 * shape.season)))
        self.static = StaticCodes(shape.vocabularies)
        count = 2 * self.seasons + 1
        self.encoder = _recurrent(settings, 3 + shape.known + self.static.width + count)
        self.head = QuantileHead(self.encoder.hidden_size, count, self.levels, settings.dropout)

    @property
    def lead(self) -> int:
        """The first step with enough steps before it."""
        return self.shape.season * self.seasons + 1

    def forward(self, windows: Windows) -> Tensor:
        """Return quantiles (B, S, Q) of the last S steps of context and target, each from the true values
        before it (teacher forcing)."""
        values = hold(torch.cat([_unheld(windows), windows.target], 1), self.shape.season)
        observed = torch.cat([windows.observed, (~windows.target.isnan()).float()], 1)
        return self._run(values, observed, self.static(windows), values.shape[1], None)[0]

    def first_ahead(self, windows: Windows) -> tuple[Tensor, Any]:
        """Return quantiles (B, S, Q) of the last steps of the context and of the first ahead, each from the
        values before it, and the state after them."""
        known = self.static(windows)
        return self._run(windows.values, windows.observed, known, self.shape.context + 1, None)

    def ahead(self, windows: Windows) -> Tensor:
        """Return quantiles (B, H, Q) ahead for the levels of the shape, of `PATHS` sampled futures. All calls
        draw the same numbers."""
        generator = torch.Generator().manual_seed(0)
        known = self.static(windows)
        quantiles, state = self.first_ahead(windows)
        values, observed, known, quantiles = (
            part.repeat_interleave(PATHS, 0) for part in (windows.values, windows.observed, known, quantiles)
        )
        rows = torch.arange(len(known) // PATHS, device=known.device)
        state = select_rows(state, rows.repeat_interleave(PATHS))
        for end in range(self.shape.context + 1, self.shape.context + self.shape.horizon + 1):
            drawn = self._draw(quantiles[:, -1], generator)
            values = torch.cat([values, drawn], 1)
            observed = torch.cat([observed, torch.ones_like(drawn)], 1)
            if end < self.shape.context + self.shape.horizon:
                quantiles, state = self._run(values, observed, known, end + 1, state)
        futures = values[:, self.shape.context :].unflatten(0, (-1, PATHS))
        levels = torch.tensor(self.shape.levels, device=values.device)
        ahead: Tensor = futures.quantile(levels, dim=1).permute(1, 2, 0)
        return ahead

    def _run(
        self, values: Tensor, observed: Tensor, known: Tensor, end: int, state: Any
    ) -> tuple[Tensor, Any]:
        """Return quantiles (B, S, Q) of the steps up to `end`, each from the values before it, and the state:
        of all steps from `self.lead` on if there is no state yet, else of step `end - 1` alone."""
        lead = self.lead
        first = lead if state is None else end - 1
        steps = torch.arange(lead, lead + end - first, device=values.device)
        part = slice(first - lead, end - 1)
        anchored = anchors(values[:, part], steps, steps, self.shape.season, self.seasons)
        past = _past_inputs(values[:, part], observed[:, part], self.shape.season)[:, lead - 1 :]
        inputs = torch.cat([past, known[:, first:end], anchored], 2)
        states, state = self.encoder(inputs.transpose(0, 1), state)
        return self.head(states.transpose(0, 1), anchored), state

    def _draw(self, quantiles: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one (B, 1) of each distribution (B, Q), linear between quantiles, cut at the outer ones."""
        levels = torch.tensor(self.levels, device=quantiles.device)
        # One draw in each hundredth, the same for all windows: a forecast doesn't depend on its batch.
        u = (torch.randperm(PATHS, generator=generator) + torch.rand(PATHS, generator=generator)) / PATHS
        u = u.to(levels.device).clamp(levels[0], levels[-1]).repeat(len(quantiles) // PATHS)
        above = torch.searchsorted(levels, u).clamp(1, len(levels) - 1)[:, None]
        share = (u[:, None] - levels[above - 1]) / (levels[above] - levels[above - 1])
        return torch.lerp(quantiles.gather(1, above - 1), quantiles.gather(1, above), share)


class QuantileHead(nn.Module):
    """States (B, S, hidden) and anchors (B, S, A) → ascending quantiles (B, S, Q)."""

    def __init__(self, hidden: int, count: int, levels: Sequence[float], dropout: float) -> None:
        super().__init__()
        self.count, self.middle = count, tuple(levels).index(0.5)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, count + len(levels))
        # At first the latest season weighs most, the correction is 0, and the quantiles are close together.
        recency = [-float(age) for age in range((count - 1) // 2)]
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([*recency, *recency, 0.0, 0.0, *[-2.0] * (len(levels) - 1)]))

    def forward(self, states: Tensor, anchored: Tensor) -> Tensor:
        parts = [self.count, 1, self.out.out_features - self.count - 1]
        weights, correction, rises = self._product(self.dropout(states)).split_with_sizes(parts, -1)
        median = (weights.softmax(-1) * anchored).sum(-1, keepdim=True) + correction
        rises = F.softplus(rises)
        below = rises[..., : self.middle].flip(-1).cumsum(-1).flip(-1)
        above = rises[..., self.middle :].cumsum(-1)
        return torch.cat([median - below, median, median + above], -1)

    def _product(self, states: Tensor) -> Tensor:
        """Return what the rows of states give: without gradients, the same bits among any other rows."""
        if torch.is_grad_enabled() or states.dtype != torch.float32 or not states.is_cpu:
            product: Tensor = self.out(states)
            return product
        rows = RowProduct(self.out.weight, self.out.bias)(states.flatten(0, 1).numpy())
        return torch.from_numpy(rows).view(*states.shape[:2], -1)


class StaticCodes(nn.Module):
    """Learned vectors for the static texts of a series, beside the known features of every step."""

    def __init__(self, vocabularies: Sequence[int]) -> None:
        super().__init__()
        # Code 0, a text that training hasn't seen, has the vector 0.
        self.tables = nn.ModuleList(nn.Embedding(n + 1, min(8, n), padding_idx=0) for n in vocabularies)
        self.width = sum(min(8, n) for n in vocabularies)

    def forward(self, windows: Windows) -> Tensor:
        """Return the known features with the vectors appended (B, C + H, F + width)."""
        vectors = [table(windows.codes[:, i]) for i, table in enumerate(self.tables)]
        steps = windows.known.shape[1]
        return torch.cat([windows.known, *(v[:, None].expand(-1, steps, -1) for v in vectors)], 2)


def anchors(values: Tensor, at: Tensor, now: Tensor, season: int, seasons: int) -> Tensor:
    """Return the anchors (B, S, A) of steps `at` (S,), each from the values (B, T) before `now[s]`.

    They are the values of the same phase in the last `seasons` seasons; the same, moved by as much as the
    level (the mean of a season) has changed since; and the last value.
    """
    sums = F.pad(values.cumsum(1), (1, 0))
    level = (sums[:, now] - sums[:, now - season]) / season
    phase = now + (at - now) % season
    plain, moved = [], []
    for back in range(season, season * seasons + 1, season):
        value = values[:, phase - back]
        past_level = (sums[:, now - back + season] - sums[:, now - back]) / season
        plain.append(value)
        # The latest season has today's level already, and is moved to the last value instead.
        moved.append(value + level - past_level if back > season else value + values[:, now - 1] - level)
    return torch.stack([*plain, *moved, values[:, now - 1]], -1)


def pinball(quantiles: Tensor, target: Tensor, levels: Sequence[float]) -> tuple[Tensor, int]:
    """Return the pinball loss of quantiles (B, S, Q), averaged over levels and summed over the known targets
    (B, S), and the number of these."""
    observed = ~target.isnan()
    true = target.clamp(-MAX_TARGET, MAX_TARGET).nan_to_num()[..., None]
    error = true - quantiles
    level = torch.tensor(levels, device=quantiles.device, dtype=quantiles.dtype)
    loss = torch.maximum(level * error, (level - 1) * error).mean(-1)
    return (loss * observed).sum(), int(observed.sum())


def truth(windows: Windows, steps: int) -> Tensor:
    """Return the true values (B, steps) of the last steps of context and target, NaN where missing."""
    return torch.cat([_unheld(windows), windows.target], 1)[:, -steps:]


def _recurrent(settings: Settings, inputs: int) -> Recurrent:
    assert settings.hidden is not None
    between = settings.dropout if settings.layers > 1 else 0.0
    return Recurrent(as_cell(settings.cell), inputs, settings.hidden, settings.layers, dropout=between)


def _unheld(windows: Windows) -> Tensor:
    return windows.values.masked_fill(windows.observed == 0, float("nan"))


def _past_inputs(values: Tensor, observed: Tensor, season: int) -> Tensor:
    """Return the value, whether it was observed, and its change over a season, for every step (B, T, 3)."""
    change = (values[:, season:] - values[:, :-season]) * observed[:, season:] * observed[:, :-season]
    return torch.stack([values, observed, F.pad(change, (season, 0))], -1)
