"""Windows against slow obvious loops; nothing after a cut-off reaches an input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.series.features import Features
from elman.data.series.panel import Panel, read_panel
from elman.data.series.windows import WindowStore, center_and_scale, hold

CONTEXT, HORIZON, SEASON = 8, 3, 4


def panel(seed: int = 0) -> Panel:
    rng = np.random.default_rng(seed)
    names, stamps, values, promo, town = [], [], [], [], []
    for name, n in (("a", 20), ("b", 31)):
        days = np.datetime64("2021-03-01") + np.arange(n)
        names += [name] * n
        stamps += days.tolist()
        values += rng.normal(100, 20, n).tolist()
        promo += rng.integers(0, 2, n).tolist()
        town += ["X" if name == "a" else "Y"] * n
    values[5] = None
    frame = {"unique_id": names, "ds": stamps, "y": values, "promo": promo, "town": town}
    return read_panel(frame, value="y", future=["promo"], static=["town"])


def store(p: Panel) -> WindowStore:
    return WindowStore(p, Features.fit(p, [len(s.values) for s in p.series]), CONTEXT, HORIZON, SEASON)


@pytest.mark.parametrize(("series", "cutoff"), [(0, 3), (0, 8), (0, 20), (1, 12), (1, 30)])
def test_a_window_is_what_a_slice_says(series: int, cutoff: int) -> None:
    p = panel()
    values = p.series[series].values
    window = store(p).cut([(series, cutoff)])
    context = np.full(CONTEXT, np.nan)
    past = values[max(cutoff - CONTEXT, 0) : cutoff]
    context[CONTEXT - len(past) :] = past
    target = np.full(HORIZON, np.nan)
    target[: len(values[cutoff : cutoff + HORIZON])] = values[cutoff : cutoff + HORIZON]
    center, scale = np.nanmean(context), np.nanstd(context)
    assert window.center.item() == pytest.approx(center)
    assert window.scale.item() == pytest.approx(scale)
    np.testing.assert_array_equal(window.observed[0], ~np.isnan(context))
    seen = ~np.isnan(context)
    np.testing.assert_allclose(window.values[0].numpy()[seen], ((context - center) / scale)[seen], rtol=1e-5)
    np.testing.assert_allclose(window.target[0], (target - center) / scale, rtol=1e-5)
    assert window.codes.tolist() == [[1 + series]]
    assert window.known.shape == (1, CONTEXT + HORIZON, store(p).known.shape[1])


def test_nothing_after_the_cutoff_reaches_an_input() -> None:
    before, after = panel(), panel()
    after.series[1].values[15:] = 1e6
    features = Features.fit(before, [12, 12])
    for one, other in zip(
        vars(WindowStore(before, features, CONTEXT, HORIZON, SEASON).cut([(1, 15)])).items(),
        vars(WindowStore(after, features, CONTEXT, HORIZON, SEASON).cut([(1, 15)])).items(),
        strict=True,
    ):
        assert torch.equal(one[1], other[1]) == (one[0] != "target")


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.just(float("nan")), st.floats(-9, 9)), min_size=1, max_size=14), st.integers(1, 5)
)
def test_hold_fills_as_a_slow_loop_does(row: list[float], season: int) -> None:
    known = [i for i, value in enumerate(row) if not np.isnan(value)]
    filled = list(row)
    if not known:
        filled = [0.0] * len(row)
    else:
        for i in range(known[0] + 1, len(row)):
            if np.isnan(filled[i]):
                filled[i] = filled[i - 1]
        for i in range(known[0]):
            later = i
            while later < known[0]:
                later += season
            filled[i] = filled[min(later, len(row) - 1)]
    np.testing.assert_array_equal(hold(torch.tensor([row]), season)[0].numpy(), np.float32(filled))


@pytest.mark.parametrize(
    ("context", "center", "scale"),
    [
        ([5.0, 5.0, 5.0], 5.0, 0.5),
        ([0.0, 0.0, 0.0], 0.0, 1.0),
        ([float("nan")] * 3, 0.0, 1.0),
        ([1e12, 1e12 + 1, 1e12 - 1], 1e12, 1e11),
        ([-1.0, 1.0, float("nan")], 0.0, 1.0),
    ],
)
def test_nothing_is_divided_by_zero(context: list[float], center: float, scale: float) -> None:
    found = center_and_scale(torch.tensor([context], dtype=torch.float64))
    assert found[0].item() == pytest.approx(center)
    assert found[1].item() == pytest.approx(scale)


@pytest.mark.parametrize("unit", [1e-310, 1e-200, 1.0, 1e200, 1e299])
def test_squares_of_large_and_small_values_neither_overflow_nor_vanish(unit: float) -> None:
    context = torch.tensor([[1.0, 2.0, 4.0, 1.0]], dtype=torch.float64)
    center, scale = center_and_scale(context * unit)
    assert center.item() / unit == pytest.approx(2)
    assert scale.item() / unit == pytest.approx(1.5**0.5)


def test_the_smallest_number_has_a_scale() -> None:
    assert center_and_scale(torch.full((1, 3), 5e-324, dtype=torch.float64))[1].item() == 1


def test_a_jump_beyond_float32_stays_finite() -> None:
    p = read_panel({"y": [0.0] * 10 + [1e300] * 3})
    one = WindowStore(p, Features.fit(p, [13]), CONTEXT, HORIZON, SEASON)
    assert one.cut([(0, 10)]).target.isfinite().all()
    assert one.targets([(0, 10)]).tolist() == [[1e300] * 3], "in float64, it is what it is"
