"""Inputs known for each step besides its value: calendar, covariates known ahead and static values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman.data.series.categories import Categories, Texts, recoded, warn_of_new
from elman.data.series.columns import Columns
from elman.data.series.frequency import calendar
from elman.data.series.holidays import check_country, holidays_of_steps
from elman.data.series.panel import Panel, Series
from elman.data.series.rows import Array
from elman.errors import DataError
from elman.typed import typed


@dataclass(frozen=True)
class Features:
    """Scaling and encoding of stamps, covariates and static values, fitted on the past only."""

    cycles: tuple[str, ...]
    # Of each covariate, the categories, or mean and standard deviation.
    future: tuple[Categories | tuple[float, float], ...]
    # Texts, of which "" stands for a missing one, or mean and standard deviation, of each static column.
    static: tuple[tuple[str, ...] | tuple[float, float], ...]
    holidays: str | None = None  # the country whose holidays count, such as "DE" or "US-CA"

    @classmethod
    def fit(cls, panel: Panel, ends: Sequence[int], holidays: str | None = None) -> "Features":
        """Fit to the steps before `ends[i]` of each series i. Raises UsageError for a country that isn't
        known, or holidays of steps that aren't dates."""
        if holidays is not None:
            check_country(holidays)
            holidays_of_steps(panel.local_stamps(panel.series[0], 0, 2), holidays)
        past = np.concatenate([s.future[:end] for s, end in zip(panel.series, ends, strict=True)])
        covariates = zip(past.T, panel.texts, panel.columns.future, strict=True)
        columns = zip(*(s.static for s in panel.series), strict=True)
        return cls(
            panel.frequency.cycles(max(ends) * panel.frequency.seconds),
            tuple(
                _moments(past) if texts is None else Categories.fit(past, texts, column)
                for past, texts, column in covariates
            ),
            tuple(_values(column) for column in columns),
            holidays,
        )

    @property
    def vocabularies(self) -> list[int]:
        return [len(values) for values in self.static if _is_texts(values)]

    @property
    def width(self) -> int:
        """Number of columns that `known` returns."""
        dates = calendar(np.zeros(1, "datetime64[us]"), self.cycles)
        days = 0 if self.holidays is None else 2
        numbers = sum(not _is_texts(values) for values in self.static)
        covariates = sum(one.width if isinstance(one, Categories) else 1 for one in self.future)
        return int(dates.size) + days + covariates + numbers

    def parts(self) -> tuple[slice, slice | None, tuple[slice, ...]]:
        """Return the columns of `known` that hold the calendar, the holidays, if there are any, and each
        covariate known ahead."""
        calendar_end = calendar(np.zeros(1, "datetime64[us]"), self.cycles).shape[-1]
        first = calendar_end + (0 if self.holidays is None else 2)
        widths = [one.width if isinstance(one, Categories) else 1 for one in self.future]
        ends = [first + end for end in accumulate(widths)]
        future = tuple(slice(end - width, end) for end, width in zip(ends, widths, strict=True))
        return slice(0, calendar_end), slice(calendar_end, first) if self.holidays else None, future

    @property
    def texts(self) -> tuple[Texts | None, ...]:
        """The texts of each covariate that is texts; None of one of numbers."""
        return tuple(one.texts if isinstance(one, Categories) else None for one in self.future)

    def described(self, columns: Columns) -> list[str]:
        """Return sentences that name the covariates and their categories, as the user did."""
        pairs = zip(columns.future, self.future, strict=True)
        ahead = [f"{name} ({one})" if isinstance(one, Categories) else name for name, one in pairs]
        parts = {"Known ahead": ahead, "Constant in a series": columns.static}
        return [f"{title}: {', '.join(names)}." for title, names in parts.items() if names]

    def encoded(self, panel: Panel) -> Panel:
        """Return the panel with codes of these categories."""
        if panel.texts == self.texts:
            return panel
        series = tuple(replace(s, future=self._recoded(panel, s)) for s in panel.series)
        return replace(panel, series=series, texts=self.texts)

    def _recoded(self, panel: Panel, series: Series) -> Array:
        future = series.future.copy()
        for i, (old, new) in enumerate(zip(panel.texts, self.texts, strict=True)):
            if old is not None and new is not None:
                future[:, i] = recoded(future[:, i], old, new)
        return future

    def known(self, panel: Panel, series: Series, first: int, count: int) -> NDArray[np.float32]:
        """Return the inputs (count, F) from step `first` on, which may lie before or after the series.

        A missing covariate takes its last known value, or before the first its mean or no category. Of
        holidays there are their numbers in a step and in the next.
        """
        stamps = panel.stamps(series, first, count)
        columns = [calendar(stamps, self.cycles)]
        if self.holidays is not None:
            days = holidays_of_steps(panel.local_stamps(series, first, count + 2), self.holidays)
            columns.append(np.stack([days[:-1], days[1:]], 1).astype(np.float32))
        steps = np.arange(first, first + count).clip(0, max(len(series.future) - 1, 0))
        for one, covariate in zip(self.future, self._recoded(panel, series).T, strict=True):
            if isinstance(one, Categories):
                columns.append(one.inputs(_hold(covariate, -1.0)[steps]))
            else:
                held = _hold((covariate - one[0]) / one[1], 0.0)
                columns.append(held[steps, None].astype(np.float32))
        for i, (value, fitted) in enumerate(zip(series.static, self.static, strict=True)):
            if isinstance(value, str) and not _is_texts(fitted):
                column = panel.columns.static[i]
                raise DataError(
                    f"series {series.name!r}: static column {column!r} holds {value!r}, but was a number in "
                    "training; give a number."
                )
            if not _is_texts(fitted):
                mean, deviation = float(fitted[0]), float(fitted[1])
                # A missing number is taken as the mean.
                scaled = 0.0 if value is None else (float(value) - mean) / deviation
                columns.append(np.full((count, 1), scaled, np.float32))
        return np.concatenate(columns, 1)

    def codes(self, series: Series) -> list[int]:
        """Return a code for each static column of texts, 0 for a text unknown when fitting."""
        columns = zip(series.static, self.static, strict=True)
        return [1 + f.index(_text(v)) if _text(v) in f else 0 for v, f in columns if _is_texts(f)]

    def warn_of_new(self, panel: Panel) -> None:
        """Log a warning that names the static texts that training has not seen."""
        cells = zip(*(series.static for series in panel.series), strict=True)
        for column, texts, fitted in zip(panel.columns.static, cells, self.static, strict=True):
            if _is_texts(fitted):
                new = {_text(text) for text in texts} - {*map(str, fitted), ""}
                warn_of_new(sorted(new), column, f"{panel.name}: ")

    def to_json(self) -> dict[str, Any]:
        holidays = {} if self.holidays is None else {"holidays": self.holidays}
        future = [asdict(one) if isinstance(one, Categories) else one for one in self.future]
        return {"cycles": self.cycles, "future": future, "static": self.static} | holidays

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Features":
        """Return the features whose `to_json` gave `value`. Raises ValueError for anything else."""
        features: Features = typed(cls, value, "features.json")
        covariates = [one for one in features.future if not isinstance(one, Categories)]
        numbers = [*covariates, *(values for values in features.static if not _is_texts(values))]
        if any(one.rest < 0 for one in features.future if isinstance(one, Categories)):
            raise ValueError("features.json: a number of other texts must not be below 0")
        if not all(deviation > 0 for _, deviation in numbers):  # type: ignore[operator]  # no texts are left
            raise ValueError("features.json: a standard deviation must be above 0")
        return features


def _moments(column: Array) -> tuple[float, float]:
    observed = column[~np.isnan(column)]
    size = float(np.abs(observed).max()) if len(observed) else 0.0
    if size == 0:
        return 0.0, 1.0
    # In a unit near the largest, as the squares of large numbers overflow; a power of 2 changes no digit.
    unit = 2.0 ** np.frexp(size)[1]
    mean, deviation = float((observed / unit).mean() * unit), float((observed / unit).std() * unit)
    return mean, deviation if deviation > 1e-12 * size else 1.0


def _values(column: Sequence[str | float | None]) -> tuple[str, ...] | tuple[float, float]:
    if any(isinstance(value, str) for value in column):
        return tuple(sorted({_text(value) for value in column}))
    return _moments(np.array(column, dtype=np.float64))


def _text(value: str | float | None) -> str:
    """Return a static value as text; a whole number without a fraction."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is_texts(fitted: tuple[str, ...] | tuple[float, float]) -> bool:
    return isinstance(fitted[0], str)


def _hold(values: Array, first: float) -> Array:
    """Fill missing values with the last known one, or `first` before it."""
    observed = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(observed, np.arange(len(values)), -1))
    return np.asarray(np.where(last < 0, first, values[last.clip(0)]))
