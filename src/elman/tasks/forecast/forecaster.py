"""One or many time series → quantiles of the steps ahead, beside what the naive forecasts would have said."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from elman import artifact
from elman.artifact import Artifact
from elman.data.series.features import Features
from elman.data.series.panel import Panel, extend, read_panel
from elman.data.series.stamps import read_stamps
from elman.data.series.windows import Pairs
from elman.data.table.table import read_table
from elman.errors import ArtifactError, DataError, TrainingError, UsageError
from elman.tasks import settings as dials
from elman.tasks.forecast.calibration import Adjustment
from elman.tasks.forecast.card import card
from elman.tasks.forecast.history import (
    check_future,
    continued,
    cut_at,
    forecast_frame,
    from_parts,
    origins,
    tail,
    to_parts,
    training_end,
)
from elman.tasks.forecast.metrics import mase_scale
from elman.tasks.forecast.network import Shape
from elman.tasks.forecast.predictor import Core, make_network
from elman.tasks.forecast.scores import Evaluation, compare
from elman.tasks.forecast.settings import Settings, drop_short
from elman.tasks.forecast.stream import Stream
from elman.tasks.forecast.train import Trained, train
from elman.training.loop import Plan

_log = logging.getLogger("elman")


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A trained forecaster. Made by `fit` and by `elman.load`.

    Attributes:
        core: the network, its settings, how stamps and covariates become inputs, and the adjustment: a blend
            with the better naive forecast and the stretch of the bands, both chosen on validation.
        plan: how it was trained.
        history: the last context of every series it was trained on; forecasts start after it.
        scales: what the MASE of each of these series divides by.
        source: where the training values came from.
        notes: what was irregular, missing, ambiguous or left out in the data, or went wrong in training.
        validation: scores on the last horizons of every series, on which the best weights were chosen.
        failure: why `fit` had to stop after the best model, such as a loss of NaN; None in a loaded model.
    """

    task: ClassVar[str] = "forecast"

    core: Core
    plan: Plan
    history: Panel
    scales: tuple[float, ...]
    source: dict[str, Any]
    notes: tuple[str, ...]
    validation: Evaluation
    failure: TrainingError | None = None

    @classmethod
    def fit(
        cls,
        data: Any,
        *,
        horizon: int,
        time: str | None = None,
        value: str | None = None,
        series: str | None = None,
        future: Sequence[str] = (),
        static: Sequence[str] = (),
        frequency: str | None = None,
        header: bool = True,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Forecaster":
        """Train on series in long form: a row for each series and time stamp.

        Args:
            data: whatever `elman.data.table.table.read_table` takes.
            horizon: steps to look ahead.
            time, value, series: columns of the stamps, the values and the names of the series; found by
                themselves where no other column can be meant.
            future: columns known ahead of time, such as holidays or prices; a forecast needs them ahead.
            static: columns with one text or number for each series.
            frequency: such as "1h", "30min", "1bd", "1mo"; inferred if None.
            header: whether the first line of a CSV or TSV names the columns; if not, they are "1", "2", ...
            folder: where the run's metrics and checkpoints, and then the model are saved.
            resume: go on with the run in `folder`.
            settings: fields of `forecast_setup.Settings` and of `elman.training.loop.Plan`.

        Raises:
            DataError: a stamp or value that cannot be read, a stamp that repeats, series too short.
            UsageError: a setting that isn't there, or a value that can't be.
            TrainingError: the loss became NaN or infinite, or there is no run to resume.
        """
        dials.split(settings, Settings)  # what is wrong should be said before a long file is read
        if not isinstance(horizon, int) or isinstance(horizon, bool) or horizon < 1:
            raise UsageError(f"horizon must be a whole number of at least 1, not {horizon!r}")
        if folder is not None:
            artifact.check_place(folder)
        table = read_table(data, header=header)
        panel = read_panel(
            table, time=time, value=value, series=series, future=future, static=static, frequency=frequency
        )
        panel = drop_short(panel, horizon)
        _say(panel.notes)
        trained = train(
            panel, horizon, settings, table.fingerprint, folder=folder, resume=resume, progress=progress
        )
        source = {"source": table.name, "fingerprint": table.fingerprint, "rows": len(table)}
        model = _assembled(trained, panel, source)
        if folder is not None and trained.run.rank == 0:
            model.save(folder)
            if not trained.interrupted:
                trained.run.discard_checkpoint()
        return model

    @property
    def settings(self) -> Settings:
        """All choices, the derived ones too."""
        return self.core.settings

    @property
    def horizon(self) -> int:
        """Steps that it looks ahead."""
        return self.core.network.shape.horizon

    def predict(
        self, data: Any = None, *, horizon: int | None = None, future: Any = None, header: bool = True
    ) -> pl.DataFrame:
        """The forecast of the next steps of every series.

        Args:
            data: series to forecast after, with the columns of the training data; those known from training
                go on where it ended. If None, the training series.
            horizon: how many steps, at most as many as trained, which is the default.
            future: a table of the covariates known ahead; they may also be rows of `data` without a value.

        Returns:
            Columns `unique_id`, `ds` and one for each quantile: `q0.1`, `q0.5`, ...

        Raises:
            DataError: the data cannot be read, or a covariate is missing ahead.
            UsageError: a horizon that was not trained.
        """
        panel = self.history if data is None else self._read(data, header)
        return self._forecast(panel if future is None else extend(panel, future), horizon)

    def evaluate(self, data: Any, *, step: int | None = None, header: bool = True) -> Evaluation:
        """Score on values that training has not seen, with a new forecast every `step` steps (a horizon, if
        None). Series known from training are scored from where it ended, new ones from a context on.

        Raises:
            DataError: the data cannot be read, holds nothing to score, or lacks a covariate.
        """
        panel = self._read(data, header)
        pairs: Pairs = []
        for i, series in enumerate(panel.series):
            n, ended = len(series.values), training_end(self.history, panel, series)
            first = min(self.core.network.shape.context, n // 2) if ended is None else ended
            pairs += [(i, cutoff) for cutoff in range(max(first, 1), n, step or self.horizon)]
        if not pairs:
            raise DataError(
                f"{panel.name} has no value after the end of training; give later values, or score on past "
                "ones with backtest"
            )
        return self._score(panel, pairs)

    def backtest(self, data: Any, *, cutoffs: int | Sequence[Any] = 3, header: bool = True) -> Evaluation:
        """What the scores would have been: train anew, with the same settings, on the values before the first
        cut-off, then forecast from every cut-off.

        Args:
            data: the whole past, as for `fit`.
            cutoffs: the last so many horizons of every series; or stamps, from each of which to forecast.

        Raises:
            DataError: the data cannot be read, or too little of it lies before the first cut-off.
        """
        panel = drop_short(self._panel(data, header), self.horizon)
        found = [origins(panel, series, self.horizon, cutoffs) for series in panel.series]
        past = cut_at(panel, [cuts[0] if cuts else None for cuts in found])
        past = drop_short(past, self.horizon, "give fewer or later cutoffs")
        given = asdict(self.settings) | asdict(self.plan)
        model = _assembled(train(past, self.horizon, given, panel.fingerprint), past, self.source)
        trained = {series.name for series in past.series}
        pairs = [
            (i, cutoff)
            for i, (series, cuts) in enumerate(zip(panel.series, found, strict=True))
            for cutoff in cuts
            if series.name in trained
        ]
        if not pairs:
            raise DataError(f"{panel.name} has no value after the cut-offs; give earlier ones")
        return model._score(panel, pairs)

    def plot(
        self,
        path: str | Path,
        data: Any = None,
        *,
        series: Sequence[str] = (),
        future: Any = None,
        header: bool = True,
    ) -> None:
        """Draw history, forecast and bands as .png or .svg: of the `series` named, or of the first six.

        Raises:
            UsageError: another ending, or a series that is not there. Else as `predict`.
        """
        from elman.tasks.forecast.plot import draw_forecasts  # matplotlib takes long to load

        panel = self.history if data is None else self._read(data, header)
        panel = panel if future is None else extend(panel, future)
        known = {s.name: s for s in panel.series}
        if missing := [name for name in series if name not in known]:
            raise UsageError(
                f"there is no series {missing[0]!r} to draw: there are {', '.join([*known][:12])}"
            )
        chosen = tuple(known[name] for name in series) or panel.series[:6]
        panel = tail(replace(panel, series=chosen), max(self.core.network.shape.context, 3 * self.horizon))
        check_future(panel, self.horizon)
        draw_forecasts(path, panel, self.core.quantiles(panel, _ends(panel)), self.settings.levels)

    def stream(self, series: str | None = None, *, start: Any = None) -> Stream:
        """A series that arrives value by value, in memory bounded by the context.

        Args:
            series: which training series it continues; needed only where there are several.
            start: begin a new series without a past, whose first stamp this is.

        Raises:
            UsageError: no such series, or it isn't said which.
            DataError: `start` is not a stamp like those of the training data.
        """
        names = [s.name for s in self.history.series]
        if series is None and len(names) > 1 and start is None:
            raise UsageError(f"say which series the stream continues: there are {', '.join(names[:12])}")
        if series is not None and series not in names:
            raise UsageError(f"there is no series {series!r}: there are {', '.join(names[:12])}")
        one = self.history.series[0 if series is None else names.index(series)]
        if start is not None:
            clock = read_stamps(read_table({"start": [start]}), "start")
            if (clock.kind == "integer") != (self.history.kind == "integer"):
                raise DataError(f"start {start!r} is not a stamp like those of the training data")
            one = replace(one, start=clock.stamps[0], values=np.empty(0), future=one.future[:0])
        panel = replace(self.history, series=(one,))
        return Stream(panel, self.core.network.shape.context, self._forecast)

    def report(
        self, data: Any = None, *, header: bool = True, plot: Any = None, as_json: bool = False
    ) -> Iterator[str]:
        """The lines of the forecast after `data`, or after the training data: CSV, or JSON objects."""
        table = None if data is None else read_table(data, header=header)
        if plot is not None:
            self.plot(plot, table)
        frame = self.predict(table)
        if as_json:
            for row in frame.with_columns(frame["ds"].cast(pl.String)).iter_rows(named=True):
                yield json.dumps(row, ensure_ascii=False)
        else:
            yield from frame.write_csv().splitlines()

    # ---- on disk

    def save(self, folder: str | Path) -> None:
        """Write the model as a folder that `elman.load` reads. Raises UsageError if the place is taken."""
        described, tensors = to_parts(self.history, self.scales)
        tensors |= {f"network.{name}": value for name, value in self.core.network.state_dict().items()}
        settings = asdict(self.settings) | {
            "plan": asdict(self.plan),
            "shape": asdict(self.core.network.shape),
        }
        extras = {
            "series": described,
            "features": self.core.features.to_json(),
            "adjustment": asdict(self.core.adjustment),
            "notes": list(self.notes),
        }
        text = card(self.settings, self.history, self.source, self.notes, self.validation)
        scores = self.validation.to_dict()
        artifact.save(Artifact(self.task, settings, tensors, extras, scores, self.source, text), folder)

    @classmethod
    def from_artifact(cls, saved: Artifact) -> "Forecaster":
        """The forecaster that `save` wrote. Raises ArtifactError if its parts don't fit each other."""
        try:
            chosen = dict(saved.settings)
            plan, shape = Plan(**chosen.pop("plan")), Shape.from_dict(chosen.pop("shape"))
            settings = Settings(**chosen)
            network = make_network(settings, shape)
            prefix = "network."
            network.load_state_dict(
                {k.removeprefix(prefix): v for k, v in saved.tensors.items() if k.startswith(prefix)}
            )
            network.eval()
            features = Features.from_json(saved.extras["features"])
            core = Core(network, settings, features, Adjustment.from_dict(saved.extras["adjustment"]))
            history, scales = from_parts(saved.extras["series"], saved.tensors)
            notes, validation = tuple(saved.extras["notes"]), Evaluation.from_dict(saved.scores)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ArtifactError(f"the parts of the model don't fit each other: {error}") from error
        return cls(core, plan, history, scales, saved.data, notes, validation)

    # ---- inside

    def _panel(self, data: Any, header: bool) -> Panel:
        """The series in `data`, which has the columns of the training data."""
        columns = asdict(self.history.columns)
        panel = read_panel(read_table(data, header=header), **columns, frequency=self.history.frequency)
        _say(panel.notes)
        return panel

    def _read(self, data: Any, header: bool) -> Panel:
        """The series in `data`, each with what is kept of its past before it."""
        return continued(self.history, self._panel(data, header))

    def _forecast(self, panel: Panel, horizon: int | None) -> pl.DataFrame:
        steps = self.horizon if horizon is None else horizon
        if not isinstance(steps, int) or not 1 <= steps <= self.horizon:
            raise UsageError(f"horizon must be from 1 to {self.horizon}, which was trained, not {steps!r}")
        check_future(panel, steps)
        quantiles = self.core.quantiles(panel, _ends(panel))[:, :steps]
        return forecast_frame(panel, quantiles, self.settings.levels, self.settings.quantiles)

    def _score(self, panel: Panel, pairs: Pairs) -> Evaluation:
        """Score the forecasts of the pairs beside those of the baselines."""
        assert self.settings.season is not None
        kept = dict(zip((s.name for s in self.history.series), self.scales, strict=True))
        scales = [kept.get(s.name) for s in panel.series]
        quantiles = self.core.quantiles(panel, pairs)
        return compare(panel, pairs, quantiles, self.settings.levels, self.settings.season, scales)


def _assembled(trained: Trained, panel: Panel, source: dict[str, Any]) -> Forecaster:
    season = trained.core.settings.season
    assert season is not None
    return Forecaster(
        trained.core,
        trained.plan,
        tail(panel, trained.core.network.shape.context),
        tuple(mase_scale(s.values, season) for s in panel.series),
        source,
        trained.notes,
        trained.validation,
        trained.failure,
    )


def _ends(panel: Panel) -> Pairs:
    """The windows that start after each series."""
    return [(i, len(series.values)) for i, series in enumerate(panel.series)]


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        _log.warning(note)
