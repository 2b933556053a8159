"""The forecaster as a person uses it: fit, predict, evaluate, backtest, save; and every wrong call.

Trainings here are tiny; how good forecasts are is measured in bench/quality_series.py.
"""

import json
import math
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from daily_series import TINY, H, daily, fitted, with_covariates
from elman import artifact
from elman.data.series.features import Features
from elman.data.series.panel import read_panel
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks.forecast.baseline import classical_forecasts
from elman.tasks.forecast.forecaster import Forecaster


def test_predict_goes_on_after_the_training_data(model: Forecaster) -> None:
    found = model.predict()
    assert found.columns == ["unique_id", "ds", "q0.1", "q0.5", "q0.9"]
    assert found["unique_id"].to_list() == ["a"] * H + ["b"] * H
    first = date(2021, 1, 4) + timedelta(120)
    assert found["ds"].to_list() == [first + timedelta(k) for k in range(H)] * 2
    assert (found["q0.1"] <= found["q0.5"]).all()
    assert (found["q0.5"] <= found["q0.9"]).all()
    last_week = daily().filter(unique_id="b")["y"].to_numpy()[-7:][:H]
    assert np.abs(found.filter(unique_id="b")["q0.5"].to_numpy() - last_week).max() < 10, "near the season"
    assert model.predict(horizon=2).equals(found.filter(pl.col("ds") < first + timedelta(2)))


def test_nothing_after_the_cutoff_changes_a_forecast() -> None:
    """Training and forecasting at a cut-off, with and without a wild future in the same file."""
    calm = daily(100)
    model = fitted(calm, horizon=H)
    wild = daily(140).with_columns(
        pl.when(pl.col("ds") < date(2021, 1, 4) + timedelta(100)).then(pl.col("y")).otherwise(1e6).alias("y")
    )
    cut = wild.filter(pl.col("ds") < date(2021, 1, 4) + timedelta(100))
    assert model.predict(cut).equals(model.predict())
    scores = model.evaluate(wild)
    assert scores.scores["mase"] > 1e3, "the wild values are what is scored"


def test_new_values_continue_the_kept_history(model: Forecaster) -> None:
    longer = daily(127)
    new = longer.filter(pl.col("ds") >= date(2021, 1, 4) + timedelta(120))
    assert model.predict(new).equals(model.predict(longer))


def test_an_unknown_series_can_be_forecast(model: Forecaster, caplog: pytest.LogCaptureFixture) -> None:
    found = model.predict(daily(50, ("z",)))
    assert found["unique_id"].unique().to_list() == ["z"]
    assert found["q0.5"].is_finite().all()
    assert "1 series that training has not seen ('z'): each forecast is from the series' own" in caplog.text
    large = daily(50, ("z",)).with_columns(pl.col("y") * 1000 - 7)
    scaled = model.predict(large)
    for name in ("q0.1", "q0.5", "q0.9"):
        assert scaled[name].to_numpy() == pytest.approx(found[name].to_numpy() * 1000 - 7, rel=1e-3)
    caplog.clear()
    model.predict(daily(140))
    assert not caplog.text


def test_two_futures_are_compared(covariate_model: Forecaster) -> None:
    ahead = [date(2021, 1, 4) + timedelta(120 + k) for k in range(H)]
    plans = [
        pl.concat(pl.DataFrame({"unique_id": name, "ds": ahead, "promo": promo}) for name in "ab")
        for promo in ([0] * H, [0, 1, 1, 0, 0, 0])
    ]
    found = covariate_model.compare(*plans)
    assert found.columns == ["unique_id", "ds", "first", "second", "difference", "total"]
    first, second = (covariate_model.predict(future=plan)["q0.5"] for plan in plans)
    assert found["first"].equals(first, check_names=False)
    assert found["second"].equals(second, check_names=False)
    assert found["difference"].equals(second - first, check_names=False)
    assert found["difference"].abs().max() > 0
    totals = [found.filter(unique_id=name)["difference"].sum() for name in "ab"]
    assert found["total"][[H - 1, -1]].to_list() == pytest.approx(totals)
    pandas = covariate_model.compare(*plans, data=with_covariates(daily()).to_pandas(), horizon=2)
    assert isinstance(pandas, pd.DataFrame)
    assert (
        pandas["total"].tolist()
        == found.group_by("unique_id", maintain_order=True).head(2)["total"].to_list()
    )
    with pytest.raises(DataError, match="must be known ahead, but is missing for"):
        covariate_model.compare(plans[0], plans[1].head(3))


