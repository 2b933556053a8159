"""Training a forecaster: divide by time, train, adjust on the last horizons, score on them."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from elman.data.features import Features
from elman.data.series import Panel
from elman.progress import watch
from elman.tasks import dials
from elman.tasks.forecast_adjust import Adjustment
from elman.tasks.forecast_core import Core, make_network, make_store, naive_points, network_quantiles
from elman.tasks.forecast_net import Shape
from elman.tasks.forecast_problem import WindowProblem
from elman.tasks.forecast_scores import Evaluation, compare
from elman.tasks.forecast_setup import Settings, divide, effective_season, plan_defaults, settle
from elman.training import Plan, Run

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
    """Train on all but the last horizons of a panel; `given` are dials of `Settings` and `Plan`."""
    settings = settle(dials.split(given, Settings)[0], panel, horizon)
    season = effective_season(settings)
    division = divide([len(s.values) for s in panel.series], horizon, season)
    _, plan = dials.split(given, Settings, plan_defaults(division.windows))
    features = Features.fit(panel, [last + horizon for last in division.last])
    assert settings.context is not None and settings.season is not None
    known, texts = features.width, tuple(features.vocabularies)
    torch.manual_seed(plan.seed)
    network = make_network(settings, Shape(settings.context, horizon, season, settings.levels, known, texts))
    store = make_store(network, features, panel)
    problem = WindowProblem(store, division, network.levels, plan)
    identity = {"settings": asdict(settings), "horizon": horizon, "data": fingerprint}
    run = Run(network, problem, plan, folder=folder, resume=resume, identity=identity)
    outcome = watch(run, progress)
    network.cpu().eval()
    found, _, _ = network_quantiles(network, store, division.valid)
    target = store.cut(division.valid).target.double().numpy()
    adjustment = Adjustment.fit(found, *naive_points(store, division.valid), target, settings.levels)
    for note in adjustment.notes:
        _log.warning(note)
    core = Core(network, settings, features, adjustment)
    validation = compare(
        panel,
        division.valid,
        core.quantiles(panel, division.valid),
        settings.levels,
        settings.season,
        [None] * len(panel.series),
        adjustment.notes,
    )
    notes = panel.notes + ((outcome.stopped,) if outcome.error else ())
    return Trained(core, plan, validation, notes, run, outcome.stopped == "interrupted")
