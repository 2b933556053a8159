"""Holidays of steps, beside a calendar on the wall."""

import importlib
from typing import Any

import numpy as np
import pytest

from elman.data.series.holidays import check_country, holidays_of_steps
from elman.errors import ElmanError, UsageError

pytest.importorskip("holidays")


def stamps(first: str, count: int, step: str) -> Any:
    return (np.datetime64(first) + np.arange(count) * np.timedelta64(1, step)).astype("datetime64[us]")


def test_days_hours_and_months() -> None:
    easter = holidays_of_steps(stamps("2024-03-28", 7, "D"), "DE")
    assert easter.tolist() == [0, 1, 0, 0, 1, 0], "Good Friday and Easter Monday"
    assert holidays_of_steps(stamps("2024-12-24T22", 5, "h"), "DE").tolist() == [0, 0, 1, 1]
    months = np.array(["2024-12-01", "2025-01-01", "2025-02-01"], "datetime64[us]")
    assert holidays_of_steps(months, "DE").tolist() == [2, 1]


def test_a_region_has_its_own() -> None:
    day = stamps("2024-03-31", 2, "D")
    assert holidays_of_steps(day, "US").tolist() == [0]
    assert holidays_of_steps(day, "US-CA").tolist() == [1]


@pytest.mark.parametrize("code", ["XX", "DE-QQ", "Germany", "../x", ""])
def test_a_country_that_is_none_is_refused(code: str) -> None:
    with pytest.raises(UsageError, match="knows no country or region"):
        check_country(code)


def test_steps_have_no_holidays() -> None:
    with pytest.raises(UsageError, match="holidays need stamps that are dates"):
        holidays_of_steps(np.arange(3), "DE")


def test_the_package_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ElmanError, match=r"install it with `pip install 'elman\[holidays\]'`"):
        holidays_of_steps(stamps("1950-01-01", 2, "D"), "AT")