def test_evaluate_scores_what_comes_after_training(model: Forecaster) -> None:
    longer = daily(140)
    found = model.evaluate(longer)
    assert found.windows == 2 * math.ceil(20 / H)
    assert all(set(found.scores) == set(scores) for scores in found.baselines.values())
    assert found.baselines["seasonal naive"]["skill_seasonal_naive"] == 0
    assert found.baselines["naive"]["skill_naive"] == 0
    new = longer.filter(pl.col("ds") >= date(2021, 1, 4) + timedelta(120))
    again = model.evaluate(new)
    assert again.scores == pytest.approx(found.scores)
    assert model.evaluate(longer, step=1).windows == 40
    text = str(found)
    for words in ("MASE", "sMAPE", "CRPS", "coverage of the 80 % band", "skill over seasonal naive"):
        assert words in text
    assert json.loads(json.dumps(found.to_dict()))["scores"] == pytest.approx(found.scores)
    with pytest.raises(DataError, match=r"no value after the end of training; .* backtest"):
        model.evaluate(daily(120))


def test_backtest_trains_on_the_past_only(model: Forecaster) -> None:
    data = daily(120)
    found = model.backtest(data, cutoffs=3)
    assert found.windows == 6
    day = date(2021, 1, 4) + timedelta(102)
    assert model.backtest(data, cutoffs=[day, day + timedelta(6), day + timedelta(12)]).scores == found.scores
    wild = pl.when(pl.col("ds") >= day).then(pl.col("y") * 50).otherwise(pl.col("y"))
    future = data.with_columns(wild.alias("y"))
    other = model.backtest(future, cutoffs=3)
    assert other.baselines["naive"]["mase"] > found.baselines["naive"]["mase"]
    with pytest.raises(UsageError, match="cutoffs must be a whole number of at least 1"):
        model.backtest(data, cutoffs=0)
    with pytest.raises(DataError, match="cutoffs 3 is not a stamp like those"):
        model.backtest(data, cutoffs=[3, 4])
    assert model.backtest(data, cutoffs=19).windows == 38, "without a network: each first part has 6 steps"


def test_saved_and_loaded_forecasts_are_identical(covariate_model: Forecaster, tmp_path: Path) -> None:
    covariate_model.save(tmp_path / "m")
    again = Forecaster.from_artifact(artifact.load(tmp_path / "m"))
    ahead = with_covariates(daily(126)).with_columns(
        pl.when(pl.col("ds") < date(2021, 1, 4) + timedelta(120)).then(pl.col("y")).alias("y")
    )
    assert again.predict(ahead).equals(covariate_model.predict(ahead))
    assert again.validation == covariate_model.validation
    assert again.settings == covariate_model.settings
    assert again.notes == covariate_model.notes
    card = (tmp_path / "m" / "README.md").read_text()
    assert "seasonal naive" in card
    assert str(covariate_model.validation) in card


def test_fit_saves_and_a_damaged_model_says_so(tmp_path: Path) -> None:
    model = Forecaster.fit(daily(), horizon=H, folder=tmp_path / "m", **TINY)
    saved = artifact.load(tmp_path / "m")
    assert not (tmp_path / "m" / "checkpoint.pt").exists()
    assert Forecaster.from_artifact(saved).predict().equals(model.predict())
    del saved.extras["features"]
    with pytest.raises(ArtifactError, match="don't fit each other"):
        Forecaster.from_artifact(saved)


