"""The blend is the best of its grid, the bands cover what they should, and crossing is impossible."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.forecast.baseline import PointForecasts
from elman.tasks.forecast.calibration import Calibration, Past, mixed, sizes

LEVELS = (0.1, 0.5, 0.9)


def normal(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 10))


def naives(naive: np.ndarray, seasonal: np.ndarray) -> tuple[PointForecasts, PointForecasts]:
    flat = np.ones(naive.shape[1])
    return PointForecasts("seasonal naive", seasonal, flat), PointForecasts("naive", naive, flat)


def fit(
    quantiles: np.ndarray,
    beside: Sequence[PointForecasts],
    target: np.ndarray,
    levels: Sequence[float] = LEVELS,
    horizons: float = 1e9,
) -> Calibration:
    """With the naive forecasts' errors on validation for those of all the past."""
    return Calibration.fit(quantiles, beside, target, levels, horizons, Past(beside, target, 1e9))


def bands(center: np.ndarray, width: float) -> np.ndarray:
    return center[..., None] + width * np.array([-1.0, 0.0, 1.0])


@pytest.mark.parametrize("width", [0.7, 1.2816, 3.0])
def test_bands_of_any_width_end_up_covering_their_share(width: float) -> None:
    target = normal(400)
    zero = np.zeros_like(target)
    found = fit(bands(zero, width), naives(zero + 9, zero + 9), target)
    assert found.conformal_factors[0] == pytest.approx(1.2816 / width, rel=0.06)
    fresh = normal(400, 1)
    out = found.apply(bands(zero, width), naives(zero + 9, zero + 9), LEVELS)
    inside = ((fresh >= out[..., 0]) & (fresh <= out[..., 2])).mean()
    assert inside == pytest.approx(0.8, abs=0.03)


def test_a_level_without_a_counterpart_is_stretched_for_itself() -> None:
    target = normal(400)
    zero = np.zeros_like(target)
    quantiles = zero[..., None] + np.array([0.0, 2.0])
    found = fit(quantiles, naives(zero + 9, zero + 9), target, (0.5, 0.9))
    out = found.apply(quantiles, naives(zero + 9, zero + 9), (0.5, 0.9))
    assert (normal(400, 1) <= out[..., 1]).mean() == pytest.approx(0.9, abs=0.03)


def test_a_good_network_is_left_alone_and_a_bad_one_is_blended_out() -> None:
    target = normal(50)
    good = fit(bands(target, 1.0), naives(target + 1, target + 2), target)
    assert (good.weight, good.shares, good.notes) == (pytest.approx(1.0), {"naive": 1.0}, ())
    bad = fit(bands(target + 3, 1.0), naives(target + 1, target), target)
    assert (bad.weight, bad.shares) == (0.0, {"seasonal naive": 1.0})
    assert "did not beat seasonal naive on validation" in bad.notes[0]
    np.testing.assert_allclose(
        bad.apply(bands(target + 3, 1.0), naives(target, target), LEVELS)[..., 1], target
    )


def test_bands_of_a_naive_forecast_grow_with_the_steps() -> None:
    """A useless network beside random walks: what is left is the last value, wider at every step."""
    walks = normal(800).cumsum(1)
    growth = np.sqrt(1 + np.arange(10))
    zero = np.zeros_like(walks)
    last = (PointForecasts("naive", zero, growth),)
    found = fit(bands(zero + 50, 1.0), last, walks)
    assert found.weight == 0
    out = found.apply(bands(zero + 50, 1.0), last, LEVELS)
    inside = ((walks >= out[..., 0]) & (walks <= out[..., 2])).mean(0)
    np.testing.assert_allclose(inside, 0.8, atol=0.05)


