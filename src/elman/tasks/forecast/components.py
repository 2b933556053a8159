"""What a forecast consists of: level, trend, season, holidays and each covariate, which add up to it.

The level is the mean of the last season, the trend how far the forecast without season is from it. The
classical forecasts have their season apart. What the network makes of its inputs is divided by Shapley values
(Shapley 1953; Štrumbelj & Kononenko 2014, Knowl. Inf. Syst. 41): the mean, over the orders in which inputs
are added, of what each adds to the forecast. They add up in every single order.

Shapes: N series, B of them at once, H steps ahead, C steps of context.
"""

import functools
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.data.series.panel import Panel
from elman.data.series.rows import Array
from elman.data.series.windows import Windows
from elman.tasks.forecast.baseline import SEASONAL_NAIVE
from elman.tasks.forecast.history import ends
from elman.tasks.forecast.network import DirectNet
from elman.tasks.forecast.predictor import (
    MAX_DIRECT_WINDOWS,
    MAX_RECURSIVE_WINDOWS,
    Network,
    Predictor,
    classical_after,
    make_store,
)
from elman.tasks.forecast.seasonal import fill_forward
from elman.tasks.forecast.smoothing import BANKS, without_season

LEVEL, TREND, SEASON, HOLIDAYS, BOUND = "level", "trend", "season", "holidays", "bound"
FORECAST = "forecast"
KEYS: Final = ("unique_id", "ds", FORECAST)  # the other columns of a table of components
MAX_EXACT: Final = 4  # inputs of which all orders are tried; of more, some
ORDERS: Final = 16  # and as many in reverse
ROUNDING: Final = 1e-6  # of the level; a smaller bound is none

Terms = dict[str, Array]


def components(predictor: Predictor, panel: Panel) -> Terms:
    """Return the median forecast (N, H) after the end of every series, "forecast", and after it the terms, by
    name, that add up to it, in units of the data. A covariate's term is what its values ahead add to its mean
    over the context; the bound's is what is added so that no forecast is below 0, if anything is."""
    calibration, horizon = predictor.calibration, predictor.network.shape.horizon
    level, parts = _levels(panel, calibration.season), _known_parts(predictor, panel)
    terms = {name: np.zeros((len(level), horizon)) for name in (LEVEL, TREND, SEASON, *parts.covariates)}
    terms[LEVEL] += level
    long = calibration.reaches([len(series.values) for series in panel.series])
    weight = np.where(long, calibration.weight, 0.0)[:, None]
    for name, (plain, season) in _classical(predictor, panel, level).items():
        share = (1 - weight) * calibration.shares[name]
        terms[TREND] += share * (plain - level)
        terms[SEASON] += share * season
    if weight.any():
        for name, term in _of_network(predictor, panel, level, parts).items():
            terms[name] += weight * term
    forecast = predictor.quantiles(panel, ends(panel))[..., predictor.settings.levels.index(0.5)]
    bound = np.where(forecast == 0, -np.sum([*terms.values()], 0), 0.0)
    bounded = {BOUND: bound} if bound.max() > ROUNDING * np.abs(level).max() else {}
    return {FORECAST: forecast, **terms, **bounded}


class _Parts(NamedTuple):
    """Columns of the known inputs: those of the calendar, and of the holidays and each covariate."""

    calendar: slice
    covariates: dict[str, slice]


def _known_parts(predictor: Predictor, panel: Panel) -> _Parts:
    calendar, holidays, future = predictor.features.parts()
    own = {LEVEL, TREND, SEASON, HOLIDAYS, BOUND, *KEYS}
    names = [f"{name} (known ahead)" if name in own else name for name in panel.columns.future]
    covariates = dict(zip(names, future, strict=True))
    return _Parts(calendar, covariates if holidays is None else {HOLIDAYS: holidays, **covariates})


def _levels(panel: Panel, season: int) -> Array:
    """Return the mean (N, 1) of the values known in the last season; the last known one if there are none."""
    levels = []
    for series in panel.series:
        recent = series.values[-season:]
        recent = recent[~np.isnan(recent)]
        levels.append(recent.mean() if len(recent) else fill_forward(series.values)[-1])
    return np.array(levels)[:, None]