def test_covariates_must_be_known_ahead(covariate_model: Forecaster) -> None:
    with pytest.raises(DataError) as caught:
        covariate_model.predict()
    words = "series 'a': column 'promo' must be known ahead, but is missing for 2021-05-04, 2021-05-05"
    assert words in str(caught.value)
    ahead = (
        with_covariates(daily(126))
        .filter(pl.col("ds") >= date(2021, 5, 4))
        .select("unique_id", "ds", "promo")
    )
    found = covariate_model.predict(future=ahead)
    rows = pl.concat([with_covariates(daily()), ahead], how="diagonal").with_columns(
        pl.col("town", "size").forward_fill()
    )
    with pytest.raises(DataError, match="static column 'town'"):
        covariate_model.predict(rows)
    rows = rows.with_columns(with_covariates(rows.select("unique_id", "ds"))["town", "size"])
    assert covariate_model.predict(rows).equals(found)
    flipped = ahead.with_columns((1 - pl.col("promo")).alias("promo"))
    assert not covariate_model.predict(future=flipped).equals(found), "they are used"
    with pytest.raises(DataError, match="has no column 'promo'"):
        covariate_model.predict(future=ahead.drop("promo"))
    with pytest.raises(DataError, match="series 'c' is not among"):
        covariate_model.predict(future=ahead[:2].with_columns(pl.lit("c").alias("unique_id")))


@pytest.mark.parametrize("quantiles", [(0.5,), (0.9,), (0.05, 0.25, 0.75, 0.95)])
def test_any_quantiles(quantiles: tuple[float, ...]) -> None:
    found = Forecaster.fit(daily(60), horizon=3, quantiles=quantiles, **TINY).predict()
    assert found.columns[2:] == [f"q{q:g}" for q in quantiles]
    assert (np.diff(found[:, 2:].to_numpy(), axis=1) >= 0).all()


@pytest.mark.parametrize(
    "values",
    [
        [7.0] * 60,
        [0.0] * 60,
        [0.0] * 59 + [5.0],
        [1e15 + i for i in range(60)],
        [1e-15 * (i % 7) for i in range(60)],
        [float(i % 2) for i in range(60)],
        [None if i % 3 else float(i) for i in range(60)] + [1.0],
        [None] * 20 + [float(i % 7) for i in range(40)],
    ],
    ids=["constant", "zero", "last jump", "large", "tiny", "binary", "gaps", "late start"],
)
@pytest.mark.parametrize("mode", ["direct", "recursive"])
def test_awkward_series_give_finite_forecasts(values: list[float | None], mode: str) -> None:
    frame = {"ds": [date(2021, 1, 1) + timedelta(i) for i in range(len(values))], "y": values}
    model = fitted(frame, horizon=4, mode=mode)
    found = model.predict()
    assert np.isfinite(found[:, 2:].to_numpy()).all()
    str(model.validation)
    json.dumps(model.validation.to_dict(), allow_nan=False)
    if values == [7.0] * 60:
        np.testing.assert_allclose(found["q0.5"], 7.0, rtol=0.2)


def test_step_numbers_and_hours() -> None:
    numbered = Forecaster.fit({"y": [float(i % 5) for i in range(60)]}, horizon=4, season=5, **TINY)
    assert numbered.predict()["ds"].to_list() == [60, 61, 62, 63]
    hours = [datetime(2021, 1, 1) + timedelta(hours=i) for i in range(200)]
    hourly = Forecaster.fit({"t": hours, "v": np.sin(np.arange(200) / 4).tolist()}, horizon=4, **TINY)
    assert hourly.settings.season == 24
    assert hourly.predict()["ds"][0] == hours[-1] + timedelta(hours=1)


def test_a_random_walk_is_called_a_copy() -> None:
    walk = np.cumsum(np.random.default_rng(0).normal(size=400)) + 100
    days = [date(2021, 1, 1) + timedelta(i) for i in range(400)]
    model = Forecaster.fit({"ds": days, "y": walk.tolist()}, horizon=1, season=1, **TINY)
    assert "copies of the last value" in str(model.validation)
    assert "copies of the last value" not in str(Forecaster.fit(daily(), horizon=H, **TINY).validation)