def test_the_naive_bands_come_from_all_of_the_past() -> None:
    target = normal(300)
    zero = np.zeros_like(target)
    one = PointForecasts("naive", zero, np.ones(10))
    errors = np.linspace(-2, 2, 1001)[:, None]
    past = Past([PointForecasts("naive", 0 * errors, np.ones(1))], errors, 1e9)
    found = Calibration.fit(bands(zero + 50, 1.0), [one], target, LEVELS, 1e9, past)
    assert found.spread == pytest.approx((-1.6, 0, 1.6))
    assert found.conformal_factors[0] * 1.6 == pytest.approx(1.2816, rel=0.05), (
        "validation still sets the width"
    )


def test_errors_on_opposite_sides_are_averaged_out() -> None:
    target = normal(50)
    found = fit(bands(target + 1, 1.0), naives(target - 1, target - 1), target)
    assert found.weight == pytest.approx(0.5)
    out = found.apply(bands(target + 1, 1.0), naives(target - 1, target - 1), LEVELS)
    np.testing.assert_allclose(out[..., 1], target, atol=1e-6)
    assert found.network_error == found.base_error == pytest.approx(1)


@pytest.mark.parametrize(("horizons", "weight"), [(1.0, 0.75), (9.0, 0.95)])
def test_a_single_horizon_does_not_convince(horizons: float, weight: float) -> None:
    """The weight is between the best one, 1, and a half, or between 1 and none if the network is worse."""
    target = normal(50)
    found = fit(bands(target, 1.0), naives(target + 1, target + 1), target, LEVELS, horizons)
    assert found.weight == pytest.approx(weight)
    worse = fit(bands(target + 2, 1.0), naives(target - 1, target - 1), target, LEVELS, horizons)
    assert worse.weight == pytest.approx(horizons / (horizons + 1) * 0.35, abs=0.03)


def test_missing_targets_do_not_count() -> None:
    target = normal(50)
    holes = target.copy()
    holes[:, 3] = np.nan
    zero = np.zeros_like(target)
    found = fit(bands(zero, 1.0), naives(zero + 1, zero + 1), holes)
    kept = np.delete(target, 3, axis=1)
    same = fit(bands(np.zeros_like(kept), 1.0), naives(kept * 0 + 1, kept * 0 + 1), kept, LEVELS, 1e9)
    assert found.conformal_factors == same.conformal_factors


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(0.01, 0.99), min_size=0, max_size=6, unique=True),
    st.integers(1, 8),
    st.integers(0, 1000),
)
def test_quantiles_rise_whatever_was_learned(levels: list[float], n: int, seed: int) -> None:
    asked = tuple(sorted({*levels, 0.5}))
    rng = np.random.default_rng(seed)
    quantiles = np.sort(rng.normal(size=(n, 4, len(asked))), axis=-1)
    target, base = rng.normal(size=(n, 4)), rng.normal(size=(n, 4))
    found = fit(quantiles, naives(base, base + 1), target, asked)
    assert (np.diff(found.apply(quantiles, naives(base, base + 1), asked), axis=-1) >= 0).all()
    saved = json.loads(json.dumps(found.to_json()))
    assert Calibration.from_json(saved, 7) == found


SAVED = {"weight": 0.3, "spread": [-1.0, 0.0, 1.0], "stretch": [1.0, 1.0, 1.0]}
SAVED |= {"network_error": 1.0, "base_error": 2.0}


