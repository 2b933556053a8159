"""From series to calibrated quantiles, with a trained network and the classical forecasts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from elman.data.series.features import Features
from elman.data.series.panel import Panel
from elman.data.series.rows import Array
from elman.data.series.windows import Cutoffs, WindowStore
from elman.tasks.forecast.baseline import CLASSICAL, PointForecasts, classical_forecasts
from elman.tasks.forecast.calibration import Calibration, sizes
from elman.tasks.forecast.history import ends, tail
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
        return self._bounded(panel, cutoffs, calibrated)

    def further(self, panel: Panel, steps: int) -> Array:
        """Return quantiles (N, steps, Q) after the ends of the series, of more steps than were trained.

        Smoothing, Theta and the naive forecasts go on. The network takes the medians of the last horizon as
        values and forecasts the next; the distances of its quantiles from its median grow as the errors that
        the rest of the blend expects do.
        """
        calibration, horizon, levels = self.calibration, self.network.shape.horizon, self.settings.levels
        after = ends(panel)
        blocks = -(-steps // horizon)
        classical = classical_after(
            panel, after, horizon, calibration.season, tuple(calibration.shares), blocks * horizon
        )
        size = np.broadcast_to(sizes(classical, calibration.shares), (len(after), blocks * horizon))
        forecasts = np.empty((len(after), 0, len(levels)))
        extended = panel
        for block in range(blocks):
            extended = tail(extended, self.settings.kept_steps)  # all that a forecast depends on
            part = slice(block * horizon, (block + 1) * horizon)
            cutoffs = ends(extended)
            store = make_store(self.network, self.features, extended)
            quantiles, center, scale = network_quantiles(self.network, store, cutoffs)
            median = quantiles[..., levels.index(0.5), None]
            first = size[:, :horizon]
            growth = np.where(first > 0, size[:, part] / np.where(first > 0, first, 1.0), 1.0)[..., None]
            points = [replace(o, values=o.values[:, part], growth=o.growth[..., part]) for o in classical]
            quantiles = median + growth * (quantiles - median)
            histories = [end for _, end in after]
            calibrated = calibration.apply(quantiles, points, levels, center, scale, histories)
            calibrated = self._bounded(panel, after, calibrated)
            forecasts = np.concatenate([forecasts, calibrated], 1)
            extended = _appended(extended, calibrated[..., levels.index(0.5)])
        return forecasts[:, :steps]

    def _bounded(self, panel: Panel, cutoffs: Cutoffs, quantiles: Array) -> Array:
        bounded = nonnegative(panel, cutoffs, self.settings.nonnegative)
        return np.where(bounded[:, None, None], np.maximum(quantiles, 0.0), quantiles)


def _appended(panel: Panel, values: Array) -> Panel:
    """Return the series with values (N, H) after their ends."""
    series = zip(panel.series, values, strict=True)
    return replace(
        panel, series=tuple(replace(one, values=np.concatenate([one.values, more])) for one, more in series)
    )


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


def bound_note(panel: Panel, settings: Settings) -> tuple[str, ...]:
    """Return a note that says which forecasts are never below 0, if the data decide it."""
    count = sum(not (series.values < 0).any() for series in panel.series)
    if settings.nonnegative is not None or not count:
        return ()
    which = (
        "no value" if count == len(panel.series) else f"in {count} of {len(panel.series)} series, no value"
    )
    return (f"{which} is negative, so no forecast is below 0 (nonnegative=False allows it)",)


def classical_after(
    panel: Panel,
    cutoffs: Cutoffs,
    horizon: int,
    season: int,
    names: Sequence[str] = CLASSICAL,
    steps: int | None = None,
) -> tuple[PointForecasts, ...]:
    """Return the classical forecasts of these names after the cut-offs, in units of the data; see
    `classical_forecasts`."""
    histories = [panel.series[series].values[:cutoff] for series, cutoff in cutoffs]
    return classical_forecasts(histories, horizon, season, names, steps)


def scaled_classical(
    panel: Panel, cutoffs: Cutoffs, horizon: int, season: int, center: Array, scale: Array
) -> tuple[PointForecasts, ...]:
    """Return all classical forecasts after the cut-offs, in units of the windows, which have centers and
    scales (N, 1)."""
    return tuple(
        PointForecasts(one.name, (one.values - center) / scale, one.sizes(scale))
        for one in classical_after(panel, cutoffs, horizon, season)
    )
