"""The terms of a forecast: they add up to it, and each is what its name says."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daily_series import TINY, H, daily, fitted
from elman.errors import UsageError
from elman.tasks.forecast.calibration import Calibration
from elman.tasks.forecast.components import shapley_values
from elman.tasks.forecast.forecaster import Forecaster

AHEAD = [date(2021, 1, 4) + timedelta(120 + k) for k in range(H)]


def plan(**columns: Any) -> pl.DataFrame:
    return pl.concat(pl.DataFrame({"unique_id": [name] * H, "ds": AHEAD} | columns) for name in ("a", "b"))


def weighted(model: Forecaster, weight: float, **shares: float) -> Forecaster:
    names = {name.replace("_", " ").replace("theta", "Theta"): share for name, share in shares.items()}
    chosen = replace(model.calibration, weight=weight, shares=names or model.calibration.shares)
    return replace(model, calibration=chosen)


def terms_of(frame: pl.DataFrame) -> pl.Series:
    return frame.select(pl.sum_horizontal(frame.columns[3:])).to_series()


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_terms_add_up_to_the_forecast(covariate_model: Forecaster, weight: float) -> None:
    model, ahead = weighted(covariate_model, weight), plan(promo=[0, 1, 0, 0, 1, 0])
    found = model.components(future=ahead)
    assert found.columns == ["unique_id", "ds", "forecast", "level", "trend", "season", "promo"]
    predicted = model.predict(future=ahead)
    assert found.select("unique_id", "ds").equals(predicted.select("unique_id", "ds"))
    assert found["forecast"].to_numpy() == pytest.approx(predicted["q0.5"].to_numpy(), rel=1e-6)
    assert terms_of(found).to_numpy() == pytest.approx(found["forecast"].to_numpy(), rel=1e-6)
    assert bool((found["promo"] != 0).any()) == (weight > 0)
    assert model.components(future=ahead, horizon=2).equals(
        found.group_by("unique_id").head(2).sort("ds").sort("unique_id", maintain_order=True)
    )


def test_the_level_is_the_mean_of_the_last_season(model: Forecaster) -> None:
    last = daily().group_by("unique_id").tail(7).group_by("unique_id").mean().sort("unique_id")
    levels = model.components().group_by("unique_id").first().sort("unique_id")["level"]
    assert levels.to_numpy() == pytest.approx(last["y"].to_numpy())


def test_the_terms_of_each_classical_forecast(model: Forecaster) -> None:
    last = daily().filter(unique_id="a")["y"].to_numpy()[-7:]
    repeated = weighted(model, 0.0, seasonal_naive=1.0).components()
    repeated = repeated.filter(unique_id="a")
    assert repeated["trend"].to_numpy() == pytest.approx(np.zeros(H))
    assert repeated["season"].to_numpy() == pytest.approx(last[:H] - last.mean())
    carried = weighted(model, 0.0, naive=1.0).components().filter(unique_id="a")
    assert carried["season"].to_list() == [0.0] * H
    assert carried["trend"].to_numpy() == pytest.approx(np.full(H, last[-1] - last.mean()))
    for name in ("exponential_smoothing", "theta"):
        smooth = weighted(model, 0.0, **{name: 1.0}).components().filter(unique_id="a")
        assert np.ptp(smooth["trend"].to_numpy()) < 1, "a line without a season"
        true = 10 * np.sin(2 * np.pi * np.arange(120, 120 + H) / 7)
        assert smooth["season"].to_numpy() == pytest.approx(true, abs=2)


def test_a_season_of_the_network_repeats() -> None:
    steps = np.arange(240)
    data = {"ds": [date(2024, 1, 1) + timedelta(int(k)) for k in steps]}
    model = fitted(data | {"y": 50 + 10 * np.sin(2 * np.pi * steps / 7)}, horizon=14, epochs=6)
    season = model.components()["season"].to_numpy()
    assert season == pytest.approx(10 * np.sin(2 * np.pi * np.arange(240, 254) / 7), abs=3)


def test_a_covariate_that_stays_as_it_was_adds_nothing() -> None:
    frame = daily().with_columns(promo=pl.lit(1), other=(pl.col("ds").dt.day() % 5))
    model = fitted(frame, horizon=H, future=["promo", "other"])
    found = model.components(future=plan(promo=[1] * H, other=[4] * H))
    assert found["promo"].to_numpy() == pytest.approx(np.zeros(2 * H), abs=1e-3)
    assert found["other"].abs().min() > 0


def test_covariates_called_as_a_term_and_holidays() -> None:
    pytest.importorskip("holidays")
    frame = daily().with_columns(level=pl.col("ds").dt.day() % 3, trend=pl.col("ds").dt.day() % 2)
    model = fitted(frame, horizon=H, future=["level", "trend"], holidays="DE")
    found = model.components(future=plan(level=[1] * H, trend=[0] * H))
    own = ["level", "trend", "season", "holidays", "level (known ahead)", "trend (known ahead)"]
    assert found.columns[3:] == own
    assert terms_of(found).to_numpy() == pytest.approx(found["forecast"].to_numpy(), rel=1e-6)


def test_what_a_forecast_of_0_would_be_without_its_bound() -> None:
    falling = {"y": np.linspace(40.0, 0.5, 80)}
    model = weighted(Forecaster.fit(falling, horizon=H, **TINY), 0.0, exponential_smoothing=1.0)
    found = model.components()
    assert found.columns[-1] == "bound"
    assert found["forecast"][-1] == 0 < found["bound"][-1]
    assert terms_of(found).to_numpy() == pytest.approx(found["forecast"].to_numpy(), abs=1e-9)
    assert "bound" not in replace(model, settings=replace(model.settings, nonnegative=False)).components()


def test_a_short_series_has_terms_without_the_network(model: Forecaster) -> None:
    short = replace(model.calibration, least_steps=40)
    model = replace(model, calibration=short)
    found = model.components(daily(30, ("z",)))
    alone = replace(model, calibration=replace(short, weight=0.0)).components(daily(30, ("z",)))
    assert found.equals(alone)


def test_components_beyond_the_horizon_are_refused(model: Forecaster) -> None:
    with pytest.raises(UsageError, match=f"components cover the {H} steps of training's horizon, not 7"):
        model.components(horizon=H + 1)
    with pytest.raises(UsageError, match="horizon must be a whole number"):
        model.components(horizon=0)


def subsets(names: tuple[str, ...]) -> Iterator[frozenset[str]]:
    for size in range(len(names) + 1):
        yield from map(frozenset, itertools.combinations(names, size))


@given(st.lists(st.floats(-9, 9), min_size=16, max_size=16), st.integers(1, 4))
def test_shapley_values_of_any_game(numbers: list[float], count: int) -> None:
    """Against the formula with factorials."""
    names = tuple("abcd"[:count])
    worth = dict(zip(subsets(names), numbers, strict=False))
    found = shapley_values(names, lambda kept: np.array([worth[kept]]))
    for name in names:
        value = 0.0
        for kept in subsets(tuple(n for n in names if n != name)):
            orders = math.factorial(len(kept)) * math.factorial(count - len(kept) - 1)
            value += orders / math.factorial(count) * (worth[kept | {name}] - worth[kept])
        assert found[name][0] == pytest.approx(value, abs=1e-9)


def test_many_names_have_the_values_of_some_orders() -> None:
    sizes = dict(zip("abcdefg", (1.0, -2.0, 3.0, 0.5, 4.0, 0.0, 7.0), strict=True))

    def worth(kept: frozenset[str]) -> np.ndarray[Any, Any]:
        return np.array([sum(sizes[name] for name in kept) + 5.0 * (len(kept) > 3)])

    found = shapley_values([*sizes], worth)
    assert sum(found.values())[0] == pytest.approx(sum(sizes.values()) + 5)
    assert all(found[name][0] >= sizes[name] - 1e-9 for name in sizes)
    assert found["g"][0] == pytest.approx(7 + 5 / 7, abs=0.7)
    assert shapley_values([*sizes], worth) == found


def test_reaches_is_where_the_network_counts() -> None:
    calibration = Calibration(0.5, {"naive": 1.0}, (0.0,), (1.0,), 1.0, 1.0, least_steps=12)
    assert calibration.reaches([11, 12, 13]).tolist() == [False, True, True]
