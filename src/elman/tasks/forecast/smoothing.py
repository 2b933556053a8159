"""Exponential smoothing and Theta, as banks of recurrent units.

Each unit of a bank is a cell of `elman.cells` with fixed rates, and all units smooth all series in one scan.
The best initial state of a unit has a closed form, because its errors are linear in it. The forecast of a
bank is the mean of its units, weighted by how well each has foreseen the series one step ahead (Akaike
weights: Kolassa 2011, "Combining exponential smoothing forecasts using Akaike weights").

A season is taken out before and put back afterwards, as Assimakopoulos & Nikolopoulos 2000 do for Theta.

Shapes: R series (rows), T steps, K units of a bank, P parts of an initial state, H steps ahead.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from elman.cells import Cell, DampedTrend, Theta
from elman.nn import Recurrent
from elman.tasks.forecast.seasonal import Adjusted, Array, adjust, smoothed_steps

MAX_OUTPUTS: Final = 1_000_000  # numbers that a scan returns, so that they stay in a cache
MIN_ALIKE: Final = 4
ALPHAS: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
TREND_RATES: Final = (0.0, 0.1, 0.3)  # beta / alpha
DAMPING: Final = (0.85, 0.93, 0.98, 1.0)
THETAS: Final = (1.0, 1.5, 2.0, 3.0, 5.0, 20.0)
# Of the initial level about the first value, and of the initial trend about 0, in units of a series: for one
# value; for n values, an n-th of it, as the trend of a short series is a larger part of all that it moves.
LEVEL_VARIANCE, TREND_VARIANCE, NO_VARIANCE = 1000.0, 15.0, 1e-10
# Values whose line Theta follows: about a horizon, since it is carried so far; but these at least.
MIN_LINE, MIN_LINE_SEASONS = 6, 3
TREND_COST: Final = 4.0  # of the two parameters of a trend, in log-likelihood
TEMPER: Final = 0.7  # of the weights: errors of neighbours are alike, and less evidence than they seem
MIN_ERROR: Final = 1e-9  # of one step, in units of a series

Weights = dict[str, Array]


@dataclass(frozen=True, eq=False)
class Bank:
    """Units of one cell, and how their states forecast.

    Attributes:
        weights: of the cell by name, (K,) each.
        costs: (K,) of the parameters of each unit, in log-likelihood.
        inputs: values (T, R), 0 where they are not known, where they are, and about how many of the last
            ones count → inputs of the cell (T, R, I).
        impulses: (P - 1, S) initial states that are parameters, a number for each state of the cell.
        variances: (P - 1, K) of these parameters for one value.
        first: the state that begins at the first value.
        skipped: first steps whose errors don't count.
        ahead: weights, final states (S, R, K), last inputs (R, I) and H → forecasts (R, K, H).
        responses: weights and H → what an error now adds to the forecasts (K, H) after the first.
    """

    cell: Cell
    weights: Weights
    costs: Array
    inputs: Callable[[Array, Array, int], Array]
    impulses: tuple[tuple[float, ...], ...]
    variances: Array
    first: int
    skipped: int
    ahead: Callable[[Weights, Tensor, Tensor, int], Tensor]
    responses: Callable[[Weights, int], Array]

    @functools.cached_property
    def layer(self) -> Recurrent:
        """The bank as a layer, whose input matrix hands every gate its own input."""
        gates, units = len(self.cell.gates), len(self.costs)
        layer = Recurrent(self.cell, gates, units, bias=False, dtype=torch.float64)
        layer.eval().requires_grad_(False)
        parameters = dict(layer.named_parameters())
        parameters["weight_ih_l0"].copy_(torch.eye(gates).repeat_interleave(units, 0))
        for name, values in self.weights.items():
            parameters[f"{name}_l0"].copy_(torch.from_numpy(values))
        return layer


def forecast(
    bank: Bank, histories: Sequence[Array], horizon: int, season: int, steps: int | None = None
) -> tuple[Array, Array]:
    """Return the forecasts (R, H) after each history (n,), and the standard deviations (R, H) of their
    errors, as far as the bank can tell. H is `steps`, by default the horizon for which a bank is set."""
    steps = horizon if steps is None else steps
    memory = max(horizon, MIN_LINE_SEASONS * season if season > 1 else MIN_LINE)
    values, deviations = np.empty((2, len(histories), steps))
    adjusted, units = [], np.empty(len(histories))
    for row, history in enumerate(histories):
        one, units[row] = _adjusted(history, steps, season)
        adjusted.append(one)
    for rows in _chunks([one.history for one in adjusted], bank):
        center, scale, scaled = _standardised([adjusted[row].history for row in rows])
        means, spreads = _smooth(bank, scaled, memory, steps)
        factors = np.stack([adjusted[row].factors for row in rows])
        offsets = np.stack([adjusted[row].offsets for row in rows])
        unit = units[rows, None]
        values[rows] = ((center + scale * means) * factors + offsets) * unit
        deviations[rows] = scale * spreads * factors * unit
    return values, deviations


def without_season(histories: Sequence[Array], values: Array, season: int) -> Array:
    """Return the forecasts (R, H) of a bank after these histories without the season that was put back."""
    plain = np.empty_like(values)
    for row, history in enumerate(histories):
        one, unit = _adjusted(history, values.shape[1], season)
        plain[row] = (values[row] / unit - one.offsets) / one.factors * unit
    return plain


def _adjusted(history: Array, steps: int, season: int) -> tuple[Adjusted, float]:
    """Return the part of a history that is smoothed, without its season, and its unit: its largest value."""
    recent = history[-smoothed_steps(season) :]
    sizes = np.abs(recent[~np.isnan(recent)])
    unit = float(sizes.max()) if sizes.any() else 1.0
    return adjust(recent / unit, steps, season), unit


def _chunks(histories: Sequence[Array], bank: Bank) -> Iterator[list[int]]:
    """Yield the rows of one scan each: many with the same gaps, or others of similar length."""
    groups: dict[bytes, list[int]] = {}
    for row in sorted(range(len(histories)), key=lambda row: len(histories[row])):
        groups.setdefault(np.isnan(histories[row]).tobytes(), []).append(row)
    alike = [rows for rows in groups.values() if len(rows) >= MIN_ALIKE]
    others = [row for rows in groups.values() if len(rows) < MIN_ALIKE for row in rows]
    for rows, parts in [*((rows, 1) for rows in alike), (others, 1 + len(bank.impulses))]:
        while rows:
            width = parts * len(bank.costs) * max(len(histories[rows[-1]]), 1)
            count = max(MAX_OUTPUTS // width, 1)
            yield rows[-count:]
            rows = rows[:-count]


def _standardised(histories: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Return means (R, 1) and standard deviations (R, 1), 1 for constants; and the histories in these units
    (T, R), which end in NaN if they are shorter than the longest."""
    values = np.full((max(map(len, histories)), len(histories)), np.nan)
    for row, history in enumerate(histories):
        values[: len(history), row] = history
    observed = ~np.isnan(values)
    count = np.maximum(observed.sum(0), 1)
    first = values[observed.argmax(0), np.arange(len(histories))]
    center = first + np.where(observed, values - first, 0.0).sum(0) / count  # exact for a constant
    center = np.nan_to_num(center)
    scale = np.sqrt(np.where(observed, values - center, 0.0).__pow__(2).sum(0) / count)
    scale = np.where(scale > 1e-12, scale, 1.0)
    return center[:, None], scale[:, None], (values - center) / scale


