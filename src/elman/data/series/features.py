"""What is known of a step besides its value: the calendar, covariates known ahead, and what the series is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.data.series.frequency import calendar
from elman.data.series.panel import Array, Panel, Series


@dataclass(frozen=True)
class Features:
    """How stamps, covariates and static values become inputs, fitted on the past only.

    cycles: calendar cycles used. future: (mean, deviation) of every covariate. static: for every static
    column its known texts, or the (mean, deviation) of its numbers.
    """

    cycles: tuple[str, ...]
    future: tuple[tuple[float, float], ...]
    static: tuple[tuple[str, ...] | tuple[float, float], ...]

    @classmethod
    def fit(cls, panel: Panel, ends: Sequence[int]) -> "Features":
        """From the steps before `ends[i]` of every series i."""
        longest = max(ends) * panel.frequency.seconds
        past = np.concatenate([s.future[:end] for s, end in zip(panel.series, ends, strict=True)])
        columns = zip(*(s.static for s in panel.series), strict=True)
        return cls(
            panel.frequency.cycles(longest),
            tuple(_moments(column) for column in past.T),
            tuple(_values(column) for column in columns),
        )

    @property
    def vocabularies(self) -> list[int]:
        """Number of known texts of every static column of texts."""
        return [len(values) for values in self.static if _is_texts(values)]

    @property
    def width(self) -> int:
        """Number of columns of `known`."""
        days = calendar(np.zeros(1, "datetime64[us]"), self.cycles)
        return int(days.size) + len(self.future) + sum(not _is_texts(values) for values in self.static)

    def known(self, panel: Panel, series: Series, first: int, count: int) -> NDArray[np.float32]:
        """Inputs (count, F) of the steps from `first` on, which may lie before the series and after its end.

        A missing covariate takes its last known value, and its mean before the first.
        """
        stamps = panel.stamps(series, first, count)
        columns = [calendar(stamps, self.cycles)]
        for i, (mean, deviation) in enumerate(self.future):
            given = _hold((series.future[:, i] - mean) / deviation)
            steps = np.arange(first, first + count).clip(0, max(len(given) - 1, 0))
            columns.append(given[steps, None].astype(np.float32))
        for value, fitted in zip(series.static, self.static, strict=True):
            if not _is_texts(fitted):
                scaled = (float(value) - float(fitted[0])) / float(fitted[1])
                columns.append(np.full((count, 1), scaled, np.float32))
        return np.concatenate(columns, 1)

    def codes(self, series: Series) -> list[int]:
        """One number for every static column of texts: 0 for a text that was not there when fitting."""
        pairs = zip(series.static, self.static, strict=True)
        return [1 + f.index(str(v)) if str(v) in f else 0 for v, f in pairs if _is_texts(f)]

    def to_json(self) -> dict[str, Any]:
        return {"cycles": self.cycles, "future": self.future, "static": self.static}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Features":
        parts = {key: tuple(tuple(v) for v in found[key]) for key in ("future", "static")}
        return cls(cycles=tuple(found["cycles"]), **parts)


def _moments(column: Array) -> tuple[float, float]:
    known = column[~np.isnan(column)]
    if not len(known):
        return 0.0, 1.0
    deviation = float(known.std())
    return float(known.mean()), deviation if deviation > 1e-12 * np.abs(known).max() else 1.0


def _values(column: Sequence[str | float]) -> tuple[str, ...] | tuple[float, float]:
    if any(isinstance(value, str) for value in column):
        return tuple(sorted({str(value) for value in column}))
    return _moments(np.array(column, dtype=np.float64))


def _is_texts(fitted: tuple[str, ...] | tuple[float, float]) -> bool:
    return isinstance(fitted[0], str)


def _hold(values: Array) -> Array:
    """Missing values take the last known one, and 0 (the mean) before the first."""
    known = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return np.asarray(np.where(last < 0, 0.0, values[last.clip(0)]))
