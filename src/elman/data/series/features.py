"""Inputs known for each step besides its value: calendar, covariates known ahead and static values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.data.series.frequency import calendar
from elman.data.series.panel import Array, Panel, Series
from elman.typed import typed


@dataclass(frozen=True)
class Features:
    """Scaling and encoding of stamps, covariates and static values, fitted on the past only."""

    cycles: tuple[str, ...]
    future: tuple[tuple[float, float], ...]  # mean and standard deviation of each covariate
    static: tuple[tuple[str, ...] | tuple[float, float], ...]  # texts, or mean and standard deviation

    @classmethod
    def fit(cls, panel: Panel, ends: Sequence[int]) -> "Features":
        """Fit to the steps before `ends[i]` of each series i."""
        past = np.concatenate([s.future[:end] for s, end in zip(panel.series, ends, strict=True)])
        columns = zip(*(s.static for s in panel.series), strict=True)
        return cls(
            panel.frequency.cycles(max(ends) * panel.frequency.seconds),
            tuple(_moments(column) for column in past.T),
            tuple(_values(column) for column in columns),
        )

    @property
    def vocabularies(self) -> list[int]:
        return [len(values) for values in self.static if _is_texts(values)]

    @property
    def width(self) -> int:
        """Number of columns that `known` returns."""
        dates = calendar(np.zeros(1, "datetime64[us]"), self.cycles)
        return int(dates.size) + len(self.future) + sum(not _is_texts(values) for values in self.static)

    def known(self, panel: Panel, series: Series, first: int, count: int) -> NDArray[np.float32]:
        """Return the inputs (count, F) from step `first` on, which may lie before or after the series.

        A missing covariate takes its last known value, or its mean before the first.
        """
        stamps = panel.stamps(series, first, count)
        columns = [calendar(stamps, self.cycles)]
        for i, (mean, deviation) in enumerate(self.future):
            covariate = _hold((series.future[:, i] - mean) / deviation)
            steps = np.arange(first, first + count).clip(0, max(len(covariate) - 1, 0))
            columns.append(covariate[steps, None].astype(np.float32))
        for value, fitted in zip(series.static, self.static, strict=True):
            if not _is_texts(fitted):
                scaled = (float(value) - float(fitted[0])) / float(fitted[1])
                columns.append(np.full((count, 1), scaled, np.float32))
        return np.concatenate(columns, 1)

    def codes(self, series: Series) -> list[int]:
        """Return a code for each static column of texts, 0 for a text unknown when fitting."""
        columns = zip(series.static, self.static, strict=True)
        return [1 + f.index(str(v)) if str(v) in f else 0 for v, f in columns if _is_texts(f)]

    def to_json(self) -> dict[str, Any]:
        return {"cycles": self.cycles, "future": self.future, "static": self.static}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Features":
        """Return the features whose `to_json` gave `value`. Raises ValueError for anything else."""
        features: Features = typed(cls, value, "features.json")
        numbers = [*features.future, *(values for values in features.static if not _is_texts(values))]
        if not all(deviation > 0 for _, deviation in numbers):  # type: ignore[operator]  # no texts are left
            raise ValueError("features.json: a standard deviation must be above 0")
        return features


def _moments(column: Array) -> tuple[float, float]:
    observed = column[~np.isnan(column)]
    if not len(observed):
        return 0.0, 1.0
    deviation = float(observed.std())
    return float(observed.mean()), deviation if deviation > 1e-12 * np.abs(observed).max() else 1.0


def _values(column: Sequence[str | float]) -> tuple[str, ...] | tuple[float, float]:
    if any(isinstance(value, str) for value in column):
        return tuple(sorted({str(value) for value in column}))
    return _moments(np.array(column, dtype=np.float64))


def _is_texts(fitted: tuple[str, ...] | tuple[float, float]) -> bool:
    return isinstance(fitted[0], str)


def _hold(values: Array) -> Array:
    """Fill missing values with the last known one, or 0 (the mean) before the first."""
    observed = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(observed, np.arange(len(values)), -1))
    return np.asarray(np.where(last < 0, 0.0, values[last.clip(0)]))
