"""A series that arrives value by value: the forecast at any moment, in memory bounded by the context."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from elman.data.series.panel import Panel, Series, extend, written
from elman.data.series.stamps import read_stamps
from elman.data.table.table import read_table
from elman.errors import DataError, UsageError
from elman.tasks.forecast.history import forget


class Stream:
    """One growing series. `push` a value at a time; `result` forecasts what comes next.

    It starts from the kept history of a training series, or empty at `start`. Its forecasts equal those of
    `Forecaster.predict` on the same history.
    """

    def __init__(
        self, history: Panel, context: int, forecast: Callable[[Panel, int | None], pl.DataFrame]
    ) -> None:
        """history: a panel of the one series, perhaps without values yet."""
        self._panel, self._context, self._forecast = history, context, forecast

    def __len__(self) -> int:
        """Steps in memory: never more than the context."""
        return len(self._series.values)

    @property
    def _series(self) -> Series:
        return self._panel.series[0]

    def push(self, value: float | None, stamp: Any = None, **future: float) -> None:
        """The next value, None if it is missing.

        Args:
            stamp: its time stamp; if None, the next step. Steps between the last stamp and this are missing.
            future: this step's known-ahead covariates, by column.

        Raises:
            DataError: a value that is not finite, or a stamp that is not after the last.
            UsageError: an unknown covariate.
        """
        columns = self._panel.columns.future
        if unknown := [name for name in future if name not in columns]:
            there = ", ".join(columns) or "none"
            raise UsageError(f"there is no covariate {unknown[0]!r} known ahead; there are: {there}.")
        number = float("nan") if value is None else _finite(value)
        given = {columns.index(name): _finite(covariate) for name, covariate in future.items()}
        slot = self._slot(stamp)
        self._make_room(slot)
        values, known = self._series.values, self._series.future
        values[-1] = number
        for column, covariate in given.items():
            known[len(values) - 1, column] = covariate

    def result(self, horizon: int | None = None, *, future: Any = None) -> pl.DataFrame:
        """The forecast of the next steps, as `Forecaster.predict` gives it.

        Args:
            horizon: how many; all that were trained, if None.
            future: a table of the covariates known ahead.

        Raises:
            DataError: nothing was pushed yet, or a covariate is missing.
        """
        if not len(self) or np.isnan(self._series.values).all():
            raise DataError("the stream has no value yet; push at least one before asking for a forecast.")
        panel = self._panel if future is None else extend(self._panel, future)
        return self._forecast(panel, horizon)

    def _slot(self, stamp: Any) -> int:
        """The step, in memory, of a stamp."""
        series = self._series
        if stamp is None:
            return len(series.values)
        read = read_stamps(read_table({"stamp": [stamp]}), "stamp")
        if (read.kind == "integer") != (self._panel.kind == "integer"):
            what = "whole numbers" if self._panel.kind == "integer" else "dates"
            raise DataError(f"the stamps of this stream are {what}, not {stamp!r}.")
        slots, _ = self._panel.frequency.slots(series.start, read.stamps)
        if slots[0] < len(series.values):
            last = self._panel.stamps(series, len(series.values) - 1, 1)[0]
            raise DataError(
                f"stamp {stamp!r} is not after the last one, {written(last)}; push values in order."
            )
        return int(slots[0])

    def _make_room(self, slot: int) -> None:
        """Grow to hold step `slot` as the last, and forget what then lies before the context."""
        first = max(slot + 1 - self._context, 0)
        old = forget(self._panel, self._series, first)
        values = np.full(slot + 1 - first, np.nan)
        values[: len(old.values)] = old.values
        known = np.full((max(len(old.future), len(values)), old.future.shape[1]), np.nan)
        known[: len(old.future)] = old.future
        self._panel = replace(self._panel, series=(replace(old, values=values, future=known),))


def _finite(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{value!r} is not a number; push a number, or None if it is missing.") from None
    if not np.isfinite(number):
        raise DataError(f"{value!r} is not finite; push a number, or None if it is missing.")
    return number