def _classical(predictor: Predictor, panel: Panel, level: Array) -> dict[str, tuple[Array, Array]]:
    """Return the forecasts (N, H) of each classical method with a share, divided into those without a season
    and the season."""
    calibration, horizon = predictor.calibration, predictor.network.shape.horizon
    histories, parts = [series.values for series in panel.series], {}
    repeats = np.array([1 < calibration.season <= len(values) for values in histories])[:, None]
    for one in classical_after(panel, ends(panel), horizon, calibration.season, tuple(calibration.shares)):
        plain = one.values
        if one.name in BANKS:
            plain = without_season(histories, one.values, calibration.season)
        elif one.name == SEASONAL_NAIVE:
            plain = np.where(repeats, level, one.values)
        parts[one.name] = plain, one.values - plain
    return parts


def _of_network(predictor: Predictor, panel: Panel, level: Array, parts: _Parts) -> Terms:
    """Return what the network alone adds to the level (N, H), by the input that it comes from. What it adds
    where all inputs are flat is a trend."""
    network, cutoffs = predictor.network, ends(panel)
    store = make_store(network, predictor.features, panel)
    size = MAX_DIRECT_WINDOWS if isinstance(network, DirectNet) else MAX_RECURSIVE_WINDOWS
    chunks = []
    for start in range(0, len(cutoffs), size):
        windows = store.cut(cutoffs[start : start + size])
        levels = torch.from_numpy(level[start : start + size])
        ahead = functools.cache(partial(_median_ahead, network, windows, levels, parts))
        terms = shapley_values([TREND, SEASON, *parts.covariates], ahead)
        terms[TREND] += ahead(frozenset()) - level[start : start + size]
        chunks.append(terms)
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def shapley_values(names: Sequence[str], value: Callable[[frozenset[str]], Array]) -> Terms:
    """Return the Shapley value of each name; their sum is the value of all less that of none. Exact for up to
    4 names, else the mean over 32 orders, the same in every call."""
    if len(names) <= MAX_EXACT:
        orders = [*itertools.permutations(names)]
    else:
        draw = random.Random(0)
        drawn = [tuple(draw.sample(names, len(names))) for _ in range(ORDERS)]
        orders = drawn + [order[::-1] for order in drawn]
    nothing = value(frozenset())
    terms = {name: np.zeros_like(nothing) for name in names}
    for order in orders:
        before = nothing
        for count, name in enumerate(order, 1):
            after = value(frozenset(order[:count]))
            terms[name] += (after - before) / len(orders)
            before = after
    return terms


def _median_ahead(
    network: Network, windows: Windows, level: Tensor, parts: _Parts, kept: frozenset[str]
) -> Array:
    """Return the network's median (B, H) in units of the data, where it reads only some of its inputs.

    Past values have a trend and a season, else they are the level (B, 1); known inputs ahead have their
    values, else their means over the context.
    """
    context, known = network.shape.context, windows.known.clone()
    means = known[:, :context].mean(1, keepdim=True)
    if SEASON not in kept:
        known[..., parts.calendar] = means[..., parts.calendar]
    for name, part in parts.covariates.items():
        if name not in kept:
            known[:, context:, part] = means[..., part]
    values = windows.values
    if not {TREND, SEASON} <= kept:
        flat = ((level - windows.center) / windows.scale).float().expand_as(values)
        season = _pattern(values, network.shape.season)
        moves = {SEASON: season, TREND: values - flat - season}
        values = flat + sum((moves[name] for name in moves if name in kept), torch.zeros_like(flat))
    with torch.no_grad():
        quantiles = network.ahead(replace(windows, values=values, known=known)).double()
    median = quantiles[..., network.shape.levels.index(0.5)]
    return np.asarray((windows.center + windows.scale * median).numpy())


def _pattern(values: Tensor, season: int) -> Tensor:
    """Return what repeats every season in values (B, C), of mean 0: the means of each phase, once a straight
    line is taken out of the last whole seasons."""
    count = values.shape[1] // season
    if season == 1 or count == 0:
        return torch.zeros_like(values)
    recent = values[:, -count * season :]
    if count > 1:
        steps = torch.arange(count * season) - (count * season - 1) / 2
        recent = recent - (recent @ steps / (steps @ steps))[:, None] * steps
    phases = recent.reshape(-1, count, season).mean(1)
    phases = phases - phases.mean(1, keepdim=True)
    steps = torch.arange(values.shape[1]) - values.shape[1]
    return phases.index_select(1, steps % season)
