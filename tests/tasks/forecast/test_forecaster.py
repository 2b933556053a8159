"""The forecaster as a person uses it: fit, predict, evaluate, backtest, save; and every wrong call.

Trainings here are tiny; how good forecasts are is measured in bench/quality_series.py.
"""

import json
import math
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from daily_series import TINY, H, daily, fitted, with_covariates
from elman import artifact
from elman.errors import ArtifactError, DataError, UsageError
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


def test_an_unknown_series_can_be_forecast(model: Forecaster) -> None:
    found = model.predict(daily(50, ("z",)))
    assert found["unique_id"].unique().to_list() == ["z"]
    assert found["q0.5"].is_finite().all()


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
    with pytest.raises(DataError, match="not stamps like those"):
        model.backtest(data, cutoffs=[3, 4])
    with pytest.raises(DataError, match="has 6; give fewer or later cutoffs"):
        model.backtest(data, cutoffs=19)


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


def test_pictures_and_answers(model: Forecaster, tmp_path: Path) -> None:
    answers = list(model.answers(plot=tmp_path / "p.svg"))
    assert {answer.heading for answer in answers} == {"unique_id,ds,q0.1,q0.5,q0.9"}
    assert len(answers) == 2 * H
    lines = [answers[0].heading, *map(str, answers)]
    assert "\n".join(lines) == model.predict().write_csv().rstrip()
    assert (tmp_path / "p.svg").read_text().count("<svg") == 1
    rows = [json.loads(json.dumps(answer.to_dict())) for answer in model.answers(daily(125))]
    assert rows[0]["ds"] == "2021-05-09"
    assert list(rows[0]) == ["unique_id", "ds", "q0.1", "q0.5", "q0.9"]
    model.plot(tmp_path / "b.png", series=["b"])
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"drawn as .png or .svg, not .gif"):
        model.plot(tmp_path / "p.gif")
    with pytest.raises(UsageError, match="no series 'q' to draw: there are a, b"):
        model.plot(tmp_path / "p.png", series=["q"])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"horizon": 0}, UsageError, "horizon must be a whole number of at least 1, not 0"),
        ({"horizon": 10**9}, UsageError, "horizon must be at most 10000 steps, not 1000000000"),
        ({"horizon": True}, UsageError, "horizon must be a whole number"),
        ({"horizon": 200}, DataError, "a horizon of 200 needs series of at least 403 steps"),
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
    for horizon in (0, H + 1, 2.5):
        with pytest.raises(UsageError, match=f"from 1 to {H}, which was trained, not {horizon}"):
            model.predict(horizon=horizon)  # type: ignore[arg-type]
