"""One or many time series → quantiles of the steps ahead, beside the naive forecasts."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, final

import polars as pl

from elman import artifact
from elman.data.series.categories import Texts
from elman.data.series.features import Features
from elman.data.series.panel import Panel, extend, read_panel
from elman.data.series.rows import Array
from elman.data.series.source import join_names, series_table
from elman.data.series.windows import Cutoffs
from elman.data.table.frames import column_name
from elman.data.table.kinds import in_kind, in_kind_of, kind_of
from elman.errors import DataError, UsageError, counted
from elman.lens.view import View
from elman.tasks.entry import entry, training_entry
from elman.tasks.forecast import look
from elman.tasks.forecast.answers import ForecastAnswer
from elman.tasks.forecast.calibration import Calibration
from elman.tasks.forecast.chart import carried_on, chart, only
from elman.tasks.forecast.components import LEVEL, components
from elman.tasks.forecast.history import (
    check_future,
    check_stamps,
    continued,
    cut_at,
    ends,
    forecast_frame,
    later_cutoffs,
    origins,
    require_calendar,
    steps_frame,
    tail,
    unseen_note,
)
from elman.tasks.forecast.metrics import mase_scale
from elman.tasks.forecast.predictor import Network, Predictor, bound_note, make_network
from elman.tasks.forecast.saved import from_parts, read_calibration, read_shape, to_parts
from elman.tasks.forecast.scores import ForecastEvaluation
from elman.tasks.forecast.seasonal import smoothed_steps
from elman.tasks.forecast.settings import MAX_HORIZON_STEPS, Settings
from elman.tasks.forecast.steps import Ahead, ForecastSteps
from elman.tasks.forecast.stream import ForecastStream, start_series
from elman.tasks.forecast.table import MAX_DRAWN_SERIES, table_of
from elman.tasks.forecast.train import Trained, train
from elman.tasks.inputs import check_count, looked_at
from elman.tasks.pool import Pool, Steps
from elman.tasks.settings import renamed, split_choices
from elman.tasks.task import MAX_NAMED, Card, Exported, Parts, Task, bare_name, network_phrase
from elman.training.plan import Plan
from elman.typed import RawText, typed

if TYPE_CHECKING:
    from matplotlib.figure import Figure
_log = logging.getLogger("elman")


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Forecaster(Task):
    """A trained forecaster. Made by `fit` and by `elman.load`.

    Attributes:
        features: how stamps and covariates become inputs.
        calibration: a blend with the classical forecasts and the width of the bands, chosen on validation.
        plan: how it was trained.
        history: the end of every training series; forecasts start after it.
        scales: what the MASE of each of these series divides by.
        notes: what was irregular, missing, ambiguous or left out in the data, or went wrong in training.
    """

    task: ClassVar = "forecast"
    SETTINGS: ClassVar = Settings
    EVALUATION: ClassVar = ForecastEvaluation
    SCORE: ClassVar = ("mase", True)
    OPTIONS: ClassVar = {
        "evaluate": frozenset({"header", "skip_bad"}),
        "backtest": frozenset({"cutoffs", "header", "skip_bad"}),
        "predict": frozenset({"header", "horizon", "future", "against", "components", "plot"}),
        "generate": frozenset(),
    }
    SAVED_BESIDE: ClassVar = frozenset({"plan", "shape"})

    network: Network
    settings: Settings
    validation: ForecastEvaluation
    features: Features
    calibration: Calibration
    plan: Plan
    history: Panel
    scales: tuple[float, ...]
    notes: tuple[str, ...]

    @classmethod
    @training_entry
    def fit(
        cls,
        data: Any,
        *,
        horizon: int,
        time: str | Sequence[str] | None = None,
        value: str | None = None,
        series: str | None = None,
        future: Sequence[str] = (),
        static: Sequence[str] = (),
        frequency: str | None = None,
        header: bool = True,
        skip_bad: bool = False,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Forecaster":
        """Train on series in long form, a row for each series and stamp; see `Task` for the common arguments.

        Args:
            data: any table that `elman.data.table.table.read_table` reads; a pandas or polars series, an
                array or a list of numbers. The dates in the index of a pandas frame or series are used.
            horizon: steps to look ahead.
            time, value, series: columns of the stamps, the values and the names of the series; recognised
                where only one column is possible. `time` may name the index, or several columns that hold the
                parts of the time, such as `["year", "month"]`.
            future: columns known ahead of time, such as holidays or prices; a forecast needs them ahead. They
                hold numbers or categories, such as "rain" and "sun".
            static: columns with one text or number for each series.
            frequency: such as "1h", "30min", "1d", "1bd", "1mo"; inferred if None.
            header: whether the first line of a CSV or TSV names the columns; if not, they are "1", "2", ...
            skip_bad: whether to skip rows without a readable stamp, and to take values that are no numbers as
                missing, with one warning that counts them and names the first, rather than to raise DataError
                for it; refused where they are more than half of all.
        """
        started = monotonic()
        chosen, _ = split_choices(settings, Settings)  # before a long file is read
        time = join_names(time)
        value, series = (None if name is None else column_name(name) for name in (value, series))
        future, static = tuple(map(column_name, future)), tuple(map(column_name, static))
        check_count(horizon, "horizon", most=MAX_HORIZON_STEPS)
        if folder is not None:
            artifact.check_destination(folder)
        table = series_table(data, header=header, time=time, value=value, skip_bad=skip_bad)
        panel = read_panel(
            table,
            time=time,
            value=value,
            series=series,
            future=future,
            static=static,
            frequency=frequency,
            duplicates=chosen.duplicates,
        )
        require_calendar(panel, horizon + smoothed_steps(panel.frequency.season))
        _warn(panel.notes)
        trained = train(
            panel,
            horizon,
            settings,
            table.fingerprint,
            started=started,
            folder=folder,
            resume=resume,
            progress=progress,
        )
        source = {"source": table.name, "fingerprint": table.fingerprint, "rows": len(table)}
        source |= {} if kind_of(data) == "polars" else {"kind": kind_of(data)}
        model = _assemble(trained, panel, source)
        if trained.run is not None:
            trained.run.keep(partial(model.save, overwrite=True), trained.signal)
        elif folder is not None:
            model.save(folder, overwrite=True)
        return model

    @property
    def horizon(self) -> int:
        """The number of steps that it looks ahead."""
        return self.network.shape.horizon

    @cached_property
    def predictor(self) -> Predictor:
        """Forecasts quantiles of a panel."""
        return Predictor(self.network, self.settings, self.features, self.calibration)

    @entry
    def predict(
        self, data: Any = None, *, horizon: int | None = None, future: Any = None, header: bool = True
    ) -> Any:
        """Return the forecast of the next steps of every series.

        Args:
            data: series to forecast, with the columns of the training data; training series are continued.
                If None, the training series.
            horizon: number of steps, if not those trained. Of more, the network forecasts the later ones from
                its own forecasts, and a warning says so.
            future: a table of the covariates known ahead; they may also be rows of `data` without a value.
            header: whether the first line of a CSV or TSV names the columns.

        Returns:
            A frame with columns `unique_id`, `ds` and one for each quantile: `q0.1`, `q0.5`, ... It is of
            pandas, Arrow or polars, as the data are, or without data those of `fit`; else of polars.

        Raises:
            DataError: the data can't be read, or a covariate is missing ahead.
            UsageError: a horizon that is no number of steps, or above 10,000.
        """
        panel = self._panel(data, future, header)
        return self._returned(self._forecast(panel, horizon), data)

    @entry
    def compare(
        self, first: Any, second: Any, *, data: Any = None, horizon: int | None = None, header: bool = True
    ) -> Any:
        """Return the forecasts of two plans side by side, such as with and without a promotion.

        Args:
            first, second: tables of the covariates known ahead, as `future` of `predict`.
            data, horizon, header: as for `predict`.

        Returns:
            Columns `unique_id`, `ds`, `first` and `second` (the medians), `difference` (second less first)
            and `total` (the sum of the differences up to this step).

        Raises as `predict` does.
        """
        panel = self._panel(data, None, header)
        return self._returned(self._compared(panel, (first, second), horizon, header), data)

    def _compared(
        self, panel: Panel, plans: tuple[Any, Any], horizon: int | None, header: bool
    ) -> pl.DataFrame:
        middle = self.settings.levels.index(0.5)
        one, other = (self._quantiles(extend(panel, plan, header), horizon)[..., middle] for plan in plans)
        difference = other - one
        columns = {"first": one, "second": other, "difference": difference, "total": difference.cumsum(1)}
        return steps_frame(panel, one.shape[1], columns)

    @entry
    def components(
        self, data: Any = None, *, horizon: int | None = None, future: Any = None, header: bool = True
    ) -> Any:
        """Return what level, trend, season and each covariate contribute to the median forecast; see
        `elman.tasks.forecast.components`.

        Args:
            data, future, header: as for `predict`.
            horizon: number of steps, at most those trained.

        Returns:
            Columns `unique_id`, `ds`, `forecast`, and those that add up to it: `level`, `trend`, `season`,
            `holidays` if the model knows them, each covariate known ahead, and `bound` where a forecast would
            be below 0 but may not.

        Raises as `predict` does.
        """
        return self._returned(self._explained(self._panel(data, future, header), horizon), data)

    def _explained(self, panel: Panel, horizon: int | None) -> pl.DataFrame:
        terms = self._components(panel, horizon)
        return steps_frame(panel, terms[LEVEL].shape[1], terms)

    def _components(self, panel: Panel, horizon: int | None) -> dict[str, Array]:
        steps = self.horizon if horizon is None else horizon
        check_count(steps, "horizon", most=MAX_HORIZON_STEPS)
        if steps > self.horizon:
            raise UsageError(
                f"components cover the {counted(self.horizon, 'step')} of training's horizon, not {steps}: "
                "later ones are forecast from forecasts"
            )
        check_future(panel, self.horizon)
        terms = components(self.predictor, panel)
        return {name: values[:, :steps] for name, values in terms.items()}

    @entry
    def view(self, data: Any = None) -> View:
        panel = self._panel(data, None, True)
        panel = replace(panel, series=tuple(looked_at(panel.series)))
        check_future(panel, self.horizon)
        return look.view(self.predictor, panel)

    @entry
    def evaluate(
        self, data: Any, *, step: int | None = None, header: bool = True, skip_bad: bool = False
    ) -> ForecastEvaluation:
        """Score on values that training has not seen, with a new forecast every `step` steps (a horizon, if
        None). Training series are scored from the end of training on, others after a context.

        Raises:
            DataError: the data can't be read, have nothing to score, or lack a covariate.
        """
        panel = self._panel(data, None, header, skip_bad)
        step = self.horizon if step is None else step
        check_count(step, "step")
        cutoffs = later_cutoffs(self.history, panel, self.network.shape.context, step)
        if not cutoffs:
            raise DataError(
                f"{panel.name} has no value after the end of training; give later values, or score on past "
                "ones with backtest (--backtest N)"
            )
        return self._score(panel, cutoffs).given(data)

    @training_entry
    def backtest(
        self,
        data: Any,
        *,
        cutoffs: int | Sequence[Any] = 3,
        header: bool = True,
        skip_bad: bool = False,
    ) -> ForecastEvaluation:
        """Score past forecasts: train anew, with the same settings, on the values before the first cut-off,
        then forecast from every cut-off.

        Args:
            data: the whole past, as for `fit`.
            cutoffs: a number of horizons at the end of every series; or the stamps from which to forecast.
            header: whether the first line of a CSV or TSV names the columns.

        Raises:
            DataError: the data can't be read, or have too little before the first cut-off.
        """
        panel = self._read(data, header, skip_bad, None)
        starts = [origins(panel, series, self.horizon, cutoffs) for series in panel.series]
        past = cut_at(panel, [steps[0] if steps else None for steps in starts])
        choices = self.settings.to_dict() | asdict(self.plan) | {"minutes": None}
        model = _assemble(train(past, self.horizon, choices, panel.fingerprint), past, self.source)
        scored = [(i, step) for i, steps in enumerate(starts) for step in steps]
        if not scored:
            raise DataError(f"{panel.name} has no value after the cut-offs; give earlier ones")
        return model._score(panel, scored).given(data)

    @entry
    def plot(
        self,
        path: str | Path | None = None,
        data: Any = None,
        *,
        series: Sequence[str] = (),
        horizon: int | None = None,
        future: Any = None,
        header: bool = True,
    ) -> "Figure":
        """Draw history, forecast and bands of the `series` named or of the first six, write the picture if
        there is a path, .png or .svg, and return it.

        Args:
            data, horizon, future, header: as for `predict`.

        Raises:
            UsageError: another ending, or an unknown series; else as `predict`.
        """
        from elman.lens.figures import finished  # matplotlib takes long to load
        from elman.lens.plot import picture_path
        from elman.tasks.forecast.plot import forecasts

        if path is not None:
            picture_path(path)  # before the forecast is computed
        panel = self._panel(data, future, header)
        drawn, total = self._drawn(panel, series), 0 if series else len(panel.series)
        return finished(forecasts(drawn, self._quantiles(drawn, horizon), self.settings.levels, total), path)

    @entry
    def plot_components(
        self,
        path: str | Path | None = None,
        data: Any = None,
        *,
        series: Sequence[str] = (),
        horizon: int | None = None,
        future: Any = None,
        header: bool = True,
    ) -> "Figure":
        """Draw the `components` of the forecasts, stacked from the level; else as `plot`."""
        from elman.lens.figures import finished  # matplotlib takes long to load
        from elman.lens.plot import picture_path
        from elman.tasks.forecast.component_plot import drawn_components

        if path is not None:
            picture_path(path)
        panel = self._panel(data, future, header)
        drawn, total = self._drawn(panel, series), 0 if series else len(panel.series)
        return finished(drawn_components(drawn, self._components(drawn, horizon), total), path)

    @entry
    def chart(
        self, data: Any = None, *, series: str | None = None, future: Any = None, header: bool = True
    ) -> dict[str, Any]:
        """Return what a page draws of the forecast of one series, the first if none is named, as plain
        values: past, quantiles and naive forecasts ahead, and the covariates known ahead. Where these are
        missing, their last values are carried on, and a note says so.

        Args:
            data, future, header: as for `predict`.

        Raises:
            UsageError: an unknown series; else as `predict`.
        """
        whole = self._panel(data, future, header)
        panel, filled = carried_on(only(whole, series), self.horizon)
        require_calendar(panel, self.horizon)
        return chart(self.predictor, panel, [one.name for one in whole.series], filled)

    def _drawn(self, panel: Panel, series: Sequence[str]) -> Panel:
        """Return the ends of the series named, or of the first six."""
        by_name = {s.name: s for s in panel.series}
        if missing := [name for name in series if name not in by_name]:
            raise UsageError(
                f"there is no series {missing[0]!r} to draw: there are {', '.join([*by_name][:12])}"
            )
        drawn = tuple(by_name[name] for name in series) or panel.series[:MAX_DRAWN_SERIES]
        return tail(replace(panel, series=drawn), max(self.settings.kept_steps, 3 * self.horizon))

    @entry
    def stream(self, series: str | None = None, *, start: Any = None) -> ForecastStream:
        """Start a stream of one series that arrives value by value, in constant memory.

        Args:
            series: the training series to continue; needed only if there are several.
            start: the first stamp of a new series without a past.

        Raises:
            UsageError: an unknown series, or none named among several.
            DataError: `start` is not a stamp like those of the training data.
        """
        return self._stream(ForecastSteps(self.predictor), series, start=start)

    @entry
    def pool(self, capacity: int) -> Pool[ForecastStream]:
        """Return room for many streams whose forecasts are made together; `open` takes the options of
        `stream`, and `push` values, or dicts of the arguments of a stream's `push`. Raises UsageError for a
        capacity below 1."""
        steps = ForecastSteps(self.predictor)
        return Pool(steps, partial(self._stream, steps), capacity)

    def _stream(
        self, steps: ForecastSteps, series: str | None = None, *, start: Any = None
    ) -> ForecastStream:
        panel = start_series(self.history, series, start)
        return ForecastStream(steps, panel, self.settings.kept_steps, self._forecast_as_fitted)

    def answers(
        self,
        data: Any = None,
        *,
        header: bool = True,
        horizon: int | None = None,
        future: Any = None,
        against: Any = None,
        components: bool = False,
        plot: str | Path | None = None,
    ) -> Iterator[ForecastAnswer]:
        """Yield the forecast after `data`, or after the training series, step by step; draw it as `plot`.
        With `against`, a second `future`, yield what `compare` returns; with `components`, what that does."""
        columns = self.history.columns
        table = None
        if data is not None:
            table = series_table(data, header=header, time=columns.time, value=columns.value)
        if plot is not None and against is None:
            draw = self.plot_components if components else self.plot
            draw(plot, table, horizon=horizon, future=future, header=header)
        if against is not None:
            if future is None or components or plot is not None:
                raise UsageError("against is a second plan beside future, without components or a plot")
            frame = self._compared(self._panel(table, None, header), (future, against), horizon, header)
        else:
            panel = self._panel(table, future, header)
            frame = self._explained(panel, horizon) if components else self._forecast(panel, horizon)
        heading = frame.clear().write_csv().removesuffix("\n")
        for row in frame.iter_slices(1):
            yield ForecastAnswer(row, heading)

    def graphs(self) -> dict[str, Exported]:
        from elman.tasks.forecast.export import forecaster_graph

        settings, shape, calibration = self.settings, self.network.shape, self.calibration
        nonnegative = settings.nonnegative
        if nonnegative is None:
            nonnegative = all(series.nonnegative for series in self.history.series)
        inputs = {
            "context": shape.context,
            "horizon": shape.horizon,
            "levels": shape.levels,
            "known": self.features.to_json(),
            "shares": {"network": calibration.weight}
            | {name: (1 - calibration.weight) * share for name, share in calibration.shares.items()},
            "least_steps": calibration.least_steps,
            "season": calibration.season,
        }
        return {"": Exported(forecaster_graph(self.network, calibration, nonnegative), inputs)}

    def facts(self) -> dict[str, Any]:
        columns = self.history.columns
        return {
            "horizon": self.horizon,
            "levels": list(self.settings.levels),
            "columns": {
                "time": columns.time,
                "value": columns.value,
                "series": columns.series,
                "future": list(columns.future),
                "static": list(columns.static),
            },
            "series": [series.name for series in self.history.series[:MAX_NAMED]],
            "stream": True,
            "examples": [None],  # to continue the training series
        }

    def parts(self) -> Parts:
        description, tensors = to_parts(self.history, self.scales)
        return Parts(
            modules={"network": self.network},
            tensors=tensors,
            files={
                "series": description,
                "features": self.features.to_json(),
                "adjustment": self.calibration.to_json(),
                "notes": list(self.notes),
            },
            settings={"plan": asdict(self.plan), "shape": asdict(self.network.shape)},
        )

    @classmethod
    def restore(cls, settings: Settings, parts: Parts) -> dict[str, Any]:
        features = Features.from_json(parts.files["features"])
        shape = read_shape(parts.settings["shape"], settings, features)
        calibration = read_calibration(parts.files["adjustment"], settings)
        history, scales = from_parts(parts.files["series"], parts.tensors, features.texts)
        check_stamps(history, settings.kept_steps + shape.horizon)
        for series in history.series:
            features.known(history, series, 0, 1)  # raises for values of another kind or number
        return {
            "network": parts.module("network", lambda: make_network(settings, shape)),
            "features": features,
            "calibration": calibration,
            "plan": Plan(**renamed(parts.settings["plan"], Plan)),
            "history": history,
            "scales": scales,
            "notes": typed(tuple[RawText, ...], parts.files["notes"], "notes.json"),
        }

    def card(self) -> Card:
        settings, history, source = self.settings, self.history, self.source
        series = counted(len(history.series), "series", "series")
        quantiles = ", ".join(f"{100 * q:g}" for q in settings.quantiles)
        network = (
            f"The network, {network_phrase(settings)}, looks back {settings.context} steps and "
            f"{counted(self.horizon, 'step')} ahead ({settings.mode}); quantiles: {quantiles} %."
        )
        covariates = self.features.described(history.columns)
        covariates.append(f"The forecast is {self.calibration.contributions}.")
        return Card(
            title=f"Forecaster of {history.columns.value}",
            data=f"{source['rows']} rows of {source['source']}: {series}, step {history.frequency}, "
            f"season {settings.season}",
            network="\n- ".join([network, *covariates, *self.notes]),
            held_out="the last horizons of every series",
            baseline="the naive forecasts, the last season and the last value; exponential smoothing; Theta",
            usage="model.predict()             # the steps after the training data\n"
            'model.predict("newer.csv")  # the steps after newer values',
        )

    def _read(self, data: Any, header: bool, skip_bad: bool, texts: Sequence[Texts | None] | None) -> Panel:
        """Read series with the columns of the training data, and the categories `texts`."""
        history = self.history
        time, value = history.columns.time, history.columns.value
        table = series_table(data, header=header, time=time, value=value, skip_bad=skip_bad)
        panel = read_panel(
            table,
            **asdict(history.columns),
            frequency=history.frequency,
            duplicates=self.settings.duplicates,
            clock=history.clock,
            texts=texts,
        )
        _warn(panel.notes)
        return replace(panel, clock=history.clock)

    def _panel(self, data: Any, future: Any, header: bool, skip_bad: bool = False) -> Panel:
        """Read the series to forecast, each after its kept past; the training series if `data` is None."""
        panel = self.history
        if data is not None:
            panel = continued(panel, self._read(data, header, skip_bad, panel.texts))
            self.features.warn_of_new(panel)
            _warn(unseen_note(self.history, panel, self.calibration.least_steps))
        return panel if future is None else extend(panel, future, header)

    def _forecast(self, panel: Panel, horizon: int | None) -> pl.DataFrame:
        quantiles = self._quantiles(panel, horizon)
        return forecast_frame(panel, quantiles, self.settings.levels, self.settings.quantiles)

    def _quantiles(self, panel: Panel, horizon: int | None) -> Array:
        """Return quantiles (N, horizon, Q) after the series, for `settings.levels`."""
        steps = self._steps_ahead(panel, horizon)
        if steps > self.horizon:
            return self.predictor.further(panel, steps)
        return self.predictor.quantiles(panel, ends(panel))[:, :steps]

    def _steps_ahead(self, panel: Panel, horizon: int | None) -> int:
        """Return how many steps to forecast. Raises UsageError and DataError where they can't be."""
        steps = self.horizon if horizon is None else horizon
        check_count(steps, "horizon", most=MAX_HORIZON_STEPS)
        check_future(panel, steps)
        if steps > self.horizon:
            require_calendar(panel, steps + self.horizon)
            _log.warning(
                f"a horizon of {steps} steps is beyond the {self.horizon} of training: later ones are "
                "forecast from forecasts, and their bands were never checked"
            )
        return steps

    def _forecast_as_fitted(self, panel: Panel, horizon: int | None) -> Steps[Any]:
        quantiles = yield Ahead(panel, self._steps_ahead(panel, horizon))
        levels = self.settings.levels, self.settings.quantiles
        return self._returned(forecast_frame(panel, quantiles, *levels), None)

    def _returned(self, frame: pl.DataFrame, data: Any) -> Any:
        """Return a table as the kind of frame that `data` are; without data, as that of the training data,
        where its library is installed."""
        if data is not None:
            return in_kind_of(frame, data)
        try:
            return in_kind(frame, self.source.get("kind", "polars"))
        except ImportError:
            return frame

    def _score(self, panel: Panel, cutoffs: Cutoffs) -> ForecastEvaluation:
        assert self.settings.season is not None
        by_name = dict(zip((s.name for s in self.history.series), self.scales, strict=True))
        scales = [by_name.get(s.name) for s in panel.series]
        levels, season = self.settings.levels, self.settings.season
        forecasts = self.predictor.quantiles(panel, cutoffs), levels, season, scales
        evaluation = ForecastEvaluation.of(panel, cutoffs, *forecasts)
        return evaluation.with_table(table_of(panel, cutoffs, *forecasts))


def _assemble(trained: Trained, panel: Panel, source: dict[str, Any]) -> Forecaster:
    settings = trained.predictor.settings
    season = settings.season
    assert season is not None
    name, encoded = bare_name(panel.name), trained.predictor.features.encoded(panel)
    return Forecaster(
        **vars(trained.predictor),
        source=source,
        validation=trained.validation,
        failure=trained.failure,
        plan=trained.plan,
        history=replace(tail(encoded, settings.kept_steps), name=name, notes=()),
        scales=tuple(mase_scale(series.values, season) for series in panel.series),
        notes=tuple(note.replace(panel.name, name) for note in trained.notes) + bound_note(panel, settings),
    )


def _warn(notes: Sequence[str]) -> None:
    for note in notes:
        _log.warning(note)
