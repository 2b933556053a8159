"""From series to calibrated quantiles, with a trained network and the classical forecasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from elman.data.series.features import Features
from elman.data.series.panel import Panel
from elman.data.series.rows import Array
from elman.data.series.windows import Cutoffs, WindowStore
from elman.tasks.forecast.baseline import CLASSICAL, PointForecasts, classical_forecasts
from elman.tasks.forecast.calibration import Calibration
from elman.tasks.forecast.network import DirectNet, RecursiveNet, Shape
from elman.tasks.forecast.settings import Settings

Network = DirectNet | RecursiveNet

# Windows that a network forecasts at once; a recursive one makes a hundred sequences of each.
MAX_DIRECT_WINDOWS: Final = 256
MAX_RECURSIVE_WINDOWS: Final = 16


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained network and what else a forecast needs."""

    network: Network
    settings: Settings
    features: Features
    calibration: Calibration

    def quantiles(self, panel: Panel, cutoffs: Cutoffs) -> Array:
        """Return quantiles (N, H, Q) for `settings.levels` after the cut-offs, in units of the data."""
        store = make_store(self.network, self.features, panel)
        quantiles, center, scale = network_quantiles(self.network, store, cutoffs)
        calibration, horizon = self.calibration, quantiles.shape[1]
        classical = classical_after(panel, cutoffs, horizon, calibration.season, tuple(calibration.shares))
        steps = [cutoff for _, cutoff in cutoffs]
        calibrated = calibration.apply(quantiles, classical, self.settings.levels, center, scale, steps)
        bounded = nonnegative(panel, cutoffs, self.settings.nonnegative)
        return np.where(bounded[:, None, None], np.maximum(calibrated, 0.0), calibrated)


def make_network(settings: Settings, shape: Shape) -> Network:
    """Return an untrained network."""
    return DirectNet(settings, shape) if settings.mode == "direct" else RecursiveNet(settings, shape)


def make_store(network: Network, features: Features, panel: Panel) -> WindowStore:
    """Return the windows of a panel as the network takes them."""
    shape = network.shape
    return WindowStore(panel, features, shape.context, shape.horizon, shape.season)


def network_quantiles(network: Network, store: WindowStore, cutoffs: Cutoffs) -> tuple[Array, Array, Array]:
    """Return the network's own quantiles (N, H, Q) in units of each window's scale, and the windows' centers
    and scales (N, 1)."""
    size = MAX_DIRECT_WINDOWS if isinstance(network, DirectNet) else MAX_RECURSIVE_WINDOWS
    quantiles, centers, scales = [], [], []
    with torch.no_grad():
        for start in range(0, len(cutoffs), size):
            windows = store.cut(cutoffs[start : start + size])
            quantiles.append(network.ahead(windows).double())
            centers.append(windows.center)
            scales.append(windows.scale)
    return torch.cat(quantiles).numpy(), torch.cat(centers).numpy(), torch.cat(scales).numpy()


def nonnegative(panel: Panel, cutoffs: Cutoffs, setting: bool | None) -> NDArray[np.bool_]:
    """Return whether no forecast after each cut-off is below 0: as set, or if no value before it is."""
    if setting is not None:
        return np.full(len(cutoffs), setting)
    series = [(panel.series[i], cutoff) for i, cutoff in cutoffs]
    return np.array([one.nonnegative and not (one.values[:cutoff] < 0).any() for one, cutoff in series])


def classical_after(
    panel: Panel, cutoffs: Cutoffs, horizon: int, season: int, names: Sequence[str] = CLASSICAL
) -> tuple[PointForecasts, ...]:
    """Return the classical forecasts of these names after the cut-offs, in units of the data."""
    histories = [panel.series[series].values[:cutoff] for series, cutoff in cutoffs]
    return classical_forecasts(histories, horizon, season, names)


def scaled_classical(
    panel: Panel, cutoffs: Cutoffs, horizon: int, season: int, center: Array, scale: Array
) -> tuple[PointForecasts, ...]:
    """Return all classical forecasts after the cut-offs, in units of the windows, which have centers and
    scales (N, 1)."""
    return tuple(
        PointForecasts(one.name, (one.values - center) / scale, one.sizes(scale))
        for one in classical_after(panel, cutoffs, horizon, season)
    )