def test_pictures(model: Forecaster, tmp_path: Path) -> None:
    assert len(list(model.answers(plot=tmp_path / "p.svg"))) == 2 * H
    assert (tmp_path / "p.svg").read_text().count("<svg") == 1
    figure = model.plot(tmp_path / "b.png", series=["b"])
    assert [axis.get_title("left") for axis in figure.axes] == ["b"]
    assert len(model.plot().axes) == 2
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"drawn as \.png or \.svg, not .*\.gif"):
        model.plot(tmp_path / "p.gif")
    with pytest.raises(UsageError, match="no series 'q' to draw: there are a, b"):
        model.plot(tmp_path / "p.png", series=["q"])


def test_short_series_have_classical_forecasts(tmp_path: Path) -> None:
    """Beside long ones, and alone; saved and loaded; after longer data, too."""
    days = [date(2021, 1, 1) + timedelta(i) for i in range(60)]
    names = ["long"] * 60 + ["short"] * 5 + ["two"] * 2
    values = [float(i % 7) for i in range(60)] + [1.0, 2.0, 3.0, 4.0, 5.0] + [8.0, 8.0]
    frame = pl.DataFrame({"unique_id": names, "ds": [*days, *days[:5], *days[:2]], "y": values})
    mixed = Forecaster.fit(frame, horizon=H, **TINY)
    assert any("2 series shorter than 15 steps have forecasts without a network" in n for n in mixed.notes)
    alone = Forecaster.fit(
        frame.filter(pl.col("unique_id") != "long"), horizon=H, folder=tmp_path / "m", **TINY
    )
    assert any("no series is long enough for a network" in note for note in alone.notes)
    for model in (mixed, alone, Forecaster.from_artifact(artifact.load(tmp_path / "m"))):
        found = model.predict()
        assert np.isfinite(found[:, 2:].to_numpy()).all()
        np.testing.assert_allclose(found.filter(unique_id="two")["q0.5"], 8.0)
        assert found.filter(unique_id="short")["q0.5"][0] > 4
        assert "The forecast is " in model.card().network
    assert alone.predict(frame).height == 3 * H
    assert "Theta" in str(alone.evaluate(frame))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"horizon": 0}, UsageError, "horizon must be a whole number from 1 to 10000, not 0"),
        ({"horizon": 10**9}, UsageError, "horizon must be a whole number from 1 to 10000, not 1000000000"),
        ({"horizon": True}, UsageError, "horizon must be a whole number"),
        ({"horizon": 6, "quantile": 0.5}, UsageError, "no setting 'quantile'; did you mean 'quantiles'?"),
        ({"horizon": 6, "value": "x"}, DataError, "has no column 'x'"),
        ({"horizon": 6, "frequency": "weekly"}, UsageError, "frequency 'weekly' is not understood"),
        ({"horizon": 6, "future": ["q"]}, DataError, "has no column 'q'"),
    ],
)
def test_wrong_calls(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        Forecaster.fit(daily(), **options, **TINY)
    assert words in str(caught.value)


def test_wrong_horizons_of_a_forecast(model: Forecaster) -> None:
    for horizon in (0, 10_001, 2.5):
        with pytest.raises(UsageError, match=f"from 1 to 10000, not {horizon}"):
            model.predict(horizon=horizon)  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [0.0, 0.6, 1.0])
def test_a_longer_horizon_goes_on(covariate_model: Forecaster, weight: float, caplog: Any) -> None:
    """The first steps stay as they are, and the bands of a random walk widen on."""
    shares = {"exponential smoothing": 0.5, "Theta": 0.5}
    model = replace(
        covariate_model, calibration=replace(covariate_model.calibration, weight=weight, shares=shares)
    )
    days = [date(2021, 1, 4) + timedelta(120 + i) for i in range(20)]
    future = pl.concat(
        pl.DataFrame({"unique_id": name, "ds": days, "promo": [0] * 20}) for name in ("a", "b")
    )
    longer, usual = (model.predict(horizon=steps, future=future) for steps in (20, H))
    assert caplog.text.count("a horizon of 20 steps is beyond the 6 of training") == 1
    assert longer["ds"].to_list() == days * 2
    for name in ("a", "b"):
        one, other = (frame.filter(pl.col("unique_id") == name)[:, 2:] for frame in (longer, usual))
        np.testing.assert_allclose(one[:H].to_numpy(), other.to_numpy(), rtol=1e-6)
        assert (one["q0.1"] < one["q0.5"]).all()
        level = 62 if name == "a" else 124
        np.testing.assert_allclose(one["q0.5"], level, rtol=0.3)


