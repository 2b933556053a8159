"""Training a forecaster: on all but the last horizons, on which it is adjusted and scored; then on all."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from elman.data.series.features import Features
from elman.data.series.panel import Panel
from elman.data.series.windows import WindowStore
from elman.errors import TrainingError
from elman.tasks import settings as dials
from elman.tasks.forecast.calibration import Adjustment
from elman.tasks.forecast.network import Shape
from elman.tasks.forecast.predictor import (
    Core,
    Network,
    make_network,
    make_store,
    naive_forecasts,
    network_quantiles,
)
from elman.tasks.forecast.problem import WindowProblem
from elman.tasks.forecast.scores import Evaluation, compare
from elman.tasks.forecast.settings import Division, Settings, divide, effective_season, plan_defaults, settle
from elman.training.loop import Plan, Run
from elman.training.progress import watch

_log = logging.getLogger("elman")


@dataclass(frozen=True, eq=False)
class Trained:
    """What training ends with. `interrupted`: it was stopped by hand and can go on."""

    core: Core
    plan: Plan
    validation: Evaluation
    notes: tuple[str, ...]
    run: Run
    interrupted: bool
    failure: TrainingError | None


def train(
    panel: Panel,
    horizon: int,
    given: dict[str, Any],
    fingerprint: str,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Trained:
    """Train on a panel; `given` are dials of `Settings` and `Plan`.

    A network that has not seen the last horizons decides there how much of the naive forecast to blend in and
    how wide the bands are, and is scored. Then a second one is trained on everything in the same way: the
    latest steps tell most about the next.
    """
    lengths = [len(s.values) for s in panel.series]
    settings = settle(dials.split(given, Settings)[0], panel, horizon)
    division = divide(lengths, horizon, effective_season(settings))
    _, plan = dials.split(given, Settings, plan_defaults(division.windows))
    features = Features.fit(panel, [last + horizon for last in division.last])
    network = _network(settings, features, horizon, plan)
    store = make_store(network, features, panel)
    problem = WindowProblem(store, division, network.levels, plan)
    identity = {"settings": asdict(settings), "horizon": horizon, "data": fingerprint}
    run = Run(network, problem, plan, folder=folder, resume=resume, identity=identity)
    outcome = watch(run, progress, "training, all but the last horizons")
    core = Core(
        network.cpu().eval(), settings, features, _adjustment(network, store, division, settings.levels)
    )
    validation = _validated(core, panel, division)
    stopped = (outcome.stopped,) if outcome.error else ()
    interrupted = outcome.stopped == "interrupted"
    if not stopped and not interrupted:
        final = _network(settings, features, horizon, plan)
        problem = WindowProblem(store, division.whole(lengths, horizon), network.levels, plan)
        again = watch(Run(final, problem, plan), progress, "training, everything")
        interrupted = again.stopped == "interrupted"
        if again.stopped == "finished":
            core = replace(core, network=final.cpu().eval())
    return Trained(core, plan, validation, panel.notes + stopped, run, interrupted, outcome.error)


def _network(settings: Settings, features: Features, horizon: int, plan: Plan) -> Network:
    """An untrained network, the same for the same seed."""
    assert settings.context is not None
    season, levels, texts = effective_season(settings), settings.levels, tuple(features.vocabularies)
    torch.manual_seed(plan.seed)
    return make_network(settings, Shape(settings.context, horizon, season, levels, features.width, texts))


def _adjustment(
    network: Network, store: WindowStore, division: Division, levels: Sequence[float]
) -> Adjustment:
    lengths, horizon = store.lengths.tolist(), network.shape.horizon
    found, _, _ = network_quantiles(network, store, division.valid)
    naives, target = naive_forecasts(store, division.valid), store.targets(division.valid)
    spaced = division.spaced(lengths, horizon)
    past = store.targets(spaced)
    errors = {one.name: (past - one.point) / one.growth for one in naive_forecasts(store, spaced)}
    return Adjustment.fit(found, naives, target, levels, division.horizons(lengths, horizon), errors)


def _validated(core: Core, panel: Panel, division: Division) -> Evaluation:
    settings, notes = core.settings, core.adjustment.notes
    assert settings.season is not None
    for note in notes:
        _log.warning(note)
    quantiles = core.quantiles(panel, division.valid)
    scales = [None] * len(panel.series)
    return compare(panel, division.valid, quantiles, settings.levels, settings.season, scales, notes)
