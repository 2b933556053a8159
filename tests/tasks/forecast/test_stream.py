"""A stream forecasts what `predict` does, in constant memory; wrong values and stamps are named."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daily_series import H, daily, fitted
from elman.errors import DataError, UsageError
from elman.tasks.forecast.forecaster import Forecaster
from pooling import check_pool, events


@pytest.mark.parametrize("mode", ["direct", "recursive"])
def test_stream_equals_predict(mode: str) -> None:
    data = daily(130, ("a",))
    model = fitted(data[:100], horizon=H, mode=mode)
    stream = model.stream()
    for value in data["y"][100:].to_list():
        stream.push(value)
        assert len(stream) <= model.settings.kept_steps
    assert stream.result().equals(model.predict(data))
    fresh = model.stream(start=date(2021, 1, 4))
    for day, value in zip(data["ds"], data["y"], strict=True):
        fresh.push(value, day)
    assert fresh.result(horizon=2).equals(model.predict(data, horizon=2))


def test_stream_with_covariates_gaps_and_wrong_stamps(covariate_model: Forecaster) -> None:
    stream = covariate_model.stream("b")
    stream.push(55.0, promo=0)
    stream.push(None)
    stream.push(56.0, "2021-05-08", promo=1)
    with pytest.raises(DataError, match="'promo' must be known ahead"):
        stream.result()
    days = [date(2021, 5, 9) + timedelta(k) for k in range(H)]
    ahead = pl.DataFrame({"unique_id": ["b"] * H, "ds": days, "promo": [0] * H})
    found = stream.result(future=ahead)
    assert found["ds"].to_list() == days
    with pytest.raises(DataError, match="stamp '2021-05-08' is not after the last one, 2021-05-08"):
        stream.push(1.0, "2021-05-08")
    with pytest.raises(DataError, match=r"stamp 7 is not a stamp like those .*, which are dates"):
        stream.push(1.0, 7)
    with pytest.raises(DataError, match="too large"):
        stream.push(10**5000)
    with pytest.raises(DataError, match="inf is not finite"):
        stream.push(float("inf"))
    with pytest.raises(DataError, match="'x' is not a number"):
        stream.push("x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no covariate 'price'"):
        stream.push(1.0, price=2)
    stream.push(57.0, "2051-01-01", promo=0)
    assert len(stream) == covariate_model.settings.kept_steps, "a long silence takes no memory"
    with pytest.raises(UsageError, match="say which series the stream continues: there are a, b"):
        covariate_model.stream()
    with pytest.raises(UsageError, match="no series 'q'"):
        covariate_model.stream("q")
    with pytest.raises(DataError, match="not a stamp like those"):
        covariate_model.stream(start=3)
    with pytest.raises(DataError, match="no value yet"):
        covariate_model.stream(start="2021-01-01").result()


def test_a_stream_remembers_what_was_known_before_a_silence() -> None:
    data = daily(60, ("a",))
    model = Forecaster.fit(data, horizon=3, hidden=8, epochs=1, context=10, progress=False)
    model = replace(model, calibration=replace(model.calibration, weight=0.0, shares={"seasonal naive": 1.0}))
    stream, day = model.stream(), data["ds"][-1] + timedelta(40)
    stream.push(7.0, day)
    gap = pl.concat([data, pl.DataFrame({"unique_id": ["a"], "ds": [day], "y": [7.0]})])
    assert stream.result().equals(model.predict(gap))
    assert stream.result()["q0.5"].to_list() == pytest.approx([data["y"][-1]] * 3)


def test_covariates_are_read_as_those_of_a_table(caplog: pytest.LogCaptureFixture) -> None:
    data = daily(42, ("a",)).with_columns(
        pl.Series("sky", ["sun", "rain", "fog"] * 14), pl.Series("open", [1, 0] * 21)
    )
    options: dict[str, Any] = {
        "future": ("sky", "open"),
        "horizon": 1,
        "hidden": 8,
        "epochs": 1,
        "progress": False,
    }
    model = Forecaster.fit(data, **options)
    cells = [("Rain ", "no"), (None, None), (float("nan"), float("nan")), ("sun", True), (3.0, 0)]
    days = [data["ds"][-1] + timedelta(k + 1) for k in range(len(cells) + 1)]
    stream, names = model.stream(), ["a"] * len(days)
    table: dict[str, Any] = {"unique_id": names, "ds": days, "y": [50.0] * len(cells) + [None]}
    for sky, is_open in cells:
        stream.push(50.0, sky=sky, open=is_open)
    table["sky"] = ["Rain ", None, None, "sun", "3", "fog"]
    table["open"] = ["no", None, None, "yes", "no", "yes"]
    ahead = {"unique_id": ["a"], "ds": days[-1:], "sky": ["fog"], "open": ["yes"]}
    assert stream.result(future=ahead).equals(model.predict(pl.DataFrame(table)))
    assert "column 'sky' holds '3'" in caplog.text
    for value in (["sun"], b"sun"):
        with pytest.raises(DataError, match="column 'sky' of dict holds lists or bytes"):
            stream.push(50.0, sky=value)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="column 'open' holds 'perhaps', which is not a number"):
        stream.push(50.0, open="perhaps")


# ---- many at once


@settings(max_examples=8, deadline=None)
@given(
    drawn=events(
        st.one_of(st.floats(-9, 99), st.none(), st.just("x"), st.just({"value": 3.0})), 4, ("result",)
    )
)
def test_streams_in_a_pool_are_streams(pooled: tuple[Forecaster, Forecaster], drawn: list[Any]) -> None:
    options: list[dict[str, Any]] = [{"series": "a"}, {"series": "b"}, {"series": "a"}]
    options.append({"start": date(2021, 1, 4)})
    for model in pooled:
        check_pool(model.pool(4), model.stream, options, drawn)


@pytest.fixture(scope="module")
def pooled() -> tuple[Forecaster, Forecaster]:
    data = daily(100)
    return fitted(data, horizon=H), fitted(data, horizon=H, mode="recursive")


def test_stamps_covariates_and_horizons_in_a_pool(covariate_model: Forecaster) -> None:
    pool, alone = covariate_model.pool(2), covariate_model.stream("b")
    one, other = pool.open(series="b"), pool.open(series="a")
    answers = pool.push({one: {"value": 55.0, "promo": 0}, other: {"value": 1.0, "price": 2}})
    assert answers.done == {one: None} and "no covariate 'price'" in str(answers.failed[other])
    pool.push({one: {"value": 56.0, "stamp": "2021-05-08", "promo": 1}})
    alone.push(55.0, promo=0)
    alone.push(56.0, "2021-05-08", promo=1)
    days = [date(2021, 5, 9) + timedelta(k) for k in range(H)]
    ahead = pl.DataFrame({"unique_id": ["b"] * H, "ds": days, "promo": [0] * H})
    assert pool.result([one], horizon=2, future=ahead).done[one].equals(alone.result(2, future=ahead))
    failed = pool.result([one]).failed[one]
    assert "'promo' must be known ahead" in str(failed)
