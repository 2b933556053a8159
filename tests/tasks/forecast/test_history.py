"""New data goes on where kept history ended; the rest of a forecaster's book-keeping."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from elman.data.series.panel import Panel, read_panel
from elman.errors import DataError, UsageError
from elman.tasks.forecast.history import (
    check_future,
    continued,
    cut_at,
    ends,
    forecast_frame,
    forget,
    later_cutoffs,
    origins,
    require_calendar,
    tail,
    training_end,
    unseen_note,
)

START = date(2021, 1, 1)


def panel(
    values: list[float | None], start: int = 0, name: str = "a", promo: list[float] | None = None
) -> Panel:
    n = len(values)
    frame = {"unique_id": [name] * n, "ds": [START + timedelta(start + i) for i in range(n)], "y": values}
    if promo is None:
        return read_panel(frame, frequency="1d")
    return read_panel(frame | {"promo": promo}, value="y", future=["promo"], frequency="1d")


def test_tail_keeps_the_end_and_its_stamps() -> None:
    found = tail(panel([float(i) for i in range(10)]), 3).series[0]
    assert found.values.tolist() == [7, 8, 9]
    assert found.start == np.datetime64("2021-01-08")
    short = tail(panel([1.0, 2.0]), 3).series[0]
    assert short.values.tolist() == [1, 2]


def test_the_first_kept_step_holds_the_last_value_known_before() -> None:
    whole = panel([1.0, 2.0, None, None, None, 5.0])
    np.testing.assert_array_equal(tail(whole, 3).series[0].values, [2, np.nan, 5])
    late = forget(whole, whole.series[0], 9)
    assert (late.values.tolist(), late.start) == ([5], np.datetime64("2021-01-10")), "after a silence"


def test_tail_keeps_a_covariate_that_was_last_given_before() -> None:
    whole = panel([1.0, 2.0, 3.0, 4.0], promo=[5.0, np.nan, np.nan, np.nan])
    assert tail(whole, 2).series[0].future[0, 0] == 5


@pytest.mark.parametrize(
    ("values", "start", "expected"),
    [
        ([7.0, 8.0], 4, [0, 1, 2, 3, 7, 8]),
        ([7.0, 8.0], 6, [0, 1, 2, 3, np.nan, np.nan, 7, 8]),
        ([7.0], 2, [0, 1, 7]),
        ([7.0, None, 8.0], 2, [0, 1, 7, 3, 8]),
        ([7.0, 8.0, 9.0], -1, [7, 8, 9]),
    ],
)
def test_continued(values: list[float | None], start: int, expected: list[float]) -> None:
    kept = panel([0.0, 1.0, 2.0, 3.0])
    new = panel(values, start)
    np.testing.assert_array_equal(continued(kept, new).series[0].values, expected)
    assert training_end(kept, continued(kept, new), continued(kept, new).series[0]) == 4 - min(start, 0)


def test_a_stranger_stands_for_itself() -> None:
    kept, new = panel([0.0, 1.0]), panel([5.0, 6.0], 2, "b")
    assert continued(kept, new).series[0].values.tolist() == [5, 6]
    assert training_end(kept, new, new.series[0]) is None


def test_a_note_on_strangers() -> None:
    kept, new = panel([0.0, 1.0]), panel([5.0, 6.0], 2, "b")
    (note,) = unseen_note(kept, new, 0)
    assert note.endswith("1 series that training has not seen ('b'): each forecast is from the series' own "
                         "values, in their level and scale")  # fmt: skip
    (note,) = unseen_note(kept, replace(new, series=new.series * 4), 3)
    assert "4 series that training has not seen ('b', 'b', 'b', ...)" in note
    assert note.endswith("; 4 of them, of fewer than 3 steps, without the network")
    assert unseen_note(kept, kept, 9) == ()
    alone = replace(kept, columns=replace(kept.columns, series=None))
    assert unseen_note(alone, new, 9) == (), "one series without a name continues the one of training"


def test_what_came_after_training_is_scored() -> None:
    kept = panel([0.0, 1.0, 2.0, 3.0])
    whole = continued(kept, panel([7.0] * 6, 4))
    assert later_cutoffs(kept, whole, 3, 2) == [(0, 4), (0, 6), (0, 8)]
    assert later_cutoffs(kept, kept, 3, 2) == []
    strangers = panel([5.0] * 9, name="b")
    assert later_cutoffs(kept, strangers, 3, 4) == [(0, 3), (0, 7)]
    assert later_cutoffs(kept, strangers, 30, 4) == [(0, 4), (0, 8)], "of a short one, half is context"


def test_covariates_ahead_are_checked_by_name_and_stamp() -> None:
    good = panel([1.0, 2.0, None, None], promo=[0, 0, 1, 1])
    check_future(good, 2)
    with pytest.raises(DataError, match="'promo' must be known ahead, but is missing for 2021-01-05;"):
        check_future(good, 3)
    with pytest.raises(DataError, match=r"2021-01-05, 2021-01-06, 2021-01-07, \.\.\. 2021-01-12"):
        check_future(good, 10)


def test_origins() -> None:
    twenty = panel([float(i) for i in range(20)])
    assert origins(twenty, twenty.series[0], 6, 2) == [8, 14]
    assert origins(twenty, twenty.series[0], 6, 5) == [2, 8, 14], "what reaches before the start is left out"
    days = [START + timedelta(12), START + timedelta(9), START + timedelta(99)]
    assert origins(twenty, twenty.series[0], 6, days) == [9, 12]
    with pytest.raises(UsageError, match="at least 1"):
        origins(twenty, twenty.series[0], 6, 0)
    with pytest.raises(DataError, match="cutoffs 3 is not a stamp like those"):
        origins(twenty, twenty.series[0], 6, [3])
    assert cut_at(twenty, [9]).series[0].values.tolist() == list(range(9))
    assert len(cut_at(twenty, [None]).series[0].values) == 20


def test_frames_have_nixtla_columns_and_the_kind_of_stamp_given() -> None:
    quantiles = np.arange(6.0).reshape(1, 2, 3)
    found = forecast_frame(panel([1.0, 2.0]), quantiles, (0.1, 0.5, 0.9), (0.9, 0.1))
    assert found.rows() == [("a", date(2021, 1, 3), 2.0, 0.0), ("a", date(2021, 1, 4), 5.0, 3.0)]
    assert found.columns == ["unique_id", "ds", "q0.9", "q0.1"]
    hours = read_panel({"ds": [datetime(2021, 1, 1, h) for h in range(3)], "y": [1, 2, 3]})
    assert forecast_frame(hours, quantiles, (0.1, 0.5, 0.9), ())["ds"][0] == datetime(2021, 1, 1, 3)
    steps = read_panel({"y": [1, 2, 3]})
    assert forecast_frame(steps, quantiles, (0.1, 0.5, 0.9), ())["ds"].to_list() == [3, 4]


def test_whether_values_were_ever_negative() -> None:
    for first, expected in ((1, True), (-1, False)):
        panel = read_panel({"y": [first, 2, 3]})
        assert forget(panel, panel.series[0], 1).nonnegative is expected


def test_a_forecast_stays_in_the_calendar() -> None:
    late = read_panel({"ds": [date(9999, 12, 1), date(9999, 12, 2)], "y": [1, 2]}, frequency="1d")
    require_calendar(late, 27)
    with pytest.raises(UsageError, match="goes beyond the year 9999; give a shorter one"):
        require_calendar(late, 30)
    assert ends(late) == [(0, 2)]
