"""Training: first without the last horizons, on which a forecaster is calibrated and scored; then on all."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from elman.data.series.features import Features
from elman.data.series.panel import Panel
from elman.data.series.rows import Array
from elman.data.series.windows import Cutoffs, WindowStore, center_and_scale
from elman.errors import TrainingError
from elman.lens.watching import Watcher
from elman.tasks.evaluation import training_notes
from elman.tasks.forecast.baseline import PointForecasts
from elman.tasks.forecast.calibration import Calibration, Past
from elman.tasks.forecast.metrics import mase_scale
from elman.tasks.forecast.network import Shape
from elman.tasks.forecast.predictor import (
    Network,
    Predictor,
    classical_after,
    make_network,
    make_store,
    network_quantiles,
    scaled_classical,
)
from elman.tasks.forecast.problem import WindowProblem
from elman.tasks.forecast.scores import ForecastEvaluation
from elman.tasks.forecast.settings import Settings, defaults, resolve
from elman.tasks.forecast.smoothing import BANKS
from elman.tasks.forecast.split import Split, divide, short_cutoffs, shortest, spanned, trainable
from elman.tasks.settings import split_choices
from elman.tasks.task import network_phrase
from elman.training.budget import Trial, run_in_time, smaller
from elman.training.loop import Run
from elman.training.plan import Plan
from elman.training.progress import watch

MIN_UNIT: Final = 0.03  # of a window's scale
_log = logging.getLogger("elman")
# Of the minutes, for the first of two trainings: the second has more windows, so that its epochs are longer.
SHARE: Final = 0.4


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of training.

    Attributes:
        run: the first training; None if no series is long enough for one.
        signal: that interrupted the second training.
    """

    predictor: Predictor
    plan: Plan
    validation: ForecastEvaluation
    notes: tuple[str, ...]
    run: Run | None
    signal: int | None
    failure: TrainingError | None


