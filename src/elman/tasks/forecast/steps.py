"""The forecasts of a trained forecaster for many series that arrive, made together with the same bits."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from elman.data.series.panel import Panel
from elman.data.series.rows import Array
from elman.errors import NotFinite
from elman.tasks.forecast.history import ends
from elman.tasks.forecast.predictor import Predictor
from elman.tasks.stream_state import mark_of


class Ahead(NamedTuple):
    """A request: a panel of one series, and how many steps after it to forecast."""

    panel: Panel
    steps: int


class ForecastSteps:
    """A predictor's quantiles."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @cached_property
    def mark(self) -> str:
        """What tells the network from others."""
        return mark_of(self._predictor.network)

    def answer(self, requests: Sequence[Ahead]) -> list[Any]:
        """Return the quantiles (1, steps, Q) after every series, as if it were alone; a NotFinite for NaN."""
        horizon = self._predictor.network.shape.horizon
        near = [k for k, request in enumerate(requests) if request.steps <= horizon]
        answers: list[Any] = [None] * len(requests)
        if near:
            first = requests[near[0]].panel
            series = tuple(requests[k].panel.series[0] for k in near)
            together = replace(first, series=series)
            quantiles = self._predictor.quantiles(together, ends(together))
            for k, one in zip(near, quantiles, strict=True):
                answers[k] = one[None, : requests[k].steps]
        for k, request in enumerate(requests):
            if request.steps > horizon:
                answers[k] = self._predictor.further(request.panel, request.steps)
        return [_finite(answer) for answer in answers]


def _finite(quantiles: Array) -> Array | NotFinite:
    return NotFinite() if np.isnan(quantiles).any() else quantiles
