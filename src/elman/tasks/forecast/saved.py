"""A forecaster's history as JSON values and tensors, and back; the checks of what a model's folder holds."""

import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
from torch import Tensor, float64, from_numpy

from elman.data.series.categories import Texts
from elman.data.series.columns import Columns
from elman.data.series.features import Features
from elman.data.series.frequency import Frequency, Unit
from elman.data.series.panel import Panel, Series
from elman.data.series.rows import Array
from elman.data.series.stamps import Clock
from elman.tasks.forecast.calibration import Calibration
from elman.tasks.forecast.network import Shape
from elman.tasks.forecast.settings import MAX_HORIZON_STEPS, MAX_WINDOW_STEPS, Settings
from elman.typed import RawText, typed


class _Entry(TypedDict):
    name: str
    start: str | int
    values: int
    future: int
    static: tuple[str | float | None, ...]
    scale: float | None
    nonnegative: NotRequired[bool]


class _Clock(TypedDict):
    form: str
    zone: str | None
    local: bool


class _Description(TypedDict):
    series: list[_Entry]
    frequency: tuple[Unit, int, bool | list[int]] | tuple[Unit, int, bool | list[int], bool | str]
    columns: tuple[str | None, str, str | None, tuple[str, ...], tuple[str, ...]]
    kind: Literal["integer", "date", "datetime"]
    name: RawText
    fingerprint: str
    clock: NotRequired[_Clock]
    whole_names: NotRequired[bool]


def to_parts(history: Panel, scales: Sequence[float]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a history as JSON values and tensors, exact to the bit."""
    series = [
        {
            "name": s.name,
            "start": int(s.start) if history.kind == "integer" else str(s.start),
            "values": len(s.values),
            "future": len(s.future),
            "static": s.static,
            "scale": None if np.isnan(scale) else scale,
            **({"nonnegative": True} if s.nonnegative else {}),
        }
        for s, scale in zip(history.series, scales, strict=True)
    ]
    frequency, columns = history.frequency, history.columns
    description: dict[str, Any] = {
        "series": series,
        "frequency": frequency.to_json(),
        "columns": [columns.time, columns.value, columns.series, columns.future, columns.static],
        "kind": history.kind,
        "name": history.name,
        "fingerprint": history.fingerprint,
    }
    if history.clock.zone is not None:
        clock = asdict(history.clock)
        description["clock"] = {name: clock[name] for name in ("form", "zone", "local")}
    if history.whole_names:
        description["whole_names"] = True
    tensors = {
        "history.values": from_numpy(np.concatenate([s.values for s in history.series])),
        "history.future": from_numpy(np.concatenate([s.future for s in history.series])),
    }
    return description, tensors


def from_parts(
    description: dict[str, Any], tensors: Mapping[str, Tensor], texts: tuple[Texts | None, ...]
) -> tuple[Panel, tuple[float, ...]]:
    """Invert `to_parts`; `texts` are those that codes of each covariate stand for, which the features know.
    Raises ValueError for parts of other kinds or sizes."""
    parts = typed(_Description, description, "series.json")
    entries, kind, columns = parts["series"], parts["kind"], Columns(*parts["columns"])
    values = _split(tensors["history.values"], [one["values"] for one in entries], ())
    future = _split(tensors["history.future"], [one["future"] for one in entries], (len(columns.future),))
    if len(columns.future) != len(texts):
        raise ValueError(f"series.json has {len(columns.future)} covariates known ahead, not {len(texts)}")
    for one in entries:
        if not 1 <= one["values"] <= one["future"] or (one["scale"] is not None and one["scale"] <= 0):
            raise ValueError(f"series.json: the steps or the scale of series {one['name']!r:.60} can't be")
    starts = [_start(one["start"], kind) for one in entries]
    series = tuple(
        Series(one["name"], start, v, f, one["static"], one.get("nonnegative", False))
        for one, start, v, f in zip(entries, starts, values, future, strict=True)
    )
    frequency = Frequency.from_json(parts["frequency"])
    if not frequency.is_valid() or (frequency.unit == "integer") != (kind == "integer"):
        raise ValueError(f"series.json: {parts['frequency']} is no frequency of stamps of kind {kind}")
    panel = Panel(
        series,
        frequency,
        columns,
        _clock(kind, parts.get("clock", {"form": "", "zone": None, "local": False})),
        parts["name"],
        parts["fingerprint"],
        texts=texts,
        whole_names=parts.get("whole_names", False),
    )
    return panel, tuple(float("nan") if one["scale"] is None else one["scale"] for one in entries)


def read_shape(value: Any, settings: Settings, features: Features) -> Shape:
    """Return the saved shape of a network. Raises ValueError unless it is that of the settings and features,
    and these fit each other."""
    if settings.context is None or settings.season is None or settings.hidden is None:
        raise ValueError("the context, the season or the number of units is missing")
    if features.holidays != settings.holidays:
        raise ValueError("the holidays of the settings and features differ")
    shape: Shape = typed(Shape, value, "shape")
    season, levels, texts = settings.network_season, settings.levels, tuple(features.vocabularies)
    if shape != Shape(settings.context, shape.horizon, season, levels, features.width, texts):
        raise ValueError("the shape is not that of the settings and features")
    if not 1 <= shape.horizon <= MAX_HORIZON_STEPS:
        raise ValueError(f"the horizon must be from 1 to {MAX_HORIZON_STEPS}, not {shape.horizon}")
    return shape


def read_calibration(value: Any, settings: Settings) -> Calibration:
    """Return the saved calibration. Raises ValueError for one of other quantiles, or of a season that can't
    be."""
    calibration = Calibration.from_json(value, settings.network_season)
    if not len(settings.levels) == len(calibration.spread) == len(calibration.conformal_factors):
        raise ValueError("adjustment.json is not of the quantiles of the settings")
    if not 1 <= calibration.season <= MAX_WINDOW_STEPS:
        raise ValueError(f"adjustment.json: there is no season of {calibration.season} steps")
    return calibration


def _clock(kind: str, entries: _Clock) -> Clock:
    zone = entries["zone"]
    if zone and zone not in zoneinfo.available_timezones():
        raise ValueError(f"series.json: {zone!r:.60} is no time zone")
    return Clock(kind, entries["form"], zone, entries["local"])


def _split(rows: Tensor, lengths: Sequence[int], shape: tuple[int, ...]) -> list[Array]:
    """Cut float64 rows (sum of lengths, *shape) into one array for each series."""
    if rows.dtype != float64 or rows.shape != (sum(lengths), *shape) or min(lengths, default=0) < 0:
        raise ValueError(f"the history is not as long as series.json says, {sum(lengths)} steps")
    if bool(rows.isinf().any()):
        raise ValueError("the history holds infinite values")
    return np.split(rows.numpy(), np.cumsum(lengths)[:-1])


def _start(value: str | int, kind: str) -> np.generic:
    if isinstance(value, str) == (kind == "integer"):
        raise ValueError(f"series.json: {value!r:.60} is no stamp of kind {kind}")
    start: np.generic = np.int64(value) if kind == "integer" else np.datetime64(value, "us")
    if str(start) != str(value):  # NumPy also reads words such as NaT and today
        raise ValueError(f"series.json: {value!r:.60} is no stamp")
    return start