def test_a_longer_horizon_needs_its_covariates(covariate_model: Forecaster) -> None:
    future = pl.DataFrame({"unique_id": "a", "ds": [date(2021, 5, 4)], "promo": [0]})
    with pytest.raises(DataError, match="column 'promo' must be known ahead"):
        covariate_model.predict(horizon=20, future=future)


def test_smoothing_goes_on_alone(model: Forecaster) -> None:
    calibration = replace(model.calibration, weight=0.0, shares={"Theta": 1.0})
    further = replace(model, calibration=calibration).predict(horizon=30)
    histories = [series.values for series in model.history.series]
    expected = classical_forecasts(histories, H, 7, ["Theta"], 30)[0].values
    np.testing.assert_allclose(further["q0.5"], expected.ravel())


def test_holidays_are_known_ahead(tmp_path: Path) -> None:
    """A saved model knows those of later years."""
    pytest.importorskip("holidays")
    frame = daily(360, names=("a",))
    model = fitted(frame, horizon=H, holidays="DE")
    christmas = model.predict()
    model.save(tmp_path / "m")
    loaded = Forecaster.from_artifact(artifact.load(tmp_path / "m"))
    assert loaded.predict().equals(christmas)
    assert loaded.features.holidays == "DE"
    later = loaded.features.known(loaded.history, loaded.history.series[0], 0, 800)
    assert later.shape == (800, loaded.features.width)
    assert later[-400:, -2].sum() >= 8
    plain = replace(model, features=replace(model.features, holidays="FR"))
    assert not plain.predict()["q0.5"].equals(christmas["q0.5"]), "26 December is none in France"


def test_holidays_begin_at_the_midnight_of_the_series() -> None:
    """Hours of New York, of which Christmas has 24, from its own midnight on; UTC is five hours ahead."""
    pytest.importorskip("holidays")
    hours = pl.datetime_range(
        datetime(2023, 12, 20), datetime(2023, 12, 27, 23), "1h", time_zone="America/New_York", eager=True
    )
    panel = read_panel({"ds": hours, "y": np.arange(len(hours)) % 24})
    features = Features.fit(panel, [len(hours)], "US")
    today = features.known(panel, panel.series[0], 0, len(hours))[:, -2]
    assert hours.filter(pl.Series(today) == 1).to_list() == hours.filter(hours.dt.day() == 25).to_list()


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (daily(), "germany", "holidays must be a code such as DE or US-CA, not 'germany'"),
        (daily(), "XX", "knows no country or region 'XX'"),
        ([1.0, 2.0, 3.0] * 20, "DE", "holidays need stamps that are dates"),
    ],
)
def test_wrong_holidays(data: Any, code: str, words: str) -> None:
    pytest.importorskip("holidays")
    with pytest.raises(UsageError, match=words):
        Forecaster.fit(data, horizon=H, holidays=code, **TINY)


DAYS = pd.date_range("2020-01-01", periods=100)
CALM = (5 + np.sin(np.arange(100) / 3)).tolist()
QUICK: dict[str, Any] = TINY | {"epochs": 1}


def quick(data: Any, **options: Any) -> Forecaster:
    return Forecaster.fit(data, **{"horizon": 4} | QUICK | options)


