"""Training never sees the steps that validate; short series train no network."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.series.panel import Panel, read_panel
from elman.tasks.forecast.split import divide, short_cutoffs, shortest, trainable


def panel(*lengths: int) -> Panel:
    names = [f"s{i}" for i, n in enumerate(lengths) for _ in range(n)]
    days = [date(2020, 1, 1) + timedelta(d) for n in lengths for d in range(n)]
    return read_panel(
        {"unique_id": names, "ds": days, "y": [float(i % 5) for i in range(len(days))]}, frequency="1d"
    )


@given(st.lists(st.integers(0, 400), min_size=1, max_size=90), st.integers(1, 30), st.integers(1, 60))
def test_training_never_sees_the_steps_that_validate(extra: list[int], horizon: int, season: int) -> None:
    lengths = [shortest(horizon) + n for n in extra]
    found = divide(lengths, horizon, season)
    for series, n in enumerate(lengths):
        cutoffs = [cutoff for which, cutoff in found.valid if which == series]
        assert len(set(cutoffs)) == len(cutoffs) > 0
        assert max(cutoffs) == n - horizon
        assert 0 < found.first[series] <= found.last[series]
        assert found.last[series] + horizon <= min(cutoffs)
        assert n - min(cutoffs) <= max(n // 5, horizon)
    assert found.whole(lengths, horizon).last == tuple(n - horizon for n in lengths)
    spans = [n - min(c for s, c in found.valid if s == series) for series, n in enumerate(lengths)]
    assert found.horizons(lengths, horizon) == pytest.approx(sum(spans) / horizon)


def test_many_series_need_one_window_each_and_a_single_one_many() -> None:
    assert len(divide([100] * 80, 5, 7).valid) == 80
    assert len(divide([1000], 5, 7).valid) == 64
    assert len(divide([shortest(5)], 5, 7).valid) == 1


def test_spaced_windows_are_few_and_reach_from_the_middle_to_the_end() -> None:
    found = divide([400, 30], 5, 7)
    pairs = found.spaced([400, 30], 5, limit=20)
    assert [pairs[0], pairs[-1]] == [(0, 197), (1, 25)]
    assert max(cutoff for series, cutoff in pairs if series == 0) == 395
    assert len(pairs) == len(set(pairs)) <= 20
    assert found.spaced([400, 30], 5, limit=1) == [(0, 395), (1, 25)], "the latest, if there is but one"


def test_short_series_are_named() -> None:
    kept = trainable(panel(40, 10, 12), 8)
    assert [s.name for s in kept.series] == ["s0"]
    assert kept.notes[-1] == "2 series shorter than 19 steps have forecasts without a network: 's1', 's2'"
    assert trainable(panel(40), 8).notes == panel(40).notes


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 40))
def test_cutoffs_of_short_series_have_values_on_both_sides(lengths: list[int], limit: int) -> None:
    found = short_cutoffs(lengths, limit)
    assert {series for series, _ in found} == {i for i, n in enumerate(lengths) if n > 1}
    assert all(lengths[series] / 2 <= cutoff < lengths[series] for series, cutoff in found)
    assert len(found) <= max(limit, len(lengths))
