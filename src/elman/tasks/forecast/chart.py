"""What a page draws of a forecast, as plain values: the past, the steps ahead with their bands, the naive
forecast, and the covariates known ahead, which a reader may change."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elman.data.series.panel import Panel, Series
from elman.data.series.rows import Array
from elman.data.series.stamps import format_stamp
from elman.errors import UsageError, counted, suggestion
from elman.tasks.forecast.baseline import last_season, last_value
from elman.tasks.forecast.history import check_future, ends
from elman.tasks.forecast.predictor import Predictor

MAX_PAST_STEPS: Final = 2_000  # of a series, the last ones
MAX_NAMES: Final = 500
PAST_HORIZONS: Final = 6  # of covariates before the forecast, from which a reader sees what they usually are


def only(panel: Panel, name: str | None) -> Panel:
    """Return a panel of one series: that of the name, or the first. Raises UsageError if there is none."""
    names = {series.name: series for series in panel.series}
    if name is not None and name not in names:
        advice = suggestion(name, names) or f": there are {', '.join([*names][:12])}"
        raise UsageError(f"there is no series {name!r:.100}{advice}")
    return replace(panel, series=(panel.series[0] if name is None else names[name],))


def carried_on(panel: Panel, horizon: int) -> tuple[Panel, tuple[str, ...]]:
    """Return the panel with its covariates' last values where they are missing ahead, and the names of the
    columns where they were."""
    series, filled = [], list[str]()
    for one in panel.series:
        n = len(one.values)
        future = np.full((max(len(one.future), n + horizon), one.future.shape[1]), np.nan)
        future[: len(one.future)] = one.future
        for k, column in enumerate(panel.columns.future):
            missing = np.flatnonzero(np.isnan(future[n : n + horizon, k])) + n
            for step in missing:
                known = future[:step, k][~np.isnan(future[:step, k])]
                future[step, k] = known[-1] if len(known) else np.nan
            if len(missing):
                filled.append(column)
        series.append(replace(one, future=future))
    return replace(panel, series=tuple(series)), tuple(dict.fromkeys(filled))


def chart(predictor: Predictor, panel: Panel, names: Sequence[str], filled: Sequence[str]) -> dict[str, Any]:
    """Return what is drawn of the only series of a panel.

    Args:
        names: of all series.
        filled: columns whose last values were carried on.

    Raises DataError where a covariate is missing ahead.
    """
    horizon, settings = predictor.network.shape.horizon, predictor.settings
    check_future(panel, horizon)
    (series,) = panel.series
    (quantiles,) = predictor.quantiles(panel, ends(panel))
    n, season = len(series.values), settings.season or 1
    first = max(n - MAX_PAST_STEPS, 0)
    unit, scale = panel.frequency.in_words()
    naive = {"last season": last_season} if season > 1 and n >= season else {}
    naive |= {"last value": last_value}
    return {
        "names": list(names[:MAX_NAMES]),
        "name": series.name,
        "columns": {"time": panel.columns.time, "value": panel.columns.value, "series": panel.columns.series},
        "unit": unit,
        "scale": scale,
        "season": season,
        "past": {"ds": _stamps(panel, series, first, n - first), "value": _numbers(series.values[first:])},
        "ahead": {
            "ds": _stamps(panel, series, n, horizon),
            "quantiles": {f"{level:g}": _numbers(quantiles[:, k]) for k, level in enumerate(settings.levels)},
            "naive": {name: _numbers(of(series.values, horizon, season)) for name, of in naive.items()},
        },
        "known": _covariates(panel, series, n, horizon),
        "notes": _notes(panel, filled, n - first),
    }


def _covariates(panel: Panel, series: Series, n: int, horizon: int) -> list[dict[str, Any]]:
    """Return each column known ahead: its values before and in the steps ahead, as a table has them."""
    first = max(n - PAST_HORIZONS * horizon, 0)
    columns = []
    texts = panel.texts or (None,) * len(panel.columns.future)
    for k, (name, choices) in enumerate(zip(panel.columns.future, texts, strict=True)):
        values: NDArray[np.float64] = series.future[:, k]
        parts = {"before": values[first:n], "ahead": values[n : n + horizon]}
        shown = {part: _cells(cells, choices) for part, cells in parts.items()}
        columns.append({"name": name, "choices": choices and list(choices), **shown})
    return columns


def _cells(codes: Array, choices: Sequence[str] | None) -> Any:
    if choices is None:
        return _numbers(codes)
    return [choices[int(code)] if code == code and code < len(choices) else None for code in codes.tolist()]


def _notes(panel: Panel, filled: Sequence[str], shown: int) -> list[str]:
    notes = [*panel.notes]
    if filled:
        notes.append(f"not given ahead, so their last values are carried on: {', '.join(filled)}")
    if len(panel.series[0].values) > shown:
        notes.append(f"the last {counted(shown, 'step')} are shown")
    return notes


def _stamps(panel: Panel, series: Series, first: int, count: int) -> list[str]:
    return [format_stamp(stamp) for stamp in panel.local_stamps(series, first, count)]


def _numbers(values: Array) -> list[float | None]:
    return [value if value == value else None for value in np.asarray(values, np.float64).tolist()]
