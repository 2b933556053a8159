"""Forecasts of a series that arrives value by value, in constant memory."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from elman.data.series.panel import Panel, Series, extend, read_moments
from elman.data.series.rows import MAX_SIZE, read_covariates
from elman.data.series.stamps import format_stamp
from elman.data.table.table import read_table
from elman.errors import DataError, UsageError
from elman.tasks import stream_state
from elman.tasks.entry import entry
from elman.tasks.forecast.history import forget
from elman.tasks.forecast.steps import ForecastSteps
from elman.tasks.pool import Steps, stepwise
from elman.tasks.stream_state import Saved, checking

MAX_AHEAD: Final = 100_000  # covariates that are known after the last value
Forecast = Callable[[Panel, int | None], Steps[Any]]


class ForecastStream:
    """A growing series: `push` a value at a time, `result` forecasts the next. Made by `Forecaster.stream`.

    Its forecasts equal those of `Forecaster.predict` after the same series.

    Args:
        history: a panel of the one series, which may have no values yet.
        steps: how many to keep.
        forecast: the panel and the horizon to the forecast, as a generator of requests.
    """

    PUSHES_KEYWORDS: Final = True

    def __init__(self, network: ForecastSteps, history: Panel, steps: int, forecast: Forecast) -> None:
        self.network, self._history, self._steps, self._forecast = network, history, steps, forecast
        self.reset()

    def reset(self) -> None:
        """Begin with the history again."""
        self._panel = self._history

    def __len__(self) -> int:
        """Return the number of steps in memory, at most `Settings.kept_steps`."""
        return len(self._series.values)

    @property
    def _series(self) -> Series:
        return self._panel.series[0]

    @entry
    def push(self, value: float | None, stamp: Any = None, **future: float | str | None) -> None:
        """Append a value, or None if it is missing.

        Args:
            stamp: its time stamp, if it is not the next step; the steps between have no value.
            future: this step's covariates known ahead, by column: numbers, or texts of categories; None if
                missing.

        Raises:
            DataError: a value that is not finite, or a stamp that is not after the last.
            UsageError: an unknown covariate.
        """
        columns = self._panel.columns.future
        if unknown := [name for name in future if name not in columns]:
            names = ", ".join(columns) or "none"
            raise UsageError(f"there is no covariate {unknown[0]!r} known ahead; there are: {names}.")
        number = float("nan") if value is None else _finite(value)
        covariates = {columns.index(name): self._covariate(name, one) for name, one in future.items()}
        slot = self._slot(stamp)
        self._make_room(slot)
        values, ahead = self._series.values, self._series.future
        values[-1] = number
        for column, covariate in covariates.items():
            ahead[len(values) - 1, column] = covariate

    @stepwise
    def result(self, horizon: int | None = None, *, future: Any = None) -> Steps[Any]:
        """Return the forecast of the next steps, as `Forecaster.predict` does.

        Args:
            horizon: their number, if not the trained one.
            future: a table of the covariates known ahead.

        Raises:
            DataError: nothing was pushed yet, or a covariate is missing.
        """
        if not len(self) or np.isnan(self._series.values).all():
            raise DataError("the stream has no value yet; push at least one before asking for a forecast.")
        panel = self._panel if future is None else extend(self._panel, future)
        return (yield from self._forecast(panel, horizon))

    def to_bytes(self) -> bytes:
        """Return the state, for `from_bytes` of a stream of the same model and options."""
        series = self._series
        start = np.array(series.start)
        values = {"stamps": str(start.dtype), "nonnegative": series.nonnegative}
        arrays = {"start": start.view(np.int64), "values": series.values, "future": series.future}
        tensors = {name: torch.from_numpy(np.array(one)) for name, one in arrays.items()}
        return stream_state.to_bytes("forecast", self.network.mark, Saved(values, tensors))

    def from_bytes(self, content: bytes) -> None:
        """Continue from what `to_bytes` returned. Raises ArtifactError for anything else, or another model's
        stream; the stream then stays as it was."""
        read, old = stream_state.from_bytes(content, "forecast", self.network.mark), self._history.series[0]
        with checking():
            if read.values["stamps"] != str(old.start.dtype):
                raise ValueError("the stamps are of another kind")
            start: Any = read.tensor("start", torch.int64).numpy().view(old.start.dtype)[()]
            count, columns = read.length("values", self._steps), old.future.shape[1]
            values = read.tensor("values", torch.float64, count, finite=False).numpy()
            rows = len(read.tensors["future"])
            future = read.tensor("future", torch.float64, rows, columns, finite=False).numpy()
            if (
                rows < count
                or rows > self._steps + MAX_AHEAD
                or not _in_range(values)
                or not _in_range(future)
            ):
                raise ValueError("the values are out of range")
            nonnegative = read.values["nonnegative"] is True
            series = replace(old, start=start, values=values, future=future, nonnegative=nonnegative)
            panel = replace(self._panel, series=(series,))
            panel.stamps(series, 0, count + 1)  # stamps that no calendar has
        self._panel = panel

    def _covariate(self, column: str, value: Any) -> float:
        """Return a covariate as a number, or the code of a text, read as a cell of a table is."""
        texts = self._panel.texts[self._panel.columns.future.index(column)]
        missing = value is None or (isinstance(value, float | np.floating) and np.isnan(value))
        if texts is None and not isinstance(value, str):
            return float("nan") if missing else _finite(value)
        table = read_table({column: [None if missing else value]})
        return float(read_covariates(table, (column,), (texts,))[0][0, 0])

    def _slot(self, stamp: Any) -> int:
        """Return the step in memory of a stamp."""
        series = self._series
        if stamp is None:
            return len(series.values)
        moments = read_moments(self._panel, [stamp], "stamp")
        slots, _ = self._panel.frequency.slots(series.start, moments)
        if slots[0] < len(series.values):
            last = self._panel.stamps(series, len(series.values) - 1, 1)[0]
            raise DataError(
                f"stamp {stamp!r} is not after the last one, {format_stamp(last)}; push values in order."
            )
        return int(slots[0])

    def _make_room(self, slot: int) -> None:
        """Grow to hold step `slot` as the last, and forget the oldest steps."""
        first = max(slot + 1 - self._steps, 0)
        old = forget(self._panel, self._series, first)
        values = np.full(slot + 1 - first, np.nan)
        values[: len(old.values)] = old.values
        future = np.full((max(len(old.future), len(values)), old.future.shape[1]), np.nan)
        future[: len(old.future)] = old.future
        self._panel = replace(self._panel, series=(replace(old, values=values, future=future),))


def start_series(history: Panel, name: str | None, start: Any) -> Panel:
    """Return a panel of the training series to continue, or of a new one that starts at the stamp `start`.

    Raises:
        UsageError: an unknown series, or none named among several.
        DataError: `start` is not a stamp like those of the training data.
    """
    names = [series.name for series in history.series]
    if name is None and len(names) > 1 and start is None:
        raise UsageError(f"say which series the stream continues: there are {', '.join(names[:12])}")
    if name is not None and name not in names:
        raise UsageError(f"there is no series {name!r}: there are {', '.join(names[:12])}")
    one = history.series[0 if name is None else names.index(name)]
    if start is not None:
        moment = read_moments(history, [start], "start")[0]
        one = replace(one, start=moment, values=np.empty(0), future=one.future[:0], nonnegative=True)
    return replace(history, series=(one,))


def _in_range(values: Any) -> bool:
    """Return whether all values are missing or numbers to calculate with."""
    return bool((np.isnan(values) | (np.abs(values) <= MAX_SIZE)).all())


def _finite(value: Any) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise DataError("a value is too large to calculate with; push values in a larger unit.") from None
    except (TypeError, ValueError):
        raise DataError(f"{value!r} is not a number; push a number, or None if it is missing.") from None
    if abs(number) > MAX_SIZE and np.isfinite(number):
        raise DataError(f"{value!r} is too large to calculate with; push values in a larger unit.")
    if not np.isfinite(number):
        raise DataError(f"{value!r} is not finite; push a number, or None if it is missing.")
    return number