def train(
    panel: Panel,
    horizon: int,
    choices: dict[str, Any],
    fingerprint: str,
    *,
    started: float = 0.0,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Trained:
    """Train on a panel; `choices` are fields of `Settings` and `Plan`, whose minutes count since `started`.

    A network that has not seen the last horizons decides there how much of the classical forecasts to blend
    in and how wide the bands are, and is scored. Then a second one is trained in the same way on all steps,
    as the latest tell most about the next.
    """
    whole, panel = panel, trainable(panel, horizon)
    for note in panel.notes[len(whole.notes) :]:
        _log.warning(note)
    if not panel.series:
        return _without_network(whole, horizon, choices)
    lengths = [len(series.values) for series in panel.series]
    asked, plan = split_choices(choices, Settings)
    settings, minutes = resolve(asked, panel, horizon), plan.minutes
    split = divide(lengths, horizon, settings.network_season)
    features = Features.fit(panel, [last + horizon for last in split.last], settings.holidays)

    def trial(size: Mapping[str, Any]) -> Trial:
        chosen = replace(settings, hidden=size.get("hidden", settings.hidden))
        _, plan = split_choices(choices | dict(size), Settings, defaults(split.windows))
        network = _untrained(chosen, features, horizon, plan)
        problem = WindowProblem(make_store(network, features, panel), split, network.levels, plan)
        return Trial(network, problem, plan, chosen)

    watcher = Watcher(*panel.frequency.in_words())
    run, (network, problem, plan, settings) = run_in_time(
        trial,
        minutes,
        started,
        smaller({"hidden": settings.hidden or 0}, choices),
        {"horizon": horizon, "data": fingerprint},
        share=SHARE,
        folder=folder,
        resume=resume,
        progress=progress,
        inspector=watcher,
    )
    outcome = watch(run, progress, "network", f"{network_phrase(settings)}, on all but the last horizons")
    run.require_model()
    network.cpu().eval()
    calibration = _calibrate(network, problem.store, panel, split, settings)
    predictor = Predictor(network, settings, features, calibration)
    notes = training_notes(outcome, plan, choices)
    failed = notes if outcome.error is not None else ()  # the others stand beside the scores
    validation = _validate(predictor, panel, split.valid, () if failed else notes)
    signal = outcome.signal
    if outcome.error is None and signal is None and calibration.weight:
        problem = WindowProblem(problem.store, split.whole(lengths, horizon), network.levels, plan)
        network, signal = _trained_on_all(predictor, problem, watcher, progress)
        predictor = replace(predictor, network=network)
    return Trained(predictor, plan, validation, panel.notes + failed, run, signal, outcome.error)


def _trained_on_all(
    predictor: Predictor, problem: WindowProblem, watcher: Watcher, progress: bool
) -> tuple[Network, int | None]:
    """Return a network that is trained anew on the problem of all steps, or that of the predictor if a signal
    or an error stops it; and the signal."""
    horizon = predictor.network.shape.horizon
    network = _untrained(predictor.settings, predictor.features, horizon, problem.plan)
    run = Run(network, problem, problem.plan, inspector=watcher)
    outcome = watch(run, progress, "on all data", "the same network, trained anew")
    finished = outcome.stopped == "finished"
    return network.cpu().eval() if finished else predictor.network, outcome.signal


def _without_network(panel: Panel, horizon: int, choices: dict[str, Any]) -> Trained:
    """Return classical forecasts of series too short for a network, which stays untrained and unused."""
    settings = resolve(split_choices(choices, Settings)[0], panel, horizon)
    _, plan = split_choices(choices, Settings, defaults(1))
    assert settings.season is not None
    lengths = [len(series.values) for series in panel.series]
    features = Features.fit(panel, lengths, settings.holidays)
    network = _untrained(settings, features, horizon, plan).eval()
    cutoffs = short_cutoffs(lengths)
    past = _short_past(panel, cutoffs, horizon, settings.season)
    calibration = Calibration.classical(past, settings.levels, settings.season)
    predictor = Predictor(network, settings, features, calibration)
    validation = _validate(predictor, panel, cutoffs or [(0, lengths[0])])
    return Trained(predictor, plan, validation, panel.notes + calibration.notes, None, None, None)


def _short_past(panel: Panel, cutoffs: Cutoffs, horizon: int, season: int) -> Past:
    """Return the smoothing forecasts after these cut-offs, in units of what each history varies."""
    if not cutoffs:
        none = np.empty((0, horizon))
        return Past([PointForecasts(name, none, none) for name in BANKS], none, 0.0)
    values = [panel.series[i].values for i, _ in cutoffs]
    target = np.full((len(cutoffs), horizon), np.nan)
    scale = np.ones((len(cutoffs), 1))
    for row, (series, (_, cutoff)) in enumerate(zip(values, cutoffs, strict=True)):
        ahead = series[cutoff : cutoff + horizon]
        target[row, : len(ahead)] = ahead
        scale[row] = center_and_scale(torch.from_numpy(series[None, :cutoff]))[1]
    unit = _units(panel, cutoffs, season, scale)
    forecasts = [
        PointForecasts(one.name, one.values / unit, one.sizes(unit))
        for one in classical_after(panel, cutoffs, horizon, season, tuple(BANKS))
    ]
    lengths = [len(series.values) for series in panel.series]
    return Past(forecasts, target / unit, spanned(cutoffs, lengths, horizon) / len(lengths))


def _units(panel: Panel, cutoffs: Cutoffs, season: int, scale: Array) -> Array:
    """Return the units (N, 1) in which windows of these scales are compared: the mean change over a season,
    as in MASE, so that series that climb count as much as those that turn back; a small share of the scale,
    where there is hardly a change."""
    changes = [mase_scale(panel.series[i].values[:cutoff], season) for i, cutoff in cutoffs]
    return np.asarray(np.fmax(np.array(changes)[:, None], MIN_UNIT * scale))


def _untrained(settings: Settings, features: Features, horizon: int, plan: Plan) -> Network:
    """Return the same network for the same seed."""
    assert settings.context is not None
    season, levels, texts = settings.network_season, settings.levels, tuple(features.vocabularies)
    torch.manual_seed(plan.seed)
    return make_network(settings, Shape(settings.context, horizon, season, levels, features.width, texts))


def _calibrate(
    network: Network, store: WindowStore, panel: Panel, split: Split, settings: Settings
) -> Calibration:
    assert settings.season is not None
    lengths, horizon, season = store.lengths.tolist(), network.shape.horizon, settings.season
    quantiles, center, scale = network_quantiles(network, store, split.valid)
    unit = _units(panel, split.valid, season, scale)
    classical = scaled_classical(panel, split.valid, horizon, season, center, unit)
    target, horizons = store.targets(split.valid) * (scale / unit), split.horizons(lengths, horizon)
    quantiles = quantiles * (scale / unit)[..., None]
    past = _past(store, panel, split, horizon, season)
    least = min(shortest(horizon), settings.kept_steps)
    return Calibration.fit(quantiles, classical, target, settings.levels, horizons, past, season, least)


def _past(store: WindowStore, panel: Panel, split: Split, horizon: int, season: int) -> Past:
    lengths = store.lengths.tolist()
    spaced = split.spaced(lengths, horizon)
    windows = store.cut(spaced)
    center, scale = windows.center.numpy(), windows.scale.numpy()
    unit = _units(panel, spaced, season, scale)
    forecasts = scaled_classical(panel, spaced, horizon, season, center, unit)
    return Past(
        forecasts, store.targets(spaced) * (scale / unit), spanned(spaced, lengths, horizon) / len(lengths)
    )


def _validate(
    predictor: Predictor, panel: Panel, cutoffs: Cutoffs, notes: tuple[str, ...] = ()
) -> ForecastEvaluation:
    settings = predictor.settings
    assert settings.season is not None
    for note in predictor.calibration.notes:
        _log.warning(note)
    notes = predictor.calibration.notes + notes
    quantiles = predictor.quantiles(panel, cutoffs)
    scales: Sequence[None] = [None] * len(panel.series)
    return ForecastEvaluation.of(panel, cutoffs, quantiles, settings.levels, settings.season, scales, notes)