def _smooth(bank: Bank, values: Array, memory: int, steps: int) -> tuple[Array, Array]:
    """Return forecasts (R, H) and deviations (R, H) after standardised values (T, R)."""
    observed = ~np.isnan(values)
    lengths = np.where(observed.any(0), len(values) - observed[::-1].argmax(0), 1)
    filled = np.nan_to_num(values)
    first = filled[observed.argmax(0), np.arange(len(lengths))]
    inputs = torch.from_numpy(bank.inputs(filled, observed.astype(np.float64), memory))
    errors, state, impulses, answers = _scan(bank, inputs, torch.from_numpy(first), torch.from_numpy(lengths))
    counted = torch.from_numpy(observed & (observed.cumsum(0) > bank.skipped))
    masked = counted[:, : impulses.shape[2], None]
    counts = masked[..., 0].sum(0).clamp(min=1)
    squares, parameters = _fit(bank, errors.mul_(counted[..., None]), impulses * masked, counts)
    state = state + (answers * parameters).sum(1)
    last = inputs[torch.from_numpy(lengths) - 1, torch.arange(len(lengths))]
    count = counted.sum(0)[:, None].double()
    likelihood = -count / 2 * torch.log(squares / count.clamp(min=1) + MIN_ERROR**2)
    # as Akaike's correction: with 4 values or fewer there is no evidence of a trend
    few = 1 + 1 / (count - 4).clamp(min=0.1)
    weights = torch.softmax(TEMPER * (likelihood - few * torch.from_numpy(bank.costs)), 1)[..., None]
    ahead = bank.ahead(bank.weights, state, last, steps)
    mean = (weights * ahead).sum(1)
    responses = torch.from_numpy(bank.responses(bank.weights, steps - 1))
    growth = 1 + torch.cat([torch.zeros(len(bank.costs), 1), (responses**2).cumsum(1)], 1)
    variance = (squares / (count - 1 - len(bank.impulses)).clamp(min=1))[..., None] * growth
    variance = (weights * (variance + (ahead - mean[:, None]) ** 2)).sum(1)
    return mean.numpy(), variance.sqrt().numpy()


