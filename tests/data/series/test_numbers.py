"""Numbers as stamps: what is a date, what is a step, and what is neither."""

import numpy as np
import pytest

from elman.data.series.numbers import number_readings, years


def read(*numbers: float) -> dict[str, list[str]]:
    found = number_readings(np.array(numbers))
    return {one.form: [str(s).removesuffix("T00:00:00.000000") for s in one.stamps] for one in found}


@pytest.mark.parametrize(
    ("numbers", "form", "expected"),
    [
        ([20140131, 20140201], "YYYYMMDD", "2014-02-01"),
        ([201401, 201402], "YYYYMM", "2014-02-01"),
        ([2014001, 2014032], "YYYYDDD", "2014-02-01"),
        ([2014013100, 2014020113], "YYYYMMDDHH", "2014-02-01T13:00:00.000000"),
        ([201401312359, 201402011300], "YYYYMMDDHHMM", "2014-02-01T13:00:00.000000"),
        ([20140131235959, 20140201130001], "YYYYMMDDHHMMSS", "2014-02-01T13:00:01.000000"),
        ([1391212800, 1391216400], "seconds since 1970", "2014-02-01T01:00:00.000000"),
        ([1391212800.0, 1391216400.5], "seconds since 1970", "2014-02-01T01:00:00.500000"),
        ([1391212800000, 1391216400001], "milliseconds since 1970", "2014-02-01T01:00:00.001000"),
        ([1391212800000000, 1391216400000001], "microseconds since 1970", "2014-02-01T01:00:00.000001"),
        ([1391212800000000000, 1391216400000001000], "nanoseconds since 1970", "2014-02-01T01:00:00.000001"),
        ([2014.0, 2014.0833], "decimal years", "2014-02-01"),
        ([2014.0, 2014.08], "decimal years", "2014-02-01"),
        ([2014.0, 2014.25], "decimal years", "2014-04-01"),
        ([2014.0, 2014.0849], "decimal years", "2014-02-01"),
        ([2014.0, 2014.1205], "decimal years", "2014-02-14"),
        ([41640.5, 41671.25], "days as a spreadsheet counts them", "2014-02-01T06:00:00.000000"),
    ],
)
def test_dates_as_numbers(numbers: list[float], form: str, expected: str) -> None:
    found = read(*numbers)
    assert list(found) == [form]
    assert found[form][-1] == expected


@pytest.mark.parametrize(
    ("numbers", "form", "expected"),
    [
        ([20141, 20142], "YYYYQ", "2014-04-01"),
        ([201415, 201416], "YYYYWW", "2014-04-14"),
        ([140131, 140201], "YYMMDD", "2014-02-01"),
        ([41640, 41671], "days as a spreadsheet counts them", "2014-02-01"),
    ],
)
def test_numbers_that_may_also_be_steps(numbers: list[float], form: str, expected: str) -> None:
    found = read(*numbers)
    assert list(found)[:2] == ["", form]
    assert found[form][-1] == expected


def test_steps_and_what_is_neither() -> None:
    for steps in ([1, 2, 3], [1949, 1950], [1, 20140131], [20140230, 20140301], [-5, 0, 5], [201413, 201499]):
        assert list(read(*steps)) == [""]
    for fractions in ([0.5, 1.0], [1.0, np.inf], [1e300, 1.0], [np.nan, 1.0]):
        assert not number_readings(np.array(fractions))


def test_years() -> None:
    firsts = years(np.array([1949, 1950]))
    assert firsts is not None
    assert firsts.astype("datetime64[D]").astype(str).tolist() == ["1949-01-01", "1950-01-01"]
    assert years(np.array([1949, 19500])) is None
