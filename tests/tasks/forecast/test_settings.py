"""What is derived from the data, and which choices are wrong."""

from datetime import date, timedelta
from typing import Any

import pytest

from elman.data.series.panel import Panel, read_panel
from elman.errors import UsageError
from elman.tasks.forecast.settings import Settings, defaults, epoch_windows, resolve
from elman.training.plan import Plan


def panel(length: int) -> Panel:
    days = [date(2020, 1, 1) + timedelta(day) for day in range(length)]
    return read_panel({"ds": days, "y": [float(i % 5) for i in range(length)]}, frequency="1d")


def test_missing_settings_follow_the_data() -> None:
    found = resolve(Settings(), panel(500), 14)
    assert (found.season, found.context, found.hidden) == (7, 49, 24)
    assert found.network_season == 7
    long = resolve(Settings(season=400, context=100), panel(500), 14)
    assert long.network_season == 1, "a season that does not fit into the context is none"
    once = resolve(Settings(season=7, context=13, mode="recursive"), panel(500), 14)
    assert once.network_season == 1
    assert (found.kept_steps, long.kept_steps) == (401, 1601), "those smoothed, and the value before"
    wide = resolve(Settings(context=700), panel(2000), 14)
    assert wide.kept_steps == 701, "or the context"


def test_small_data_are_seen_more_often() -> None:
    few, many = Plan(**defaults(100)), Plan(**defaults(10**6))
    assert few.epochs > many.epochs
    assert few.batch_size < many.batch_size


def test_an_epoch_draws_all_windows_within_limits() -> None:
    assert [epoch_windows(n, 32) for n in (10, 600, 10**6)] == [512, 600, 8192]
    assert epoch_windows(10, 1000) == 1000, "at least a batch"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"quantiles": (0.1, 1.0)}, "quantiles must be different shares between 0 and 1"),
        ({"quantiles": (0.1, 0.1)}, "quantiles must be"),
        ({"quantiles": ()}, "quantiles must be"),
        ({"quantiles": "0.1"}, "quantiles must be"),
        ({"mode": "both"}, "mode must be one of direct, recursive, not 'both'"),
        ({"cell": "transformer"}, "cell must be one of elman"),
        ({"context": 0}, "context must be a whole number from 1 to 100000"),
        ({"season": 2.5}, "season must be a whole number"),
        ({"dropout": 1.0}, "dropout must be a share"),
    ],
)
def test_wrong_choices(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings(**wrong)
    assert words in str(caught.value)


def test_the_median_is_always_among_the_levels() -> None:
    assert Settings(quantiles=[0.9, 0.2]).levels == (0.2, 0.5, 0.9)  # type: ignore[arg-type]
    assert Settings(quantiles=0.9).quantiles == (0.9,)  # type: ignore[arg-type]