def _scan(bank: Bank, inputs: Tensor, first: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
    """Return errors one step ahead and final states: of the values, with an initial state without parameters
    (T, R, K), (S, R, K); and of the impulse of each parameter (P - 1, T, G, K), (S, P - 1, G, K), which are
    to be added. G is 1 where all series have the same gaps and so the same answers to an impulse, else R."""
    cell, rows, units = bank.cell, inputs.shape[1], len(bank.costs)
    silent = inputs.clone()
    silent[..., [gate for gate, name in enumerate(cell.gates) if name not in ("known", "now")]] = 0
    groups = 1 if bool((silent == silent[:, :1]).all()) and bool((lengths == lengths[0]).all()) else rows
    parts = len(bank.impulses)
    starts = torch.zeros(len(cell.state), rows + parts * groups, units, dtype=torch.float64)
    starts[[0, bank.first], :rows] = first[:, None]
    starts[:, rows:] = torch.tensor(bank.impulses).T.repeat_interleave(groups, 1)[..., None]
    every = torch.cat([inputs, *[silent[:, :groups]] * parts], 1)
    lengths = torch.cat([lengths, *[lengths[:groups]] * parts])
    output, final = bank.layer(every, tuple(starts[:, None]), lengths=lengths)
    foreseen = torch.cat([starts[:1], output[:-1]])
    errors = inputs[..., :1] - foreseen[:, :rows]
    impulses = -foreseen[:, rows:].reshape(-1, parts, groups, units).movedim(1, 0)
    states = torch.cat(final)
    return errors, states[:, :rows], impulses, states[:, rows:].reshape(-1, parts, groups, units)


def _fit(bank: Bank, errors: Tensor, impulses: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least sum of squared errors (R, K), and the parameters of the initial state (P - 1, R, K)
    with which errors (T, R, K) and those of impulses (P - 1, T, G, K), of so many values (G,), have it."""
    matrix = torch.stack([torch.stack([(a * b).sum(0) for a in impulses], -1) for b in impulses], -1)
    vector = torch.stack([(errors * impulse).sum(0) for impulse in impulses], -1)
    ridge = counts[:, None, None, None] * torch.diag_embed(torch.from_numpy(1 / bank.variances.T))
    parameters = torch.linalg.solve((matrix + ridge).expand(*vector.shape, -1), -vector)
    squares = (errors**2).sum(0) + 2 * (vector * parameters).sum(-1)
    squares += torch.einsum("...p,...pq,...q->...", parameters, matrix.expand(*vector.shape, -1), parameters)
    return squares.clamp(min=0), parameters.permute(2, 0, 1)


def _trend_inputs(values: Array, observed: Array, horizon: int) -> Array:
    return np.stack([values, observed], -1)


def _trend_ahead(weights: Weights, state: Tensor, last: Tensor, horizon: int) -> Tensor:
    ahead, trend = state
    damping = torch.from_numpy(weights["phi"])[:, None]
    moved = (damping ** torch.arange(2, horizon + 1)).cumsum(1)
    return torch.cat([ahead[..., None], ahead[..., None] + trend[..., None] * moved], -1)


def _trend_responses(weights: Weights, horizon: int) -> Array:
    alpha, beta, phi = (weights[name][:, None] for name in ("alpha", "beta", "phi"))
    return np.asarray(alpha + beta * np.cumsum(phi ** np.arange(1, horizon + 1), 1))


def _line_inputs(values: Array, observed: Array, memory: int) -> Array:
    """Return value, observed, and at every step the line of least squares through the values so far, of which
    those of the last `memory` steps decide it: earlier ones count less and less."""
    fade = 1 - 1 / memory
    now = np.broadcast_to(np.arange(1.0, len(values) + 1)[:, None], values.shape)
    intercept, slope = np.zeros((2, *values.shape))
    count, mean, distance, power, product = np.zeros((5, values.shape[1]))
    for step, (value, is_observed) in enumerate(zip(values, observed, strict=True)):
        # the weighted means of the values and of their distances from today, and the moments about them
        count, distance, power, product = fade * count, distance - 1, fade * power, fade * product
        share = is_observed / np.maximum(count + is_observed, 1e-300)
        gap, count = (1 - share) * is_observed, count + is_observed
        power = power + gap * distance**2
        product = product - gap * distance * (value - mean)
        mean, distance = mean + share * (value - mean), distance * (1 - share)
        slope[step] = np.divide(product, power, out=np.zeros_like(power), where=power > 1e-9 * count)
        intercept[step] = mean - slope[step] * (step + 1 + distance)
    return np.stack([values, observed, intercept, slope, now], -1)


def _line_ahead(weights: Weights, state: Tensor, last: Tensor, horizon: int) -> Tensor:
    slope = torch.from_numpy(weights["lift"])[:, None] * last[:, 3, None, None]
    return state[0][..., None] + slope * torch.arange(horizon)


def _line_responses(weights: Weights, horizon: int) -> Array:
    return np.repeat(weights["alpha"][:, None], horizon, 1)


def _smoothing_bank() -> Bank:
    level = [(alpha, 0.0, 0.0) for alpha in ALPHAS]
    trend = [(a, a * rate, phi) for a in ALPHAS[1:] for rate in TREND_RATES for phi in DAMPING]
    alpha, beta, phi = np.array(level + trend).T
    trends = phi > 0
    variances = np.stack([np.full(len(phi), LEVEL_VARIANCE), np.where(trends, TREND_VARIANCE, NO_VARIANCE)])
    # the first forecast is the level and a damped trend
    return Bank(
        DampedTrend,
        {"alpha": alpha, "beta": beta, "phi": phi},
        TREND_COST * trends,
        _trend_inputs,
        ((1.0, 0.0), (1.0, 1.0)),
        variances,
        0,
        0,
        _trend_ahead,
        _trend_responses,
    )


def _theta_bank() -> Bank:
    alpha, theta = np.array([(alpha, theta) for alpha in ALPHAS for theta in THETAS]).T
    return Bank(
        Theta,
        {"alpha": alpha, "lift": 1 - 1 / theta},
        np.zeros(len(alpha)),
        _line_inputs,
        ((1.0, 1.0, 0.0, 0.0),),
        np.full((1, len(alpha)), LEVEL_VARIANCE),
        1,
        2,
        _line_ahead,
        _line_responses,
    )


SMOOTHING: Final = _smoothing_bank()
THETA: Final = _theta_bank()
BANKS: Final = {"exponential smoothing": SMOOTHING, "Theta": THETA}