@pytest.mark.parametrize(
    ("values", "least_coverage"),
    [
        (np.where(np.arange(100) < 90, 1.0, 1e6), 0.0),
        (np.where(np.arange(100) < 90, 1e300, 1.0), 0.0),
        (np.where(np.arange(100) < 96, 0.0, 1e300), 0.0),
        (np.full(100, 5e-324), 1.0),
        (np.full(100, 1 / 3), 1.0),
        (np.full(100, -(2.0**53)), 1.0),
    ],
    ids=["shift", "fall", "jump", "tiny", "constant", "large"],
)
def test_a_wholly_naive_forecast_is_the_naive_one_to_the_bit(
    values: np.ndarray, least_coverage: float
) -> None:
    model = quick({"ds": DAYS.date.tolist(), "y": values.tolist()})
    assert model.calibration.weight == 0
    ((naive, share),) = model.predictor.calibration.shares.items()
    assert share == 1
    last = values[-7:][:4] if naive == "seasonal naive" else values[-1:].repeat(4)
    assert model.predict()["q0.5"].to_list() == last.tolist()
    scores, theirs = model.validation.scores, model.validation.baselines[naive]
    assert {name: scores[name] for name in ("mase", "smape")} == {
        name: theirs[name] for name in ("mase", "smape")
    }
    assert scores["coverage"] >= least_coverage


def test_rare_demand_is_covered() -> None:
    demand = np.isin(np.arange(100), (17, 53, 80)) * 4.0
    model = quick({"ds": DAYS.date.tolist(), "y": demand.tolist()})
    assert model.calibration.weight == 0
    assert model.validation.scores["coverage"] >= 0.5


def test_bands_of_counts_stay_above_zero_unless_said_otherwise() -> None:
    counts = {"ds": DAYS.date.tolist(), "y": np.random.default_rng(0).poisson(0.5, 100).tolist()}
    model = quick(counts, quantiles=(0.001, 0.999))
    assert model.predict()["q0.001"].min() == 0
    assert "no value is negative, so no forecast is below 0" in model.notes[-1]
    assert quick(counts, quantiles=(0.001, 0.999), nonnegative=False).predict()["q0.001"].min() < 0
    assert quick({"y": [-1.0, *CALM]}).notes == ()


@pytest.mark.parametrize(
    "stamps", [DAYS, DAYS.to_period("D"), DAYS.rename("day")], ids=["dates", "periods", "named"]
)
def test_dates_of_an_index_are_used(stamps: Any) -> None:
    series = pd.Series(CALM, index=stamps, name="sales")
    model = quick(series[:90])
    assert model.predict()["ds"][0] == pd.Timestamp("2020-03-31")
    for newer in (series[90:], series[90:].to_frame(), series[90:].rename("other")):
        assert model.predict(newer)["ds"][0] == pd.Timestamp("2020-04-10")
    assert model.evaluate(series[90:]).windows == 3
    assert model.backtest(series, cutoffs=np.int64(1)).windows == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("zone", ["Europe/Paris", "UTC", "Asia/Kolkata"])
def test_time_zones_come_back(zone: str, tmp_path: Path) -> None:
    hours = pd.date_range("2020-03-27", periods=101, freq="h", tz=zone)
    series = pd.Series(CALM, index=hours[:-1])
    quick(series, folder=tmp_path / "m")
    model = Forecaster.from_artifact(artifact.load(tmp_path / "m"))
    found = model.predict()["ds"]
    assert found.dtype == hours.dtype
    assert found[0] == hours[-1]
    ahead = model.predict({"ds": [*series.index[-3:]], "y": CALM[-3:]})["ds"]
    assert ahead.dtype.time_zone == zone
    assert ahead[0] == model.predict(series[-3:])["ds"][0] == hours[-1]
    with pytest.raises(DataError, match="has no time zone, but the training data have"):
        model.predict(series.tz_localize(None))
    days = pd.Series(CALM, index=DAYS.tz_localize(zone))
    assert quick(days).predict()["ds"][0] == pd.Timestamp("2020-04-10", tz=zone)


def test_open_dates_are_read_as_in_training() -> None:
    months = pd.date_range("2014-01-01", periods=80, freq="MS")
    frame = pd.DataFrame({"ds": months.strftime("%d/%m/%Y"), "y": np.arange(80.0) % 12})
    model = quick(frame[:70])
    assert "read as day/month/year" in model.notes[0]
    assert model.predict()["ds"][0] == pd.Timestamp("2019-11-01")
    assert model.predict(frame[70:71])["ds"][0] == pd.Timestamp("2019-12-01")
    assert model.predict(frame[70:73])["ds"][0] == pd.Timestamp("2020-02-01")