def test_older_folders_have_one_naive_forecast() -> None:
    older = Calibration.from_json(SAVED | {"base": "naive", "season": 3}, 7)
    assert (older.shares, older.season, older.least_steps) == ({"naive": 1.0}, 3, 0)
    assert Calibration.from_json(SAVED | {"base": "naive"}, 7).season == 7, "0.1.0"


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"base": "x"}, "no classical forecast 'x'"),
        ({"shares": {"naive": 0.5, "x": 0.5}}, "no classical forecast 'x'"),
        ({"shares": {"naive": 2.0, "Theta": -1.0}}, "naive can't have a share of 2.0"),
        ({"shares": {"naive": 0.5}}, "must have the sum 1"),
        ({"shares": {}}, "must have the sum 1"),
        ({"shares": {"naive": float("nan")}}, "naive|finite"),
    ],
)
def test_a_hostile_folder_is_refused(shares: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Calibration.from_json(SAVED | shares, 7)


def test_shares_cancel_errors_and_need_evidence() -> None:
    target = normal(50)
    beside = (
        PointForecasts("naive", target - 1, np.ones(10)),
        PointForecasts("Theta", target + 4, np.ones(10)),
        PointForecasts("exponential smoothing", target + 50, np.ones((50, 10))),
    )
    sure = Calibration.classical(Past(beside, target, 1e9), LEVELS)
    assert sure.shares == pytest.approx({"naive": 0.8, "Theta": 0.2}, abs=0.06)
    unsure = Calibration.classical(Past(beside, target, 3.0), LEVELS)
    naive = (sure.shares["naive"] + 1) / 2  # the only good one
    assert unsure.shares["naive"] == pytest.approx(naive, abs=0.03)
    none = Past([replace(one, values=one.values[:0], growth=np.ones(10)) for one in beside], target[:0], 0.0)
    blind = Calibration.classical(none, LEVELS)
    assert set(blind.shares.values()) == {1 / 3}
    assert blind.spread == pytest.approx((-1.2816, 0, 1.2816), abs=1e-4)
    assert "no series is long enough for a network: the forecast is 33 % naive, 33 %" in blind.notes[0]


def test_a_blend_is_a_weighted_mean_and_so_are_its_sizes() -> None:
    one = PointForecasts("naive", np.array([[2.0, 4.0]]), np.array([1.0, 2.0]))
    other = PointForecasts("Theta", np.array([[6.0, 8.0]]), np.array([[10.0, 20.0]]))
    shares = {"naive": 0.75, "Theta": 0.25}
    np.testing.assert_allclose(mixed([one, other], shares), [[3, 5]])
    np.testing.assert_allclose(sizes([one, other], shares, np.array([[10.0]])), [[1, 2]])


def test_a_history_too_short_for_the_network_has_the_rest_alone() -> None:
    base = np.array([[0.1], [0.2]])
    one = PointForecasts("naive", base, np.ones(1))
    plain = Calibration(0.5, {"naive": 1.0}, (-1.0, 0.0, 1.0), (1.0, 1.0, 1.0), 1.0, 1.0, 1, 5)
    out = plain.apply(bands(np.full((2, 1), 9.0), 1.0), [one], LEVELS, steps=[4, 5])
    np.testing.assert_allclose(out[:, 0, 1], [0.1, 4.6])


def test_a_network_without_weight_leaves_the_naive_forecast_as_it_is() -> None:
    base = np.array([[0.1, 1e300, 0.0, -5e-324, 1 / 3]])
    one = PointForecasts("naive", base, np.ones(5))
    plain = Calibration(0.0, {"naive": 1.0}, (-1.0, 0.0, 1.0), (1.0, 1.0, 1.0), 1.0, 1.0)
    center, scale = np.array([[3.3]]), np.array([[0.7]])
    for network in (0.0, np.nan, np.inf):
        out = plain.apply(np.full((1, 5, 3), network), [one], LEVELS, center, scale)
        np.testing.assert_array_equal(out[..., 1], base)
    np.testing.assert_allclose(out[0, 2], [-0.7, 0, 0.7])


def test_a_network_alone_is_in_units_of_its_window() -> None:
    one = PointForecasts("naive", np.full((1, 1), 9.0), np.ones(1))
    whole = Calibration(1.0, {"naive": 1.0}, (-1.0, 0.0, 1.0), (1.0, 1.0, 1.0), 1.0, 1.0)
    out = whole.apply(np.array([[[-1.0, 0.5, 2.0]]]), [one], LEVELS, np.array([[10.0]]), np.array([[2.0]]))
    np.testing.assert_allclose(out[0, 0], [8, 11, 14])
