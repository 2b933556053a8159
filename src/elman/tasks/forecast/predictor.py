"""From series to adjusted quantiles: what training ends with and every forecast begins with."""

from dataclasses import dataclass

import numpy as np
import torch

from elman.data.series.features import Features
from elman.data.series.panel import Array, Panel
from elman.data.series.windows import Pairs, WindowStore
from elman.tasks.forecast.calibration import Adjustment, Naive
from elman.tasks.forecast.network import DirectNet, RecursiveNet, Shape
from elman.tasks.forecast.settings import Settings

Network = DirectNet | RecursiveNet


@dataclass(frozen=True, eq=False)
class Core:
    """A trained network and all it takes to forecast with it."""

    network: Network
    settings: Settings
    features: Features
    adjustment: Adjustment

    def quantiles(self, panel: Panel, pairs: Pairs) -> Array:
        """Quantiles (N, H, Q) for `settings.levels` after (series, cut-off) pairs, in units of the data."""
        store = make_store(self.network, self.features, panel)
        found, center, scale = network_quantiles(self.network, store, pairs)
        adjusted = self.adjustment.apply(found, naive_forecasts(store, pairs), self.settings.levels)
        return np.asarray(center + scale * adjusted)


def make_network(settings: Settings, shape: Shape) -> Network:
    """An untrained network."""
    assert settings.hidden is not None
    kind = DirectNet if settings.mode == "direct" else RecursiveNet
    return kind(shape, settings.cell, settings.hidden, settings.layers, settings.dropout)


def make_store(network: Network, features: Features, panel: Panel) -> WindowStore:
    """The windows of a panel, as a network takes them."""
    shape = network.shape
    return WindowStore(panel, features, shape.context, shape.horizon, shape.season)


def network_quantiles(network: Network, store: WindowStore, pairs: Pairs) -> tuple[Array, Array, Array]:
    """The network's own quantiles (N, H, Q) in units of each window's scale; center and scale (N, 1, 1)."""
    size = 256 if isinstance(network, DirectNet) else 16  # each of which becomes a hundred paths
    found, centers, scales = [], [], []
    with torch.no_grad():
        for start in range(0, len(pairs), size):
            windows = store.cut(pairs[start : start + size])
            found.append(network.ahead(windows).double())
            centers.append(windows.center)
            scales.append(windows.scale)
    center, scale = torch.cat(centers)[..., None], torch.cat(scales)[..., None]
    return torch.cat(found).numpy(), center.numpy(), scale.numpy()


def naive_forecasts(store: WindowStore, pairs: Pairs) -> tuple[Naive, Naive]:
    """Seasonal naive and naive for each window, in units of its scale."""
    values = store.cut(pairs).values.double().numpy()
    steps = np.arange(len(store.steps) - store.context)
    same_phase = values[:, store.context - store.season + steps % store.season]
    last = np.repeat(values[:, -1:], len(steps), axis=1)
    return (
        Naive("seasonal naive", same_phase, np.sqrt(1 + steps // store.season)),
        Naive("naive", last, np.sqrt(1 + steps)),
    )