def test_a_midnight_alone_does_not_make_hours_days() -> None:
    hours = pd.Series(CALM, index=pd.date_range("2020-01-01", periods=100, freq="h"))
    found = quick(hours[:96]).predict(hours[96:97])
    assert found["ds"][0] == datetime(2020, 1, 5, 1)


def test_a_missing_static_value_has_one_of_its_own() -> None:
    frames = [pd.DataFrame({"unique_id": name, "ds": DAYS, "y": CALM}) for name in "abc"]
    for kinds in (("x", "y", None), (1.0, 2.0, np.nan), (None, None, None)):
        frame = pd.concat([one.assign(kind=kind) for one, kind in zip(frames, kinds, strict=True)])
        model = quick(frame, static=["kind"])
        assert np.isfinite(model.predict()["q0.5"]).all()
        assert np.isfinite(model.predict(frames[2].assign(kind=None))["q0.5"]).all()
    with pytest.raises(DataError, match="series 'c': static column 'kind' holds 'z', but was a number"):
        quick(pd.concat([one.assign(kind=1.0) for one in frames]), static=["kind"]).predict(
            frames[2].assign(kind="z")
        )


def test_doubled_rows_are_merged_alike_later() -> None:
    doubled = pd.DataFrame({"ds": [*DAYS, *DAYS], "y": [*CALM, *(y + 2 for y in CALM)]})
    with pytest.raises(DataError, match="duplicates='mean'"):
        quick(doubled)
    model = quick(doubled, duplicates="mean")
    once = quick(pd.DataFrame({"ds": DAYS, "y": [y + 1 for y in CALM]}))
    np.testing.assert_allclose(model.predict(doubled)["q0.5"], once.predict()["q0.5"])


def test_names_that_are_whole_numbers_stay_so(tmp_path: Path) -> None:
    frame = pd.DataFrame({"unique_id": [7] * 100, "ds": DAYS, "y": CALM})
    quick(frame, folder=tmp_path / "m")
    model = Forecaster.from_artifact(artifact.load(tmp_path / "m"))
    assert model.predict()["unique_id"].to_list() == [7] * 4
    assert model.predict(frame.assign(unique_id="new"))["unique_id"][0] == "new"


def test_the_forecast_is_the_kind_of_frame_that_came(tmp_path: Path) -> None:
    frame = pd.DataFrame({"day": DAYS, "sold": CALM})
    model, other = quick(frame, folder=tmp_path / "m"), quick(pl.from_pandas(frame))
    kinds = [(frame, pd.DataFrame), (pl.from_pandas(frame), pl.DataFrame), (pa.table(frame), pa.Table)]
    for data, kind in kinds:
        for one in (model, other):
            assert type(one.predict(data)) is kind
    assert type(other.predict()) is type(model.predict({"day": [*DAYS], "sold": CALM})) is pl.DataFrame
    loaded = Forecaster.from_artifact(artifact.load(tmp_path / "m"))
    for found in (model.predict(), loaded.predict(), loaded.stream().result()):
        pd.testing.assert_frame_equal(found, model.predict(frame))
    text, stamp, *numbers = found.dtypes.astype(str)
    assert text in ("object", "str") and stamp.startswith("datetime64") and numbers == ["float64"] * 3
    assert pl.from_pandas(found.drop(columns="ds")).equals(other.predict().drop("ds"))


def test_a_model_of_pandas_answers_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    model = quick(pd.Series(CALM))
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert type(model.predict()) is pl.DataFrame


def test_numbers_of_numpy_do_as_well() -> None:
    model = quick(CALM, horizon=np.int64(4), season=7)
    assert model.predict(horizon=np.int8(2))["ds"].to_list() == [100, 101]  # type: ignore[arg-type]
    assert model.evaluate(CALM + CALM[:9], step=np.int64(3)).windows == 3  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="step must be a whole number of at least 1, not 0"):
        model.evaluate(CALM + CALM[:9], step=0)
