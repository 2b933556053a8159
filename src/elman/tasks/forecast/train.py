"""Training: first without the last horizons, on which a forecaster is calibrated and scored; then on all."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from elman.data.series.features import Features
from elman.data.series.panel import Panel
from elman.data.series.windows import Cutoffs, WindowStore, center_and_scale
from elman.errors import TrainingError
from elman.tasks.evaluation import failure_note
from elman.tasks.forecast.baseline import PointForecasts
from elman.tasks.forecast.calibration import Calibration, Past
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
from elman.training.budget import Trial, in_time, smaller
from elman.training.loop import Run
from elman.training.plan import Plan
from elman.training.progress import watch

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
    whole, panel = panel, trainable(panel, horizon)
    if not panel.series:
        return _without_network(whole, horizon, choices)
    for note in panel.notes[len(whole.notes) :]:
        _log.warning(note)
    lengths = [len(series.values) for series in panel.series]
    asked, plan = split_choices(choices, Settings)
    settings, minutes = resolve(asked, panel, horizon), plan.minutes
    split = divide(lengths, horizon, settings.network_season)
    features = Features.fit(panel, [last + horizon for last in split.last])

    def training(size: Mapping[str, Any]) -> Trial:
        chosen = replace(settings, hidden=size.get("hidden", settings.hidden))
        _, plan = split_choices(choices | dict(size), Settings, defaults(split.windows))
        network = _untrained(chosen, features, horizon, plan)
        problem = WindowProblem(make_store(network, features, panel), split, network.levels, plan)
        return Trial(network, problem, plan, chosen)

    sizes = smaller({"hidden": settings.hidden or 0}, choices)
    network, problem, plan, settings = in_time(
        training, minutes, started, sizes, share=SHARE, folder=folder, resume=resume, progress=progress
    )
    store = problem.store
    identity = {"settings": asdict(settings), "horizon": horizon, "data": fingerprint}
    run = Run(network, problem, plan, folder=folder, resume=resume, identity=identity)
    outcome = watch(run, progress, "training, all but the last horizons")
    run.require_model()
    network.cpu().eval()
    calibration = _calibrate(network, store, panel, split, settings)
    predictor = Predictor(network, settings, features, calibration)
    validation = _validate(predictor, panel, split.valid)
    stopped = failure_note(outcome.error)
    number = outcome.signal
    if not stopped and number is None and calibration.weight:
        final = _untrained(settings, features, horizon, plan)
        problem = WindowProblem(store, split.whole(lengths, horizon), network.levels, plan)
        second = watch(Run(final, problem, plan), progress, "training, everything")
        number = second.signal
        if second.stopped == "finished":
            predictor = replace(predictor, network=final.cpu().eval())
    return Trained(predictor, plan, validation, panel.notes + stopped, run, number, outcome.error)


def _without_network(panel: Panel, horizon: int, choices: dict[str, Any]) -> Trained:
    """Return classical forecasts of series too short for a network, which stays untrained and unused."""
    settings = resolve(split_choices(choices, Settings)[0], panel, horizon)
    _, plan = split_choices(choices, Settings, defaults(1))
    assert settings.season is not None
    lengths = [len(series.values) for series in panel.series]
    features = Features.fit(panel, lengths)
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
    forecasts = [
        PointForecasts(one.name, one.values / scale, one.sizes(scale))
        for one in classical_after(panel, cutoffs, horizon, season, tuple(BANKS))
    ]
    lengths = [len(series.values) for series in panel.series]
    return Past(forecasts, target / scale, spanned(cutoffs, lengths, horizon) / len(lengths))


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
    classical = scaled_classical(panel, split.valid, horizon, season, center, scale)
    target, horizons = store.targets(split.valid), split.horizons(lengths, horizon)
    past = _past(store, panel, split, horizon, season)
    least = min(shortest(horizon), settings.kept_steps)
    return Calibration.fit(quantiles, classical, target, settings.levels, horizons, past, season, least)


def _past(store: WindowStore, panel: Panel, split: Split, horizon: int, season: int) -> Past:
    lengths = store.lengths.tolist()
    spaced = split.spaced(lengths, horizon)
    windows = store.cut(spaced)
    center, scale = windows.center.numpy(), windows.scale.numpy()
    forecasts = scaled_classical(panel, spaced, horizon, season, center, scale)
    return Past(forecasts, store.targets(spaced), spanned(spaced, lengths, horizon) / len(lengths))


def _validate(predictor: Predictor, panel: Panel, cutoffs: Cutoffs) -> ForecastEvaluation:
    settings, notes = predictor.settings, predictor.calibration.notes
    assert settings.season is not None
    for note in notes:
        _log.warning(note)
    quantiles = predictor.quantiles(panel, cutoffs)
    scales: Sequence[None] = [None] * len(panel.series)
    return ForecastEvaluation.of(panel, cutoffs, quantiles, settings.levels, settings.season, scales, notes)
