"""From series to calibrated quantiles, with a trained network and the naive forecasts."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from elman.data.series.features import Features
from elman.data.series.panel import Array, Panel
from elman.data.series.windows import Cutoffs, WindowStore
from elman.tasks.forecast.baseline import PointForecasts, naive_forecasts
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
        naives = scaled_naives(panel, cutoffs, quantiles.shape[1], self.calibration.season, center, scale)
        calibrated = self.calibration.apply(quantiles, naives, self.settings.levels)
        return np.asarray(center[..., None] + scale[..., None] * calibrated)


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


def scaled_naives(
    panel: Panel, cutoffs: Cutoffs, horizon: int, season: int, center: Array, scale: Array
) -> tuple[PointForecasts, ...]:
    """Return the naive forecasts after the cut-offs, in units of the windows' centers and scales (N, 1)."""
    histories = [panel.series[series].values[:cutoff] for series, cutoff in cutoffs]
    naives = naive_forecasts(histories, horizon, season)
    return tuple(replace(naive, values=(naive.values - center) / scale) for naive in naives)
